//! Reads the holder of a lock, and when its lease ends.

use super::template::{Template, one_or_many};
use crate::engine::Kind;

/// The holder of each key, for owners that check whether they hold it.
pub(super) static HOLDER: Template = one_or_many!(
    "SELECT key::text, owner::text FROM {table} WHERE ",
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND expires_at > {now:expires_at}",
    &[Kind::Text],
);

/// As [`HOLDER`], with the lease's end: in milliseconds since the epoch, by the server's clock, at most the last time
/// of a `Date`.
pub(super) static HOLDER_UNTIL: Template = Template::of_one(
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
pub(super) static AWAIT: Template = Template::of_one(
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
pub(super) static HOLDER_LEFT: Template = Template::of_one(
    "SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at
       FROM {table}
      WHERE key = $1 AND (expires_at > {now:expires_at} OR expires_at IS NULL)",
    &[Kind::Text],
);
