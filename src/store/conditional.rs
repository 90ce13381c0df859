//! Writes that depend on the existing entry.

use super::entries::{SWEEP, entries, entry};
use super::template::{Template, one_or_many};
use crate::engine::Kind;

/// Stores the value if there is no entry, or only an expired one. Of N callers for an absent key one inserts. The
/// others wait for it in the unique index, and then lock the row in its newest version, as callers for an expired
/// entry do. Only then does the `WHERE` check, by the clock of that moment, whether it has expired. So the first
/// makes it live, the rest find it live and get no row. An entry that is deleted meanwhile is no conflict any more.
///
/// Expiries are computed as in [`super::entries::SET`].
pub(super) static SET_IF_ABSENT: Template = one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched}{created})"#,
    one: entry!(),
    many: entries!(),
    r#"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {counted_anew:expires_at},
      {touched} = {noting now:touched}
  WHERE entry.expires_at <= {now:expires_at}
RETURNING entry.key::text,
          {stale_expiry}{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(SWEEP);

/// Replaces the value `$2` by `$3`. `held` waits for the row, in the order of keys, if the value is the expected one,
/// as of the statement's snapshot or after the wait. A value that differs in both is left alone without a lock. The
/// `UPDATE` then checks the value of the newest version once more, so of N callers that expect the same value one
/// gets a row. It also checks the expiry, by the clock after the wait, which the `CASE` keeps behind it (see `EXTEND`
/// of the locks): the wait may have been for a transaction that only locked the row, and has changed nothing. An
/// entry that is deleted meanwhile is not found any more. The casts are for a column that is text.
pub(super) static REPLACE: Template = Template::of_both(
    r#"
WITH held AS (
  SELECT key FROM {table} WHERE key = $1 AND value::jsonb = $2::jsonb FOR UPDATE
)
UPDATE {table} AS entry
   SET value = $3::jsonb, expires_at = {now:expires_at} + $4 * INTERVAL '1 millisecond', {touched} = {now:touched}
  FROM held
 WHERE entry.key = held.key AND entry.value::jsonb = $2::jsonb
   AND CASE WHEN held.key IS NOT NULL THEN entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} END
RETURNING entry.key::text, NULL::text{relaxed}"#,
    r#"
WITH held AS (
  SELECT held.key, call.expected, call.value, call.ttl
    FROM unnest($1, $2, $3, $4) AS call (key, expected, value, ttl)
    JOIN {table} AS held ON held.key = call.key AND held.value::jsonb = call.expected::jsonb
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
UPDATE {table} AS entry
   SET value = held.value::jsonb, expires_at = {now:expires_at} + held.ttl * INTERVAL '1 millisecond',
       {touched} = {now:touched}
  FROM held
 WHERE entry.key = held.key AND entry.value::jsonb = held.expected::jsonb
   AND CASE WHEN held.key IS NOT NULL THEN entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} END
RETURNING entry.key::text, NULL::text{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Text, Kind::Float],
);

/// Sets the expiry of a live entry and leaves its value alone; an absent or expired one gives no row.
///
/// `held` waits for the row, in the order of keys. A row that has expired in the statement's snapshot is left alone
/// without a lock: a write that makes it live comes after this call. After a wait for a writer, `held` checks the row in its
/// newest version. The `UPDATE` then checks the expiry by the clock after the wait, which the `CASE` keeps behind it (as
/// in [`REPLACE`]): the wait may have been for a transaction that only locked the row, while its time ran out. Without
/// this, an entry that other callers have found expired would come back to life. The new expiry counts from after the
/// wait, too. An entry that is deleted meanwhile is not found any more.
pub(super) static TOUCH: Template = Template::of_both(
    r#"
WITH held AS (
  SELECT key FROM {table} WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at}) FOR UPDATE
)
UPDATE {table} AS entry
   SET expires_at = {now:expires_at} + $2 * INTERVAL '1 millisecond', {touched} = {now:touched}
  FROM held
 WHERE entry.key = held.key
   AND CASE WHEN held.key IS NOT NULL THEN entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} END
RETURNING entry.key::text{relaxed}"#,
    r#"
WITH held AS (
  SELECT held.key, call.ttl
    FROM unnest($1, $2) AS call (key, ttl)
    JOIN {table} AS held
      ON held.key = call.key AND (held.expires_at IS NULL OR held.expires_at > {now:expires_at})
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
UPDATE {table} AS entry
   SET expires_at = {now:expires_at} + held.ttl * INTERVAL '1 millisecond', {touched} = {now:touched}
  FROM held
 WHERE entry.key = held.key
   AND CASE WHEN held.key IS NOT NULL THEN entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} END
RETURNING entry.key::text{relaxed}"#,
    &[Kind::Text, Kind::Float],
);
