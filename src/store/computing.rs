//! Values that are computed. They are stored only if nothing was written or deleted under their key since the
//! computation began.
//!
//! 1. **Begin.** The process that has the claim reads the entry. If there is none, or an expired one, it places a
//!    mark: a row under the key itself whose expiry is [`AGE`] ago. So all processes, including those with the
//!    pg-based adapter, take the entry for expired. If there is a live entry that is to be refreshed, that entry
//!    serves as the mark. Either way the process remembers the row's version: the transaction that wrote it.
//! 2. **Meanwhile** an ordinary `set` replaces the row, and an ordinary `delete` or `clear` removes it, in the
//!    statements that they have always used. (A delete in a transaction of the application marks its key first: see
//!    [`marked_removal`](super::marked_removal).) A process that begins to compute after the claim was lost replaces the
//!    row, too.
//! 3. **Store.** The value replaces the row if that still has the version of the beginning.
//!
//! Sweeps and `prune` leave marks alone: they end where marks begin, see [`entries::SWEEP`](super::entries::SWEEP).
//! Marks that a crashed process has left behind are removed a day later, by the beginning of another computation. A
//! mark or a refreshed entry may also be removed otherwise (by the pg-based adapter's own pruning, or by a sweep
//! after a refreshed entry has expired). That counts as a delete: the value is not stored, and the next caller
//! computes again. This costs time and nothing else.
//!
//! A second run of each statement after a lost reply is harmless: it begins again, or finds another version.

use super::call::Found;
use super::cells::Cells;
use super::entries::SWEEP;
use super::template::{Template, one_or_many};
use super::value::Value;
use crate::engine::{Error, Kind, Row};

/// How long ago the expiry of a new mark is. This is before any expiry that applications store, and after the
/// earliest time that a `timestamp` can hold.
macro_rules! age {
    () => {
        "INTERVAL '1000 years'"
    };
}

/// Places a mark if there is no live entry. `NOT EXISTS` leaves a live entry alone without a lock. If a row exists,
/// the `WHERE` of `DO UPDATE` checks its newest version, by the clock after the wait: an entry that was stored
/// meanwhile gives no row.
pub(super) static BEGIN: Template = one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched}{created})"#,
    one: concat!(
        r#"
SELECT $1, 'null'::jsonb, {start:expires_at} - "#,
        age!(),
        r#", {now:touched}{created_now}
 WHERE NOT EXISTS (SELECT FROM {table} WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at}))"#
    ),
    many: concat!(
        r#"
SELECT key, 'null'::jsonb, {start:expires_at} - "#,
        age!(),
        r#", {now:touched}{created_now}
  FROM unnest($1) AS call (key)
 WHERE NOT EXISTS (SELECT FROM {table} AS live
                    WHERE live.key = call.key AND (live.expires_at IS NULL OR live.expires_at > {now:expires_at}))
 ORDER BY key COLLATE "C""#
    ),
    r#"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = excluded.expires_at, {touched} = excluded.{touched}
  WHERE entry.expires_at <= {now:expires_at}
RETURNING entry.key::text, {writer}{relaxed}"#,
    &[Kind::Text],
)
.sweeping(concat!(
    r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} - "#,
    age!(),
    r#" - INTERVAL '1 day' AND key <> ALL ($1)
   ORDER BY expires_at LIMIT (SELECT {most_swept} + 2 * count(*) FROM written)
   FOR UPDATE SKIP LOCKED))"#
));

/// A live entry, whether it is about to expire (within `$2`), and its version.
pub(super) static OBSERVE: Template = Template::of_one(
    r#"
SELECT key::text, value::text, coalesce(expires_at <= {now:expires_at} + $2 * INTERVAL '1 millisecond', false), xmin::text
  FROM {table} WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    &[Kind::Text, Kind::Float],
);

/// Stores the value `$2` in place of the version `$4`. `held` locks the rows in the order of keys; the `UPDATE`
/// checks the newest version once more, after any wait. It sweeps: a table may have no other writes than these.
pub(super) static STORE: Template = Template::of_both(
    r#"
UPDATE {table} AS entry
   SET value = $2::jsonb, expires_at = {now:expires_at} + $3 * INTERVAL '1 millisecond', {touched} = {now:touched}
 WHERE entry.key = $1 AND entry.xmin::text = $4
RETURNING entry.key::text, NULL::text{relaxed}"#,
    r#"
WITH held AS (
  SELECT held.key, call.value, call.ttl, call.version
    FROM unnest($1, $2, $3, $4) AS call (key, value, ttl, version)
    JOIN {table} AS held ON held.key = call.key AND held.xmin::text = call.version
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
UPDATE {table} AS entry
   SET value = held.value::jsonb, expires_at = {now:expires_at} + held.ttl * INTERVAL '1 millisecond',
       {touched} = {now:touched}
  FROM held
 WHERE entry.key = held.key AND entry.xmin::text = held.version
RETURNING entry.key::text, NULL::text{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Float, Kind::Text],
)
.sweeping(SWEEP);

/// Removes the mark of a computation that has failed. An entry that was to be refreshed stays, since its time is not
/// over.
pub(super) static WITHDRAW: Template = Template::of_one(
    "DELETE FROM {table} WHERE key = $1 AND xmin::text = $2 AND expires_at < '1500-01-01'{returning_relaxed}",
    &[Kind::Text, Kind::Text],
);

/// The version of an entry or a mark: which transaction wrote it.
pub struct Version(String);

impl Version {
    pub(super) fn read(row: &Row, at: usize) -> Result<Self, Error> {
        row.cell(at).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value, and whether it is stale: less than the wanted time is left of it.
pub struct Seen {
    pub value: Value,
    pub is_stale: bool,
}

impl Seen {
    pub(super) fn read(found: &Found<'_>, row: &Row) -> Result<Self, Error> {
        Ok(Self { value: found.value(row, 1)?, is_stale: row.cell(2)? })
    }
}

/// As [`Seen`], with the version that a computation would replace.
pub struct Observed {
    pub seen: Seen,
    pub version: Version,
}

impl Observed {
    pub(super) fn read(found: &Found<'_>, row: &Row) -> Result<Self, Error> {
        Ok(Self { seen: Seen::read(found, row)?, version: Version::read(row, 3)? })
    }
}
