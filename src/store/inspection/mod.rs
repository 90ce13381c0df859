//! Reads tables and the server for the users of the command `goscope-postgres`. All statements here only read, take
//! no lock that blocks a writer, and make no table. Each inspection is one statement that answers with one JSON text,
//! made by the server, so no code on the way reads it column by column.

mod catalogue;
mod inspect;
mod obstacles;
mod rows;
mod server;

pub use inspect::{Inspection, Report};
