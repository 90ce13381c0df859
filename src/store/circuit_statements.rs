//! What circuit breakers read and write.

use super::template::{Template, one_or_many};
use crate::engine::Kind;

pub(super) static GET: Template = one_or_many!(
    r#"
SELECT key::text, state::text, {int:failure_count},
       round(extract(epoch FROM last_failure_time) * 1000)::float8 AS last_failure_time,
       round(extract(epoch FROM last_success_time) * 1000)::float8 AS last_success_time
  FROM {table} WHERE "#,
    one: "key = $1",
    many: "key = ANY ($1)",
    "",
    &[Kind::Text],
);

/// Last writer wins, as documented; the row lock makes the result one complete state or the other.
pub(super) static SET: Template = Template::of_many(
    r#"
INSERT INTO {table} (key, state, failure_count, last_failure_time, last_success_time, updated_at)
SELECT key, state, failures, {epoch:last_failure_time} + failed * INTERVAL '1 millisecond',
       {epoch:last_success_time} + succeeded * INTERVAL '1 millisecond', {now:updated_at}
  FROM unnest($1, $2, $3, $4, $5) AS call (key, state, failures, failed, succeeded)
 ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE
  SET state = excluded.state, failure_count = excluded.failure_count,
      last_failure_time = excluded.last_failure_time, last_success_time = excluded.last_success_time,
      updated_at = {now:updated_at}"#,
    &[Kind::Text, Kind::Text, Kind::Int, Kind::Float, Kind::Float],
);

/// Counts under the row's lock: each of N concurrent failures adds to what the one before committed, so each gets a
/// count of its own. (The pg-based adapter reads, adds and writes, and loses all but one.) The state changes in the
/// same step or stays as it is: a 'half-open' or 'open' breaker keeps its state below the limit. The count stops at
/// the column's last number; otherwise every later call would fail.
///
/// If the count has stopped, the row no longer shows which counts belong to this run's calls. So the sum goes from
/// `SET` to `RETURNING` of the same row by a setting, which ends with the transaction: the server evaluates both row
/// by row.
///
/// One run stands for several calls on a key, `$2` of them, with the same limit `$3`. They add up, and the last of
/// them reaches the limit if any does. Their counts are the last ones up to the new one.
macro_rules! record_failure {
    ($condition:literal) => {
        one_or_many!(
    r#"
INSERT INTO {table} AS circuit (key, state, failure_count, last_failure_time, updated_at)"#,
    one: r#"
VALUES ($1, CASE WHEN $2 >= $3 THEN 'open' ELSE 'closed' END, $2, {now:last_failure_time}, {now:updated_at})"#,
    many: r#"
SELECT key, CASE WHEN failures >= $3 THEN 'open' ELSE 'closed' END, failures, {now:last_failure_time}, {now:updated_at}
  FROM unnest($1, $2) AS call (key, failures) ORDER BY key COLLATE "C""#,
            concat!(
                r#"
ON CONFLICT (key) DO UPDATE
  SET failure_count = CASE WHEN circuit.failure_count::int8 + excluded.failure_count < 2147483647
                           THEN circuit.failure_count::int8 + excluded.failure_count
                           ELSE least(set_config('goscope_postgres.counted',
                                        (circuit.failure_count::int8 + excluded.failure_count)::text, true)::int8,
                                      2147483647) END,
      state = CASE WHEN circuit.failure_count::int8 + excluded.failure_count >= $3 THEN 'open' ELSE circuit.state END,
      last_failure_time = {now:last_failure_time}, updated_at = {now:updated_at}"#,
                $condition,
                r#"
RETURNING circuit.key::text,
          CASE WHEN circuit.failure_count < 2147483647 THEN circuit.failure_count::int8
               ELSE coalesce(nullif(current_setting('goscope_postgres.counted', true), '')::int8, circuit.failure_count::int8)
          END AS failure_count"#
            ),
    &[Kind::Text, Kind::Int, Kind::Float],
        )
        .sharing(1)
    };
}

pub(super) static RECORD_FAILURE: Template = record_failure!("");

/// Of a call that a breaker has let through while it was closed. If the breaker has left that state meanwhile, it gives no row:
/// a failure that began before that must not put off the next probe.
pub(super) static RECORD_FAILURE_WHILE_CLOSED: Template = record_failure!(
    r#"
  WHERE circuit.state = 'closed'"#
);

