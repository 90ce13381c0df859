//! Numbers to which many callers add.

use super::call::Found;
use super::entries::{SWEEP, entries, entry};
use super::template::{Template, one_or_many};
use super::value::Value;
use crate::engine::{Error, Kind};

/// Adds the number in `$2`, or starts with it if there is no live entry; only then is the TTL used.
///
/// What happens if the entry exists. The row is locked in its newest version, so each of N concurrent callers adds to
/// what the one before committed. An entry that has expired counts as absent. The clock is read once after the wait,
/// and decides about value and expiry together. A live entry keeps its expiry.
///
/// The `WHERE` leaves an entry alone whose value is no number, or whose sum would be beyond the numbers of
/// JavaScript: the call gets no row. It is evaluated before `SET` adds; an entry that expires between the two starts
/// again.
///
/// Sums are decimal and exact, as JSONB's numbers are. Under a digest the value is in an object beside its key.
pub(super) static INCREMENT: Template = one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched})"#,
    one: entry!(),
    many: entries!(),
    r#"
ON CONFLICT (key) DO UPDATE
  SET (value, expires_at, {touched}) = (
        SELECT CASE WHEN NOT is_live THEN excluded.value
                    WHEN jsonb_typeof(excluded.value) = 'object'
                    THEN jsonb_set(excluded.value, ARRAY['value'], to_jsonb(was::numeric + added::numeric))
                    ELSE to_jsonb(was::numeric + added::numeric) END,
               CASE WHEN is_live THEN entry.expires_at
                    ELSE {now:expires_at} + (excluded.expires_at - {start:expires_at}) END,
               {noting now:touched}
          FROM (SELECT entry.expires_at IS NULL OR entry.expires_at > {now:expires_at} AS is_live,
                       entry.value #> place AS was, excluded.value #> place AS added
                  FROM (SELECT CASE jsonb_typeof(excluded.value) WHEN 'object' THEN ARRAY['value']
                                                                 ELSE ARRAY[]::text[] END AS place) AS at) AS found)
  WHERE entry.expires_at <= {now:expires_at}
     OR (SELECT CASE WHEN jsonb_typeof(was) = 'number'
                     THEN abs(was::numeric + added::numeric) <= 1.7976931348623157e308 END
           FROM (SELECT entry.value #> place AS was, excluded.value #> place AS added
                   FROM (SELECT CASE jsonb_typeof(excluded.value) WHEN 'object' THEN ARRAY['value']
                                                                  ELSE ARRAY[]::text[] END AS place) AS at) AS found)
RETURNING entry.key::text,
          {stale_expiry},
          entry.value::text{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(SWEEP);

/// The sum; none if the entry was left alone.
pub(super) fn sum(found: &Found<'_>) -> Result<Option<Value>, Error> {
    found.rows.first().map(|row| found.value(row, 2)).transpose()
}
