//! Which roles may own a table that a superuser writes to.
//!
//! The owner of a table decides what its triggers, rules and defaults do, and they run with the rights of the role
//! that writes. In a schema where many roles may create, one of them can make a table under our name before we do. A
//! superuser that writes to it would then run code of that role. PostgreSQL's extensions refuse such objects for the
//! same reason (CVE-2022-2625).
//!
//! The check cannot be undone afterwards: a table goes to another role only by an owner that passed it, or by a
//! superuser. For roles without a superuser's rights the check would refuse the tables of a migration role, since
//! nothing in the catalogue distinguishes such a role from any other. There `doctor` names the owner.

use tokio_postgres::types::Type;

use super::relation::Relation;
use crate::engine::{Connection, Error};

/// Whether the owner of `class` could do the same without the table: it is this role itself, a superuser, or the
/// owner of the schema or the database.
macro_rules! is_trusted_owner {
    () => {
        "(pg_get_userbyid(class.relowner) = current_user
                 OR (SELECT rolsuper FROM pg_roles WHERE oid = class.relowner)
                 OR class.relowner = (SELECT nspowner FROM pg_namespace WHERE oid = class.relnamespace)
                 OR class.relowner = (SELECT datdba FROM pg_database WHERE datname = current_database()))"
    };
}

/// Whether a trigger could act as a superuser here: it can RESET ROLE to the role that logged in.
macro_rules! is_superuser {
    () => {
        "EXISTS (SELECT FROM pg_roles WHERE rolsuper AND rolname IN (current_user, session_user))"
    };
}

pub(super) use {is_superuser, is_trusted_owner};

const UNTRUSTED_OWNER: &str = concat!(
    "SELECT pg_get_userbyid(class.relowner)::text FROM pg_class AS class
      WHERE class.oid = to_regclass($1) AND NOT ",
    is_trusted_owner!(),
    " AND ",
    is_superuser!()
);

/// Fails if this session has a superuser's rights, and the table's owner could gain them through it. A table of our
/// own needs no check.
pub(super) async fn check(connection: &Connection, relation: &Relation) -> Result<(), Error> {
    if relation.is_ours {
        return Ok(());
    }
    let table = format!("{}.{}", relation.schema, relation.name);
    let rows = connection.look(UNTRUSTED_OWNER, &[(&table, Type::TEXT)]).await?;
    match rows.first() {
        Some(row) => Err(Error::TableOwner { table, role: row.get(0) }),
        None => Ok(()),
    }
}
