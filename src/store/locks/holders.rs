//! Reads the holder of a lock, and when its lease ends.

use std::time::Duration;

use super::provider::Locks;
use crate::engine::{AccessMode, Answer, Error, Kind, Reply};
use crate::store::call::{Found, one_row};
use crate::store::cells::Cells;
use crate::store::template::{Template, one_or_many};
use crate::time::millis;
use crate::tuning::leases;

/// The holder of each key, for owners that check whether they hold it.
static HOLDER: Template = one_or_many!(
    "SELECT key::text, owner::text FROM {table} WHERE ",
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND expires_at > {now:expires_at}",
    &[Kind::Text],
);

/// As [`HOLDER`], with the lease's end: in milliseconds since the epoch, by the server's clock, at most the last time
/// of a `Date`.
static HOLDER_UNTIL: Template = Template::of_one(
    "SELECT key::text, owner::text, CASE WHEN expires_at IS NOT NULL
            THEN least(floor(extract(epoch FROM expires_at) * 1000), 8640000000000000)::int8 END AS expires_at
       FROM {table}
      WHERE key = $1 AND (expires_at > {now:expires_at} OR expires_at IS NULL)",
    &[Kind::Text],
);

/// Marks a busy lock so that its release notifies the waiters. Returns the remaining time of its lease, in
/// milliseconds, and its owner. No row: the lock is free by now, or its row changed during the wait for it; then the
/// caller tries to take it again.
///
/// A row that is marked already is only read. If its lock is released meanwhile, the notification is sent after this
/// statement's snapshot was taken, so a caller that subscribed before receives it. If a takeover has cleared a mark,
/// no waiter misses it: the lease that the mark stood on has run out, and that is when the waiters check again.
///
/// A lease may be without end ('infinity', by hand): PostgreSQL can subtract its seconds, but before 17 not its time.
///
/// A row whose end is NULL, by hand, is as busy as one that never ends, but cannot be read. It is selected, so that
/// the caller gets an error that says so. Without it, the caller would find the lock neither free nor held, and would
/// try again at once without end.
///
/// The commit does not wait for the disk: if a crash loses a mark, the waiters only wait until their next regular
/// check.
static AWAIT: Template = Template::of_one(
    r#"
{with waking}WITH marked AS (
  UPDATE {table} SET {mark} = true
   WHERE key = $1 AND expires_at > {now:expires_at} AND {mark} IS NOT TRUE
  RETURNING key, owner, expires_at
)
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       set_config('synchronous_commit', 'off', true)
  FROM marked
 UNION ALL {end}
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       ''
  FROM {table} WHERE key = $1 AND (expires_at > {now:expires_at}{with waking} AND {mark}{end} OR expires_at IS NULL)"#,
    &[Kind::Text],
);

/// As [`AWAIT`], without the mark.
static HOLDER_LEFT: Template = Template::of_one(
    "SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at
       FROM {table}
      WHERE key = $1 AND (expires_at > {now:expires_at} OR expires_at IS NULL)",
    &[Kind::Text],
);

/// The holder of a lock, until the last moment of its lease.
pub struct Holder {
    pub owner: String,
    /// In milliseconds since the epoch.
    pub expires_at: i64,
}

/// The holder of a lock that a caller waits for.
pub(super) struct HeldLease {
    pub(super) owner: String,
    /// The remaining time of its lease.
    pub(super) left: Duration,
}

impl Locks {
    pub fn is_valid(&self, key: String, owner: String, reply: Reply<bool>) {
        let read = move |found: Found<'_>| {
            let holder = found.rows.first().map(|row| row.cell::<&str>(1)).transpose()?;
            Ok(Answer::Done(holder == Some(owner.as_str())))
        };
        self.place.engine.submit(self.request(&HOLDER, AccessMode::Shared, key, [], read, reply));
    }

    /// None if no process holds the lock.
    pub fn holder(&self, key: String, reply: Reply<Option<Holder>>) {
        let read = one_row(|_, row| Ok(Holder { owner: row.cell(1)?, expires_at: row.cell(2)? }));
        self.place.engine.submit(self.request(&HOLDER_UNTIL, AccessMode::Shared, key, [], read, reply));
    }

    /// The holder of a lock, and how long its lease lasts. `mark`: its release is to be notified. None: it may be
    /// free by now. Retries transient failures within `retry_time`, if there is one.
    pub(super) async fn await_release(
        &self,
        key: &str,
        mark: bool,
        retry_time: Option<Duration>,
    ) -> Result<Option<HeldLease>, Error> {
        let found = self.held_by(key, mark, retry_time).await?;
        if !mark || found.is_some() {
            return Ok(found);
        }
        // It may be free by now. Or the mark was refused without an error, by a policy that hides rows from UPDATE:
        // then no release is announced, and the next try is soon, but not at once.
        let found = self.held_by(key, false, retry_time).await?;
        Ok(found.map(|HeldLease { owner, left }| HeldLease { owner, left: left.min(leases::LAST_POLL) }))
    }

    async fn held_by(
        &self,
        key: &str,
        mark: bool,
        retry_time: Option<Duration>,
    ) -> Result<Option<HeldLease>, Error> {
        let (reply, outcome) = Reply::awaited();
        let read = one_row(|_, row| Ok(HeldLease { owner: row.cell(1)?, left: millis(row.cell(2)?) }));
        let (statement, mode) =
            if mark { (&AWAIT, AccessMode::Exclusive) } else { (&HOLDER_LEFT, AccessMode::Shared) };
        let request = self.request(statement, mode, key.to_owned(), [], read, reply);
        self.place.engine.submit(match retry_time {
            Some(retry_time) => request.retrying_for(retry_time),
            None => request,
        });
        outcome.await
    }
}
