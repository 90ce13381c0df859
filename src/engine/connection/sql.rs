//! SQL as it is sent.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio_postgres::types::Type;

use crate::engine::connection::routing::to_primary;

/// The SQL text of a statement, and the types of its parameters there.
#[derive(Debug)]
pub(crate) struct Sql {
    /// A hash of the text.
    pub(crate) id: u64,
    pub(crate) text: String,
    pub(crate) params: Vec<Type>,
}

impl Sql {
    pub(crate) fn new(sql: String, params: Vec<Type>) -> Self {
        let sql = to_primary(&sql).into_owned();
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        Self { id: hasher.finish(), text: sql, params }
    }
}
