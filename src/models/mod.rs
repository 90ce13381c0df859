//! Models of the code that two threads share. loom runs each with every order in which the threads may get on, and with
//! every value that a load may see.
//!
//! The files are those that the addon has. Here they are compiled once more, with the checker's
//! [`primitives`](self::primitives).

mod completions_model;
mod hand_over_model;
mod primitives;
mod watching_model;

#[allow(dead_code, clippy::duplicate_mod)] // no model needs all of it
#[path = "../node/completions.rs"]
mod completions;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../engine/connection/hand_over.rs"]
mod hand_over;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../engine/connection/mode.rs"]
mod mode;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../engine/connection/watching.rs"]
mod watching;
