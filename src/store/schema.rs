//! Reads the catalogue, and makes what is missing and nothing else.
//!
//! 1. Look: one read of the catalogue, which needs no rights on the table and takes no lock that blocks a writer.
//! 2. Only if the table is missing: begin, take an advisory transaction lock, look again, create, commit. The lock
//!    lets only one process create at a time, however many start at once (`CREATE TABLE IF NOT EXISTS` alone fails
//!    with 23505 on `pg_type` when two run it together). The second look, at read committed, sees the tables that the
//!    first process has made.
//! 3. The additions to the documented schema (`sql/source/additions.sql`) are made with a new table. For an existing table,
//!    `connect()` adds them, if the role owns it and no other session keeps the table busy.
//! 4. Functions and triggers count only if the table's owner owns the functions: see [`Function`].
//! 5. An application that does not take our lock, such as the pg-based adapter, may still create between look and
//!    create. Then the server reports an error, and the look is repeated.

use tokio::time::sleep;
use tokio_postgres::types::Type;

use super::definition::{Definition, Durability};
use super::relation::{Column, Function, Relation};
use super::{indexes, owner, source};
use crate::engine::{BEGIN, Connection, Error, LOCK_NOT_AVAILABLE, is_of_a_creation_race};
use crate::tuning::tables;

/// "goscope1" in ASCII: advisory locks share one space of numbers, so this one is unlike the choices of others.
const CREATION_LOCK: i64 = 0x676f_7363_6f70_6531;

/// Adding a column needs an exclusive lock on the table for a moment, and sessions that use the table meanwhile queue
/// behind the wait for it. So each wait is short, and there are several; after these, the next `connect()` tries
/// again.
const ADDITIONS_WAIT: &str = "SET LOCAL lock_timeout = '20ms'";
/// One row per column of each table; `place` is the position of the table's name in the given list, from 1. A
/// sequence is suitable if it hands out each number once and in order, and the role may draw from it.
///
/// The statement is planned at each start, and each joined catalogue costs more to plan than all the rows cost to
/// read. So it reads all tables at once (four, on a new connection: 3.4 ms of the server's CPU, and 6.7 one by one).
/// It uses functions in place of joins where such functions exist. It has `OFFSET 0`, so that what exists once per
/// table is found once. Only for columns of a sequence's width does it check for a sequence.
///
/// A trigger counts by the function that it runs, not by its name alone. A function has its version after its name;
/// it has nothing there if neither the table's owner owns it nor the role 10, which made the database cluster.
const COLUMNS: &str = "
SELECT a.attname::text, a.atttypid = 'timestamptz'::regtype,
       CASE WHEN a.atttypid = 'varchar'::regtype AND a.atttypmod > 4 THEN a.atttypmod - 4 END::int8,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indisvalid),
       has_column_privilege(c.oid, a.attnum, 'SELECT') AND has_column_privilege(c.oid, a.attnum, 'INSERT')
         AND has_column_privilege(c.oid, a.attnum, 'UPDATE'),
       a.sequence,
       coalesce(CASE WHEN has_sequence_privilege(a.sequence, 'USAGE')
                     THEN (SELECT increment = 1 AND cache_size = 1 AND NOT cycle_option
                             FROM pg_sequence_parameters(a.sequence::regclass)) END, false),
       c.place, c.schema, c.name, c.is_ours, c.is_logged, c.triggers, c.functions, a.atttypid::regtype::text, c.is_partitioned,
       c.is_beside_citus
  FROM (SELECT asked.place, oid, relnamespace::regnamespace::text AS schema, quote_ident(relname) AS name,
               pg_get_userbyid(relowner) = current_user AS is_ours, relpersistence <> 'u' AS is_logged, relkind = 'p' AS is_partitioned,
               to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL AS is_beside_citus,
               ARRAY(SELECT tgname::text FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
                      WHERE tgrelid = pg_class.oid AND tgenabled IN ('O', 'A') AND proowner IN (relowner, 10)
                        AND proname IN ('go_goscope_notify', 'go_goscope_notify_all')
                        AND pronamespace = relnamespace) AS triggers,
               ARRAY(SELECT concat_ws(' ', proname, CASE WHEN proowner IN (relowner, 10) THEN
                              coalesce(substring(prosrc FROM 'goscope-postgres additions ([0-9]{1,9})'), '0') END)
                       FROM pg_proc
                      WHERE proname >= 'go_goscope_' AND proname < 'go_goscope`' AND pronamespace = relnamespace
                        AND (pronargs = 0 OR proname = 'go_goscope_check_fencing_token')) AS functions
          FROM unnest($1) WITH ORDINALITY AS asked (name, place)
          JOIN pg_class ON oid = to_regclass(asked.name) OFFSET 0) AS c
  JOIN (SELECT *, CASE WHEN atttypid = 'int8'::regtype AND attidentity = '' AND attnum > 0 AND NOT attisdropped
                       THEN pg_get_serial_sequence(attrelid::regclass::text, attname) END AS sequence
          FROM pg_attribute) AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped";