/// Closes the breaker whatever its state. A failure that waits for this row counts from 0 again.
pub(super) static RECORD_SUCCESS: Template = Template::of_many(
    r#"
INSERT INTO {table} (key, state, failure_count, last_success_time, updated_at)
SELECT key, 'closed', 0, {now:last_success_time}, {now:updated_at}
  FROM unnest($1) AS call (key) ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE
  SET state = 'closed', failure_count = 0, last_failure_time = NULL,
      last_success_time = {now:last_success_time}, updated_at = {now:updated_at}"#,
    &[Kind::Text],
);

/// Of a call that a breaker has let through while it was closed. If the breaker has left that state meanwhile, it gives no row:
/// a success that began before that must not close it. (The condition is checked again after a wait for the row.)
pub(super) static RECORD_SUCCESS_WHILE_CLOSED: Template = Template::of_one(
    r#"
UPDATE {table}
   SET failure_count = 0, last_failure_time = NULL, last_success_time = {now:last_success_time}, updated_at = {now:updated_at}
 WHERE key = $1 AND state = 'closed'
RETURNING key::text"#,
    &[Kind::Text],
);

/// The outcome of a probe: `$3` is 1 for a success, which closes the breaker, and 0 for a failure, which opens it again whatever
/// its count. `$2` is what [`TRY_PROBE`] has given. If the row has changed since then, this gives no row: another caller is let
/// through after a while, and the outcome of the earlier one must neither close the breaker behind its back nor put it off.
pub(super) static END_PROBE: Template = Template::of_one(
    r#"
UPDATE {table}
   SET state = CASE WHEN $3 = 1 THEN 'closed' ELSE 'open' END,
       failure_count = CASE WHEN $3 = 1 THEN 0 ELSE least(failure_count::int8 + 1, 2147483647) END,
       last_failure_time = CASE WHEN $3 = 1 THEN NULL ELSE {now:last_failure_time} END,
       last_success_time = CASE WHEN $3 = 1 THEN {now:last_success_time} ELSE last_success_time END,
       updated_at = {now:updated_at}
 WHERE key = $1 AND state = 'half-open' AND extract(epoch FROM updated_at)::text = $2
RETURNING key::text, {int:failure_count}"#,
    &[Kind::Text, Kind::Text, Kind::Int],
);

/// Whether the time of a breaker has come: see [`TRY_PROBE`].
macro_rules! is_due {
    () => {
        r#"CASE state
        WHEN 'open' THEN coalesce(last_failure_time <= {now:last_failure_time} - $2 * INTERVAL '1 millisecond',
                                  updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond')
        WHEN 'half-open' THEN updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond'
        ELSE false
      END"#
    };
}

/// Lets a breaker be tried once its time has come. That is an open breaker when `$2` ms have passed since its last
/// failure. It is also a breaker that is half-open already, if the caller that was let through has not reported for
/// as long. Every report (a success, a failure, a state that is set) writes `updated_at`, as this does.
///
/// 1. A breaker that is not due in the statement's snapshot is neither locked nor written: a caller that comes too
///    early only reads.
/// 2. Of N callers that find it due, one locks the row. The others wait for it. Then the condition is checked again,
///    on the row's newest version and with the clock of that moment: the breaker is half-open, and its time has just
///    begun again.
/// 3. If a success commits while this waits, it has closed the breaker, and no caller is let through. If a failure
///    commits, its time has begun again.
///
/// The time in the row is compared with the present less the span. The span is not added to the time in the row,
/// since that could overflow.
///
/// It gives what distinguishes this probe from every other: when it was let through.
pub(super) static TRY_PROBE: Template = Template::of_both(
    concat!(
        r#"
UPDATE {table} SET state = 'half-open', updated_at = {now:updated_at}
 WHERE key = $1 AND "#,
        is_due!(),
        r#"
RETURNING key::text, extract(epoch FROM updated_at)::text"#
    ),
    concat!(
        r#"
UPDATE {table} SET state = 'half-open', updated_at = {now:updated_at}
 WHERE key = ANY (ARRAY(
   SELECT key FROM {table}
    WHERE key = ANY ($1) AND "#,
        is_due!(),
        r#"
    ORDER BY key COLLATE "C" FOR UPDATE))
RETURNING key::text, extract(epoch FROM updated_at)::text"#
    ),
    &[Kind::Text, Kind::Float],
)
.sharing(1);
