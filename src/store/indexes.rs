//! The indexes of a table: created with a new table, and added to an existing one that lacks them.
//!
//! `CREATE INDEX CONCURRENTLY` locks out no writer, but waits for every older transaction, of any application, and
//! leaves an invalid index if it is interrupted. Therefore:
//!
//! 1. One process at a time makes indexes, and the others do not wait for it: the advisory lock is only tried.
//! 2. The wait for each older transaction is bounded, by `lock_timeout`, which holds for these waits, too.
//! 3. An unfinished index is dropped, by the process that left it or by a later `connect()`. The drop needs an
//!    exclusive lock on the table. It cannot get one while another session is still building the index, and does not
//!    wait for it.
//!
//! All of this is best effort: without indexes the adapter is correct, only slower, and the next `connect()` tries
//! again. `doctor` names what is missing. The server refuses `CONCURRENTLY` for a partitioned table. There an index
//! is made only while the table is empty, and `doctor` names the statements that lock out no writer. Behind a pooler
//! that shares sessions, no index is made: the advisory lock and the setting would stay in a session of other
//! clients.

use tokio_postgres::types::Type;

use super::definition::Definition;
use super::relation::{Column, Relation};
use super::source::{self, Index};
use crate::engine::{BEGIN, Connection, Error};

/// "goscope2" in ASCII; see `CREATION_LOCK` in `schema.rs`.
const MAKING_LOCK: i64 = 0x676f_7363_6f70_6532;

/// How long to wait for each older transaction. A few short transactions end in that time; for a long one there is no
/// further wait.
const WAIT: &str = "SELECT set_config('lock_timeout', '250ms', false)";

const NAME_IS_TAKEN: &str = "
SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1
                  AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($2)))";

/// An index like ours that is unfinished, or is being built. An index of a partitioned table is another matter.
const UNFINISHED: &str = "
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
 WHERE indrelid = to_regclass($1) AND NOT indisvalid AND relkind = 'i'
   AND strpos(replace(pg_get_indexdef(indexrelid), '\"', ''), 'USING btree ' || $2) > 0";

/// `how` is empty or `CONCURRENTLY`. The server picks a name if none is documented, or another relation has it.
pub(super) async fn make(
    connection: &Connection,
    table: &str,
    index: &Index,
    how: &str,
) -> Result<(), Error> {
    let name = match index.name {
        Some(wanted) if !name_is_taken(connection, wanted, table).await? => wanted,
        _ => "",
    };
    let sql = format!("CREATE INDEX {how} {name} ON {table} {}", index.on);
    match how {
        // The table is empty.
        "" => connection.execute(&sql).await,
        // On a large table it takes as long as it takes. Given up, it would leave an invalid index behind.
        _ => connection.execute_without_limit(&sql).await,
    }
}

async fn name_is_taken(connection: &Connection, index: &str, table: &str) -> Result<bool, Error> {
    let rows = connection.look(NAME_IS_TAKEN, &[(&index, Type::TEXT), (&table, Type::TEXT)]).await?;
    Ok(rows[0].get(0))
}

/// Makes the indexes that an existing table lacks. Returns whether it tried, which may have taken long.
pub(super) async fn mend(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    relation: &Relation,
) -> Result<bool, Error> {
    let is_missing = |index: &Index| {
        let serves = |column: &Column| column.name == index.leads_with && column.leads_an_index;
        !relation.columns.iter().any(serves)
    };
    let missing: Vec<Index> = source::indexes(definition.documented).filter(is_missing).collect();
    if missing.is_empty() || !connection.is_own() {
        return Ok(false);
    }
    if relation.is_partitioned && !is_empty(connection, name).await? {
        return Ok(false);
    }
    let how = if relation.is_partitioned { "" } else { "CONCURRENTLY" };
    let tried = connection.look(&format!("SELECT pg_try_advisory_lock({MAKING_LOCK})"), &[]).await?;
    if !tried[0].get::<_, bool>(0) {
        return Ok(false);
    }
    let before = connection.look("SELECT current_setting('lock_timeout')", &[]).await?;
    connection.look(WAIT, &[]).await?;
    let outcome = make_all(connection, name, &missing, how).await;
    let restored = "SELECT set_config('lock_timeout', $1, false)";
    connection.look(restored, &[(&before[0].get::<_, &str>(0), Type::TEXT)]).await?;
    connection.look(&format!("SELECT pg_advisory_unlock({MAKING_LOCK})"), &[]).await?;
    outcome.map(|()| true)
}

/// Whether there are no rows, so that an index is made at once. False if this role may not read the table.
async fn is_empty(connection: &Connection, name: &str) -> Result<bool, Error> {
    let rows = connection.look(&format!("SELECT NOT EXISTS (SELECT FROM {name})"), &[]).await;
    match rows {
        Ok(rows) => Ok(rows[0].get(0)),
        Err(error) => only_of_the_server(error).map(|()| false),
    }
}

async fn make_all(connection: &Connection, name: &str, missing: &[Index], how: &str) -> Result<(), Error> {
    for index in missing {
        if !drop_unfinished(connection, name, index).await? || has(connection, name, index).await? {
            continue;
        }
        if let Err(error) = make(connection, name, index, how).await {
            only_of_the_server(error)?;
            drop_unfinished(connection, name, index).await?;
        }
    }
    Ok(())
}

/// Whether another process has made the index since this one checked.
async fn has(connection: &Connection, name: &str, index: &Index) -> Result<bool, Error> {
    let sql =
        "SELECT EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
                               WHERE indrelid = to_regclass($1) AND attname = $2)";
    let rows = connection.look(sql, &[(&name, Type::TEXT), (&index.leads_with, Type::TEXT)]).await?;
    Ok(rows[0].get(0))
}

/// Drops an index like this one that no session is building any more. Returns whether none is left.
async fn drop_unfinished(connection: &Connection, name: &str, index: &Index) -> Result<bool, Error> {
    let columns = index.on.split_once(')').map_or(index.on, |(columns, _)| columns);
    let rows = connection.look(UNFINISHED, &[(&name, Type::TEXT), (&columns, Type::TEXT)]).await?;
    for row in &rows {
        let unfinished: &str = row.get(0);
        if let Err(error) = drop_if_unfinished(connection, name, unfinished).await {
            only_of_the_server(error)?;
            connection.execute("ROLLBACK").await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// With an exclusive lock on the table, so that no session is building the index; by now it may have become valid.
async fn drop_if_unfinished(connection: &Connection, name: &str, unfinished: &str) -> Result<(), Error> {
    connection.execute(&format!("{BEGIN}; SET LOCAL lock_timeout = '20ms'")).await?;
    connection.execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
    let sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";
    let rows = connection.look(sql, &[(&unfinished, Type::TEXT)]).await?;
    if rows.first().is_some_and(|row| !row.get::<_, bool>(0)) {
        connection.execute(&format!("DROP INDEX {unfinished}")).await?;
    }
    connection.execute("COMMIT").await
}

/// What the server refuses is left undone; a lost connection is a failure for the caller.
fn only_of_the_server(error: Error) -> Result<(), Error> {
    match error.sqlstate() {
        Some(_) => Ok(()),
        None => Err(error),
    }
}
