//! Looks in the catalogue, and makes what is missing and nothing else.
//!
//! 1. Look: one read of the catalogue, which needs no rights on the table and takes no lock that a writer minds.
//! 2. Only where the table is missing: begin, take an advisory transaction lock, look again, create, commit. The lock
//!    makes any number of processes that start at once take turns (`CREATE TABLE IF NOT EXISTS` alone fails with 23505
//!    on `pg_type` when two run it together); the second look, at read committed, sees what the first to come made.
//! 3. Somebody who does not know our lock, such as the pg-based adapter, may still create between look and create:
//!    then the server says so, and the look is taken anew.

use tokio_postgres::types::Type;

use super::table::{Column, Definition, Durability, Index};
use crate::link::{Connection, Error};

const SCHEMA: &str = include_str!("schema.sql");

/// "goscope1" in ASCII: advisory locks share one space of numbers, so this one is unlike what others would pick.
const CREATION_LOCK: i64 = 0x676f_7363_6f70_6531;

/// How often creation is tried anew when somebody else creates the same at the same moment.
const ATTEMPTS: usize = 10;

const COLUMNS: &str = "
SELECT a.attname::text, a.atttypid = 'timestamptz'::regtype,
       CASE WHEN a.atttypid = 'varchar'::regtype AND a.atttypmod > 4 THEN a.atttypmod - 4 END::int8,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum)
  FROM pg_attribute a
 WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

const NAME_IS_TAKEN: &str = "
SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1
                  AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($2)))";

/// The table's columns; none where there is no such table.
pub(super) async fn columns(connection: &Connection, name: &str) -> Result<Vec<Column>, Error> {
    let rows = connection.look(COLUMNS, &[(&name, Type::TEXT)]).await?;
    let column = |row: &tokio_postgres::Row| Column {
        name: row.get(0),
        has_time_zone: row.get(1),
        max_chars: row.get::<_, Option<i64>>(2).map(|chars| chars as usize),
        leads_an_index: row.get(3),
    };
    Ok(rows.iter().map(column).collect())
}

/// Makes a table with its indexes, unless somebody else just did.
pub(super) async fn create(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    durability: Durability,
) -> Result<Vec<Column>, Error> {
    let mut attempt = 1;
    loop {
        match create_once(connection, name, definition, durability).await {
            Ok(()) => return columns(connection, name).await,
            Err(error) => {
                let _ = connection.execute("ROLLBACK").await;
                let raced = matches!(error.sqlstate(), Some("23505" | "42P07" | "40001" | "40P01" | "XX000"));
                if !raced || attempt == ATTEMPTS {
                    return Err(error);
                }
                attempt += 1;
            }
        }
    }
}

async fn create_once(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    durability: Durability,
) -> Result<(), Error> {
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    connection.execute(&format!("SELECT pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    if columns(connection, name).await?.is_empty() {
        let documented = section(definition.section);
        let wanted = match durability {
            Durability::Unlogged => documented.replace("CREATE TABLE", "CREATE UNLOGGED TABLE"),
            Durability::Full | Durability::Async => documented.to_owned(),
        };
        connection.execute(&wanted.replace("{table}", name)).await?;
        for index in definition.indexes {
            make_index(connection, name, index, "").await?;
        }
    }
    connection.execute("COMMIT").await
}

/// `how` is empty or `CONCURRENTLY`. The server picks a name where none is documented, or somebody else has it.
async fn make_index(connection: &Connection, table: &str, index: &Index, how: &str) -> Result<(), Error> {
    let name = match index.name {
        Some(wanted) if !name_is_taken(connection, wanted, table).await? => wanted,
        _ => "",
    };
    connection.execute(&format!("CREATE INDEX {how} {name} ON {table} {}", index.on)).await
}

async fn name_is_taken(connection: &Connection, index: &str, table: &str) -> Result<bool, Error> {
    let rows = connection.look(NAME_IS_TAKEN, &[(&index, Type::TEXT), (&table, Type::TEXT)]).await?;
    Ok(rows[0].get(0))
}

/// Makes the indexes that an existing table lacks, concurrently, so that no writer waits. One that is not valid counts
/// as present: another process may be building it. Best effort: the adapter is right without them, only slower, and a
/// role without the right to make one must still be able to connect.
pub(super) async fn mend(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    columns: &[Column],
) -> Result<(), Error> {
    for index in definition.indexes {
        let serves = |column: &Column| column.name == index.leads_with && column.leads_an_index;
        if columns.iter().any(serves) {
            continue;
        }
        match make_index(connection, name, index, "CONCURRENTLY").await {
            Err(error) if error.sqlstate().is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn section(title: &str) -> &'static str {
    let head = format!("-- section: {title}\n");
    let start = SCHEMA.find(&head).expect("schema.sql has the section") + head.len();
    let body = &SCHEMA[start..];
    &body[..body.find("\n-- section:").unwrap_or(body.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_one_table_each() {
        for title in ["locks", "circuits", "cache", "cache table", "checkpoints", "idempotency"] {
            assert_eq!(section(title).matches("CREATE TABLE {table}").count(), 1, "{title}");
        }
    }
}
