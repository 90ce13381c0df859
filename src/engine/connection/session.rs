//! The server session behind a connection: whether it is our own, and which backend serves it.
//!
//! This is decided once, before the application's hooks run and before anything is set. A pooler that gives one server
//! session to several clients in turn must never see a `SET` or a prepared statement from this package: the settings
//! would apply to other applications, and prepared statements of two processes would collide under one name.

use std::hash::{BuildHasher, RandomState};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::engine::connection::description::TargetSession;
use crate::engine::connection::lock_wait::{USERS_LIMITS, UsersLimits};
use crate::engine::connection::routing::to_primary;
use crate::engine::error::Error;

/// The setting that carries a [`Mark`].
pub(crate) const MARK_SETTING: &str = "goscope_postgres.session";

/// A value that only one start-up packet has ever carried. A session that shows it was started by that packet, so no
/// pooler took it from its stock for this client. It is never set by a statement, because a statement reaches shared
/// sessions, too.
pub(crate) struct Mark(String);

impl Mark {
    pub(crate) fn new() -> Self {
        let random = || RandomState::new().hash_one(());
        Self(format!("own-{:016x}{:016x}", random(), random()))
    }

    pub(crate) fn value(&self) -> &str {
        &self.0
    }
}

/// A server process, unique over the life of the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    /// Microseconds since 1970 of its start, from [`STARTED`]. The operating system reuses process ids.
    pub(crate) started: String,
}

/// The start of a backend as text that does not depend on DateStyle, TimeZone or extra_float_digits. `backend_start` is
/// a column of `pg_stat_get_activity(pid)` and of `pg_stat_activity`.
pub(crate) const STARTED: &str = "(extract(epoch FROM backend_start) * 1000000)::bigint::text";

pub(crate) struct Session {
    /// Whether this connection alone uses the session until it ends.
    pub(crate) is_own: bool,
    /// Only of an own session: a shared session's backend serves other clients, too.
    pub(crate) backend: Option<Backend>,
    /// Not `read committed` by default.
    pub(crate) has_other_isolation: bool,
    /// The application's own.
    pub(crate) limits: UsersLimits,
    in_recovery: bool,
    is_read_only: bool,
}

impl Session {
    /// Asks the server, in one round trip and without a prepared statement.
    ///
    /// * The mark was in the start-up packet. A pooler that shares sessions does not pass it on, or has started the
    ///   session for another client, which has another mark.
    /// * `current_setting(…, true)` is NULL if there is no such setting.
    pub(crate) async fn identify(client: &Client, mark: Option<&Mark>) -> Result<Self, Error> {
        let sql = format!(
            "SELECT coalesce(current_setting('{MARK_SETTING}', true) = $1, false),
                    pg_backend_pid(), (SELECT {STARTED} FROM pg_stat_get_activity(pg_backend_pid())),
                    current_setting('default_transaction_isolation') <> 'read committed',
                    {USERS_LIMITS},
                    pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
        );
        let mark = mark.map(Mark::value);
        let rows = client.query_typed(&to_primary(&sql), &[(&mark, Type::TEXT)]).await;
        let rows = rows.map_err(|error| Error::from_protocol(&error))?;
        let Some(row) = rows.first() else {
            return Err(Error::other("the server did not identify its session"));
        };
        let is_own = row.get(0);
        let started: Option<String> = row.get(2);
        // A role that has not logged in itself may not be allowed to see the start. The session is then identified by
        // its process id alone.
        let backend = Backend { pid: row.get(1), started: started.unwrap_or_default() };
        Ok(Self {
            is_own,
            backend: is_own.then_some(backend),
            has_other_isolation: row.get(3),
            limits: UsersLimits::of_row(row, 4),
            in_recovery: row.get(6),
            is_read_only: row.get(7),
        })
    }

    /// Refuses a session that is not of the kind that the configuration requires.
    pub(crate) fn check(&self, wanted: TargetSession) -> Result<(), Error> {
        let (fits, wanted) = match wanted {
            TargetSession::ReadWrite => (!self.is_read_only, "read-write"),
            TargetSession::ReadOnly => (self.is_read_only, "read-only"),
            TargetSession::Primary => (!self.in_recovery, "primary"),
            TargetSession::Standby => (self.in_recovery, "standby"),
            TargetSession::Any | TargetSession::PreferStandby => return Ok(()),
        };
        let found = match (self.in_recovery, self.is_read_only) {
            (true, _) => "a standby",
            (false, true) => "a read-only primary",
            (false, false) => "a primary",
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Unfit {
                message: format!("the server is {found}, and target_session_attrs is {wanted}"),
            }),
        }
    }
}
