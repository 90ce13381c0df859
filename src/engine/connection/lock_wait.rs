//! For how long a statement may wait for a lock that another transaction holds.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::Row;

use crate::engine::error::Error;

/// The user's own limits in milliseconds, for waits and for whole statements, read before any of our settings are
/// made. The settings are text such as `5s`, which is a valid interval, too.
pub(crate) const USERS_LIMITS: &str = "\
    (extract(epoch FROM current_setting('lock_timeout')::interval) * 1000)::int4, \
    (extract(epoch FROM current_setting('statement_timeout')::interval) * 1000)::int4";

/// What [`USERS_LIMITS`] gives; 0 for no limit.
#[derive(Clone, Copy, Default)]
pub(crate) struct UsersLimits {
    pub(crate) lock_timeout_ms: u32,
    pub(crate) statement_timeout_ms: u32,
}

impl UsersLimits {
    /// `at`: the first of the two columns.
    pub(crate) fn of_row(row: &Row, at: usize) -> Self {
        let ms = |at| row.get::<_, i32>(at).unsigned_abs();
        Self { lock_timeout_ms: ms(at), statement_timeout_ms: ms(at + 1) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LockWait {
    /// As long as the user's own limits allow: `lock_timeout` of the pool, the role, the database or the server.
    Users,
    /// No longer than this, or the user's limit if that is shorter.
    AtMost(Duration),
}

impl LockWait {
    /// PostgreSQL's `lock_timeout` in milliseconds, 0 for no limit. `users`: the user's own.
    fn timeout_ms(self, users: u32) -> u32 {
        match self {
            Self::AtMost(limit) if users == 0 => limit.as_millis() as u32,
            Self::AtMost(limit) => users.min(limit.as_millis() as u32),
            Self::Users => users,
        }
    }

    /// Whether a wait that was cut short (55P03) reached this limit, and not the user's.
    fn is_ours(self, users: u32) -> bool {
        self.timeout_ms(users) != users
    }
}

/// The limit of a session, in milliseconds; 0 for none.
pub(crate) struct LockTimeout {
    users: AtomicU32,
    statement: AtomicU32,
    /// The current setting of our own session.
    current: AtomicU32,
}

impl LockTimeout {
    pub(crate) fn of_session(limits: UsersLimits) -> Self {
        let [users, statement, current] =
            [limits.lock_timeout_ms, limits.statement_timeout_ms, limits.lock_timeout_ms].map(AtomicU32::new);
        Self { users, statement, current }
    }

    /// Stores the user's limits again: a connect hook may have set others.
    pub(crate) fn set_users(&self, limits: UsersLimits) {
        self.users.store(limits.lock_timeout_ms, Ordering::Relaxed);
        self.statement.store(limits.statement_timeout_ms, Ordering::Relaxed);
        self.current.store(limits.lock_timeout_ms, Ordering::Relaxed);
    }

    fn users(&self) -> u32 {
        self.users.load(Ordering::Relaxed)
    }

    /// Whether a wait in several parts, which add up to `waited`, has reached the user's own limit. If so, returns
    /// the error of the last part, as the server would have reported it.
    pub(crate) fn over(&self, waited: Duration, last: &Error) -> Option<Error> {
        let is_over = |limit: u32| limit > 0 && waited >= Duration::from_millis(limit.into());
        if is_over(self.statement.load(Ordering::Relaxed)) {
            return Some(last.as_statement_timeout());
        }
        is_over(self.users()).then(|| last.clone())
    }

    /// Whether a wait that was cut short (55P03) reached a limit of ours.
    pub(crate) fn is_ours(&self, wait: LockWait) -> bool {
        wait.is_ours(self.users())
    }

    /// The statement that sets the limit in our own session, unless it is set already. It must be sent before any
    /// other.
    pub(crate) fn change(&self, wait: LockWait) -> Option<String> {
        let limit = wait.timeout_ms(self.users());
        let is_new = self.current.swap(limit, Ordering::Relaxed) != limit;
        is_new.then(|| format!("SET lock_timeout = {limit}"))
    }

    /// The statement that limits the waits of a transaction.
    pub(crate) fn local(&self, wait: LockWait) -> String {
        format!("SET LOCAL lock_timeout = {}", wait.timeout_ms(self.users()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::lock_waits;

    #[test]
    fn the_shorter_limit_counts_and_only_a_limit_of_ours_is_retried() {
        let shared = LockWait::AtMost(lock_waits::SHARED);
        assert_eq!((shared.timeout_ms(0), shared.is_ours(0)), (150, true));
        assert_eq!((shared.timeout_ms(5_000), shared.is_ours(5_000)), (150, true));
        assert_eq!((shared.timeout_ms(100), shared.is_ours(100)), (100, false));
        assert_eq!((LockWait::Users.timeout_ms(0), LockWait::Users.is_ours(0)), (0, false));
        assert_eq!((LockWait::Users.timeout_ms(70), LockWait::Users.is_ours(70)), (70, false));
    }
}
