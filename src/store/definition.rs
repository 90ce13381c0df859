//! What the store knows of a table before it has read the catalogue.

use super::relation::Addition;

/// What a crash of the server may destroy of a table, in exchange for faster writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Nothing that was acknowledged.
    Full,
    /// The last moments: commits do not wait for the disk.
    Async,
    /// All of it: the table is unlogged.
    Unlogged,
}

/// What the store knows of a table before it has read the catalogue.
pub(super) struct Definition {
    /// The documented name, by which `sql/source/` has it.
    pub(super) documented: &'static str,
    /// What the table may have beyond the documented schema.
    pub(super) additions: &'static [Addition],
    /// The column that holds the time of the last write, if the templates name it.
    pub(super) touched: &'static str,
}
