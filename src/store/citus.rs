//! Tables that Citus spreads over several servers, or copies to all of them.
//!
//! Citus refuses triggers on them, and volatile functions such as the clock in `DO UPDATE`. No other statement helps,
//! since expiry has to be computed after the wait for a row. So `connect()` fails with an error that says so, and so
//! does each call. Tables of the coordinator alone work like any others.

use tokio_postgres::types::Type;

use super::relation::Relation;
use crate::engine::{Connection, Error};

/// The extension's own catalogue. Of the tables in it, those of the coordinator alone have the method `n` and another
/// replication model than reference tables.
macro_rules! is_spread {
    () => {
        "(partmethod <> 'n' OR repmodel = 't')"
    };
}

pub(super) use is_spread;

const SPREAD: &str = concat!(
    "SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = to_regclass($1) AND ",
    is_spread!()
);

/// Fails for such a table. Sends no query if the server has no Citus.
pub(super) async fn check(connection: &Connection, relation: &Relation) -> Result<(), Error> {
    if !relation.is_beside_citus {
        return Ok(());
    }
    let table = format!("{}.{}", relation.schema, relation.name);
    let rows = connection.look(SPREAD, &[(&table, Type::TEXT)]).await?;
    if rows.is_empty() { Ok(()) } else { Err(Error::Distributed { table }) }
}
