//! Who holds which lock, and for how long: what is read of a lock that is held.

use super::template::Template;
use crate::link::Kind;

/// Who holds what, for those who ask to find themselves.
pub(super) const HOLDER: Template = Template::of_both(
    "SELECT key::text, owner::text FROM {table} WHERE key = $1 AND expires_at > {now:expires_at}",
    "SELECT key::text, owner::text FROM {table} WHERE key = ANY ($1) AND expires_at > {now:expires_at}",
    &[Kind::Text],
);

/// As [`HOLDER`], and until when: in milliseconds since the epoch, by the server's clock, at most where a `Date` ends.
pub(super) const HOLDER_UNTIL: Template = Template::of_one(
    "SELECT key::text, owner::text, CASE WHEN expires_at IS NOT NULL
            THEN least(floor(extract(epoch FROM expires_at) * 1000), 8640000000000000)::int8 END AS expires_at
       FROM {table}
      WHERE key = $1 AND (expires_at > {now:expires_at} OR expires_at IS NULL)",
    &[Kind::Text],
);

/// Has the release of a busy lock told to those who wait, and says how long its lease lasts, in milliseconds, and whose it
/// is. No row: it is free by now, or its row changed during the wait for it; whoever asks tries to take it again.
///
/// A row that is marked already is only read. Should its lock be released by then, that is told after this statement's
/// snapshot was taken, so to whoever listened before. A mark that a takeover has wiped out is missed by nobody: the lease
/// that it stood on has run out, which is when those who wait look again.
///
/// A lease may be without end ('infinity', by hand): PostgreSQL can subtract its seconds, but before 17 not its time.
///
/// A row whose end is NULL, by hand, is as busy as one that never ends, but cannot be read. It is selected, so that the
/// caller's error says so: without it, the caller would find the lock neither free nor held, and try again at once for ever.
///
/// The commit does not wait for the disk: a crash that loses a mark costs those who wait the pause until they look again.
pub(super) const AWAIT: Template = Template::of_one(
    r#"
{with waking}WITH marked AS (
  UPDATE {table} SET awaited = true
   WHERE key = $1 AND expires_at > {now:expires_at} AND awaited IS NOT TRUE
  RETURNING key, owner, expires_at
)
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       set_config('synchronous_commit', 'off', true)
  FROM marked
 UNION ALL {end}
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       ''
  FROM {table} WHERE key = $1 AND (expires_at > {now:expires_at}{with waking} AND awaited{end} OR expires_at IS NULL)"#,
    &[Kind::Text],
);

/// As [`AWAIT`], without the mark.
pub(super) const HOLDER_LEFT: Template = Template::of_one(
    "SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at
       FROM {table}
      WHERE key = $1 AND (expires_at > {now:expires_at} OR expires_at IS NULL)",
    &[Kind::Text],
);