/// Tables as read from the catalogue, in the order of their names; none if there is no such table.
pub(super) async fn find_all(
    connection: &Connection,
    names: &[&str],
) -> Result<Vec<Option<Relation>>, Error> {
    let rows = connection.look(COLUMNS, &[(&names, Type::TEXT_ARRAY)]).await?;
    let mut found: Vec<Option<Relation>> = names.iter().map(|_| None).collect();
    for row in &rows {
        let place = row.get::<_, i64>(7) as usize - 1;
        let relation = found[place].get_or_insert_with(|| Relation {
            columns: Vec::new(),
            schema: row.get(8),
            name: row.get(9),
            is_ours: row.get(10),
            is_logged: row.get(11),
            is_partitioned: row.get(15),
            is_beside_citus: row.get(16),
            triggers: row.get(12),
            functions: row.get::<_, Vec<String>>(13).iter().map(|known| function(known)).collect(),
        });
        relation.columns.push(Column {
            name: row.get(0),
            // Under quote_all_identifiers the server quotes the names of types, too.
            data_type: row.get::<_, &str>(14).trim_matches('"').to_owned(),
            has_time_zone: row.get(1),
            max_chars: row.get::<_, Option<i64>>(2).map(|chars| chars as usize),
            leads_an_index: row.get(3),
            is_usable: row.get(4),
            sequence: row.get(5),
            sequence_serves: row.get(6),
        });
    }
    Ok(found)
}

fn function(known: &str) -> Function {
    let (name, version) =
        known.split_once(' ').map_or((known, None), |(name, version)| (name, Some(version)));
    let number = version.and_then(|version| version.parse().ok()).unwrap_or(0);
    Function { name: name.to_owned(), is_trusted: version.is_some(), version: number }
}

pub(super) async fn find(connection: &Connection, name: &str) -> Result<Option<Relation>, Error> {
    Ok(find_all(connection, &[name]).await?.pop().flatten())
}

/// Makes a table with its indexes, unless another session has just made it.
pub(super) async fn create(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    durability: Durability,
) -> Result<Option<Relation>, Error> {
    let mut attempt = 1;
    loop {
        match create_once(connection, name, definition, durability).await {
            Ok(()) => {
                // Another role may have made it since the first look.
                let found = find(connection, name).await?;
                if let Some(relation) = &found {
                    owner::check(connection, relation).await?;
                }
                return Ok(found);
            }
            Err(error) => {
                // Without an answer, the connection is not used again.
                if error.sqlstate().is_some() {
                    let _ = connection.execute("ROLLBACK").await;
                }
                let raced = error.sqlstate().is_some_and(is_of_a_creation_race);
                if !raced || attempt == tables::CREATION_TRIES {
                    return Err(error);
                }
                sleep(tables::CREATION_PAUSE * attempt as u32).await;
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
    connection.execute(BEGIN).await?;
    connection.execute(&format!("SELECT pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    if find(connection, name).await?.is_none() {
        let is_unlogged = durability == Durability::Unlogged;
        connection.execute(&source::table(definition.documented, name, is_unlogged)).await?;
        for index in source::indexes(definition.documented) {
            indexes::make(connection, name, &index, "").await?;
        }
        add(connection, name, definition).await?;
    }
    connection.execute("COMMIT").await
}

/// Makes the additions that an existing table lacks, if the role owns it, and returns whether it did. Best effort, as
/// [`mend`]: everything documented works without them.
pub(super) async fn supplement(
    connection: &Connection,
    name: &str,
    definition: &Definition,
    relation: &Relation,
) -> Result<bool, Error> {
    if !relation.is_ours || definition.additions.iter().all(|addition| addition.is_settled(relation)) {
        return Ok(false);
    }
    for tries in 1.. {
        let Err(error) = supplement_once(connection, name, definition).await else { break };
        if error.sqlstate().is_none() {
            return Err(error);
        }
        connection.execute("ROLLBACK").await?;
        if error.sqlstate() != Some(LOCK_NOT_AVAILABLE) || tries == tables::ADDITIONS_TRIES {
            break;
        }
        sleep(tables::ADDITIONS_PAUSE).await;
    }
    Ok(true)
}

async fn supplement_once(connection: &Connection, name: &str, definition: &Definition) -> Result<(), Error> {
    connection.execute(BEGIN).await?;
    connection.execute(ADDITIONS_WAIT).await?;
    connection.execute(&format!("SELECT pg_advisory_xact_lock({CREATION_LOCK})")).await?;
    connection.execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
    add(connection, name, definition).await?;
    connection.execute("COMMIT").await
}

/// Within a transaction: makes the additions that are missing, each by itself. One that cannot be made is left out.
async fn add(connection: &Connection, name: &str, definition: &Definition) -> Result<(), Error> {
    for addition in definition.additions {
        // Read again each time: by now another process may have made it.
        let Some(relation) = find(connection, name).await? else { return Ok(()) };
        if addition.is_settled(&relation) {
            continue;
        }
        connection.execute("SAVEPOINT addition").await?;
        match connection.execute(&addition.sql(definition.documented, &relation)).await {
            // Another role may have made a function in between. Its body was replaced, but that role still owns it.
            Ok(()) => match find(connection, name).await?.is_some_and(|now| addition.is_current(&now)) {
                true => connection.execute("RELEASE SAVEPOINT addition").await?,
                false => connection.execute("ROLLBACK TO SAVEPOINT addition").await?,
            },
            Err(error) if error.sqlstate().is_none() => return Err(error),
            Err(_) => connection.execute("ROLLBACK TO SAVEPOINT addition").await?,
        }
    }
    Ok(())
}
