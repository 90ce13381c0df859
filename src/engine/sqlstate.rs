//! What an error code of the server means for us. Everything that depends on a code reads it here.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. A code has five characters; its first two
//! are its class.

pub const LOCK_NOT_AVAILABLE: &str = "55P03";
pub(crate) const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// The session was terminated: by `pg_terminate_backend`, or since the server shuts down.
pub(crate) const ADMIN_SHUTDOWN: &str = "57P01";
pub(crate) const IN_FAILED_TRANSACTION: &str = "25P02";

/// What follows when a statement fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// The connection is lost. It is unknown what the server did: the error may come after the commit.
    LoseConnection,
    /// The server has rolled the statement back. It is retried.
    Retry,
    /// The server has undone the statement, for a reason that may pass. It is retried until the call's retry deadline.
    RetryUntilDeadline,
    /// The table, a part of it, or the right to use it is gone. The table is prepared again, once.
    PrepareAgain,
    /// The server does not know our prepared statement, or knows another by its name: a transaction pooler. From here
    /// on statements are sent without a name.
    SendUnnamed,
    /// A prepared statement no longer fits its table. It is prepared again, once.
    ForgetStatements,
    /// A primary has become a standby, and nothing was written. Another connection may find the primary.
    FindPrimary,
    /// The caller gets the error.
    Report,
}

/// What a code means for us.
struct Meaning {
    /// The code or, if all of a class or group have the same meaning, what they begin with.
    start: &'static str,
    recovery: Recovery,
    /// What the user of the command may do about it.
    advice: Option<&'static str>,
}

const fn meaning(start: &'static str, recovery: Recovery) -> Meaning {
    Meaning { start, recovery, advice: None }
}

const fn advised(start: &'static str, recovery: Recovery, advice: &'static str) -> Meaning {
    Meaning { start, recovery, advice: Some(advice) }
}

/// The first match counts.
const MEANINGS: [Meaning; 23] = [
    advised(
        "08P01",
        Recovery::LoseConnection,
        "Through PgBouncer: is its pool_mode transaction or session (statement mode refuses transactions), is the \
         password right, and does it know each start-up parameter that you set (`ignore_startup_parameters`)?",
    ),
    // Of the connection: by the server, or by a pooler in between.
    meaning("08", Recovery::LoseConnection),
    advised(
        "57P03",
        Recovery::LoseConnection,
        "The server is starting up or shutting down. Try again in a moment.",
    ),
    // A shutdown, a crash, a start, a database that was dropped, a session that was idle for too long.
    meaning("57P0", Recovery::LoseConnection),
    // A serialization failure, a deadlock.
    meaning("40001", Recovery::Retry),
    meaning("40P01", Recovery::Retry),
    // No such table, no such column, no right.
    advised(
        "42P01",
        Recovery::PrepareAgain,
        "connect() makes the table, and so does `goscope-postgres schema | psql`. Or is it in another schema or \
         database?",
    ),
    advised("42703", Recovery::PrepareAgain, "A table lacks a column: `goscope-postgres doctor` says which."),
    advised(
        INSUFFICIENT_PRIVILEGE,
        Recovery::PrepareAgain,
        "The role has not the right: see sql/role.sql, or run `goscope-postgres doctor`.",
    ),
    // No such prepared statement; a prepared statement that exists already.
    meaning("26000", Recovery::SendUnnamed),
    meaning("42P05", Recovery::SendUnnamed),
    // "cached plan must not change result type", after DDL.
    meaning("0A000", Recovery::ForgetStatements),
    // A read-only transaction.
    advised("25006", Recovery::FindPrimary, "The server is read-only: a standby?"),
    // A transaction of ours that waited too long for the rest of it, or took too long.
    meaning("25P03", Recovery::LoseConnection),
    meaning("25P04", Recovery::LoseConnection),
    // A wait that was cut short by lock_timeout, and one by statement_timeout or by a cancel request.
    meaning(LOCK_NOT_AVAILABLE, Recovery::RetryUntilDeadline),
    advised("57014", Recovery::RetryUntilDeadline, "The server’s statement_timeout cut it short."),
    advised(
        "53300",
        Recovery::RetryUntilDeadline,
        "The server has no connection left. Close some, or raise max_connections.",
    ),
    // Out of disk space, memory or connections.
    meaning("53", Recovery::RetryUntilDeadline),
    advised(
        "28000",
        Recovery::Report,
        "pg_hba.conf of the server does not let this user in from here, or not without TLS.",
    ),
    advised(
        "28P01",
        Recovery::Report,
        "The password is wrong: see PGPASSWORD, the URL or the password file.",
    ),
    advised(
        "3D000",
        Recovery::Report,
        "There is no such database (--url, DATABASE_URL or the PG* variables).",
    ),
    meaning("", Recovery::Report),
];

fn meaning_of(code: &str) -> &'static Meaning {
    MEANINGS.iter().find(|meaning| code.starts_with(meaning.start)).expect("the last one is for every code")
}

pub(crate) fn recovery(code: &str) -> Recovery {
    meaning_of(code).recovery
}

pub fn advice(code: &str) -> Option<&'static str> {
    meaning_of(code).advice
}

/// Whether another host of the same configuration may accept the connection that this one has refused: it is starting,
/// shutting down, full, or out of reach.
pub(crate) fn is_of_one_host(code: &str) -> bool {
    matches!(code, ADMIN_SHUTDOWN | "57P02" | "57P03" | "53300") || code.starts_with("08")
}

/// Whether the server may have refused our start-up options, and not the application. Poolers and other servers have
/// many codes for that: 08P01 (PgBouncer), 0A000 (Amazon's RDS Proxy), 22023, 42501, 42704. So it is any error except
/// those with another meaning: the client's identity (28), the database (3D), no room (53), a shutdown or start (57), a
/// broken connection (08). PgBouncer's code for a wrong password is 08P01 as well. A password is not tried twice,
/// because some servers count failures.
pub(crate) fn may_refuse_options(code: &str, was_answered: bool) -> bool {
    match code.get(..2) {
        Some("08") => code == "08P01" && !was_answered,
        Some("28" | "3D" | "53" | "57") => false,
        _ => true,
    }
}

/// Whether another session may have created the same object at the same moment. `CREATE TABLE IF NOT EXISTS` then
/// fails with a unique violation in the catalogue, a duplicate, or "tuple concurrently updated" (XX000).
pub fn is_of_a_creation_race(code: &str) -> bool {
    matches!(code, "23505" | "42P07" | "40001" | "40P01" | "XX000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_meaning_of_its_entry_and_no_entry_hides_another() {
        for (place, Meaning { start, recovery: expected, advice: advised }) in MEANINGS.iter().enumerate() {
            assert_eq!((recovery(start), advice(start)), (*expected, *advised), "{start}");
            for Meaning { start: earlier, .. } in &MEANINGS[..place] {
                assert!(!start.starts_with(earlier), "{earlier} hides {start}");
            }
        }
    }

    #[test]
    fn a_class_is_not_a_code() {
        assert_eq!(
            recovery("57014"),
            Recovery::RetryUntilDeadline,
            "a cancelled statement keeps its connection"
        );
        assert_eq!(recovery("57P01"), Recovery::LoseConnection);
        assert_eq!(recovery("53300"), Recovery::RetryUntilDeadline);
        assert_eq!(recovery("08P01"), recovery("08006"));
        assert_eq!(recovery("57P03"), recovery("57P01"));
        assert_eq!(recovery("23505"), Recovery::Report);
        assert_eq!(recovery("40002"), Recovery::Report);
    }
}
