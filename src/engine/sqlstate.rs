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

/// Codes and, where all of a class or group have the same recovery, what they begin with. The first match counts.
const RECOVERIES: [(&str, Recovery); 15] = [
    // Of the connection: by the server, or by a pooler in between.
    ("08", Recovery::LoseConnection),
    // A shutdown, a crash, a start, a database that was dropped, a session that was idle for too long.
    ("57P0", Recovery::LoseConnection),
    // A serialization failure, a deadlock.
    ("40001", Recovery::Retry),
    ("40P01", Recovery::Retry),
    // No such table, no such column, no right.
    ("42P01", Recovery::PrepareAgain),
    ("42703", Recovery::PrepareAgain),
    (INSUFFICIENT_PRIVILEGE, Recovery::PrepareAgain),
    // No such prepared statement; a prepared statement that exists already.
    ("26000", Recovery::SendUnnamed),
    ("42P05", Recovery::SendUnnamed),
    // "cached plan must not change result type", after DDL.
    ("0A000", Recovery::ForgetStatements),
    // A read-only transaction.
    ("25006", Recovery::FindPrimary),
    // A wait that was cut short by lock_timeout, and one by statement_timeout or by a cancel request.
    (LOCK_NOT_AVAILABLE, Recovery::RetryUntilDeadline),
    ("57014", Recovery::RetryUntilDeadline),
    // Out of disk space, memory or connections.
    ("53", Recovery::RetryUntilDeadline),
    ("", Recovery::Report),
];

pub(crate) fn recovery(code: &str) -> Recovery {
    RECOVERIES
        .iter()
        .find_map(|(start, recovery)| code.starts_with(start).then_some(*recovery))
        .unwrap_or(Recovery::Report)
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
    fn each_code_has_the_recovery_of_its_entry_and_no_entry_hides_another() {
        for (place, (start, expected)) in RECOVERIES.iter().enumerate() {
            assert_eq!(recovery(start), *expected, "{start}");
            for (earlier, _) in &RECOVERIES[..place] {
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
        assert_eq!(recovery("23505"), Recovery::Report);
        assert_eq!(recovery("40002"), Recovery::Report);
    }
}
