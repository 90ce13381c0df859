//! Circuit-breaker state: one row per breaker, shared by all processes.

use std::sync::Arc;

use super::call::{Found, KeyCall, any_row, nothing, one_row};
use super::cells::Cells;
use super::definition::{Definition, Durability};
use super::keys::Prefix;
use super::place::{Place, TableRef};
use super::relation::Addition;
use super::table::Table;
use super::template::{Template, one_or_many};
use crate::engine::{
    AccessMode, Answer, Arg, Call, Client, Engine, Error, Kind, Reply, Request, Retry, Row, Statement,
    Subscription,
};

static GET: Template = one_or_many!(
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
static SET: Template = Template::of_many(
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

static RECORD_FAILURE: Template = record_failure!("");

/// Of a call that a breaker has let through while it was closed. If the breaker has left that state meanwhile, it gives no row:
/// a failure that began before that must not put off the next probe.
static RECORD_FAILURE_WHILE_CLOSED: Template = record_failure!(
    r#"
  WHERE circuit.state = 'closed'"#
);

/// Closes the breaker whatever its state. A failure that waits for this row counts from 0 again.
static RECORD_SUCCESS: Template = Template::of_many(
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
static RECORD_SUCCESS_WHILE_CLOSED: Template = Template::of_one(
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
static END_PROBE: Template = Template::of_one(
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
static TRY_PROBE: Template = Template::of_both(
    r#"
UPDATE {table} SET state = 'half-open', updated_at = {now:updated_at}
 WHERE key = $1
   AND CASE state
         WHEN 'open' THEN coalesce(last_failure_time <= {now:last_failure_time} - $2 * INTERVAL '1 millisecond',
                                   updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond')
         WHEN 'half-open' THEN updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond'
         ELSE false
       END
RETURNING key::text, extract(epoch FROM updated_at)::text"#,
    r#"
UPDATE {table} SET state = 'half-open', updated_at = {now:updated_at}
 WHERE key = ANY (ARRAY(
   SELECT key FROM {table}
    WHERE key = ANY ($1)
      AND CASE state
            WHEN 'open' THEN coalesce(last_failure_time <= {now:last_failure_time} - $2 * INTERVAL '1 millisecond',
                                      updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond')
            WHEN 'half-open' THEN updated_at <= {now:updated_at} - $2 * INTERVAL '1 millisecond'
            ELSE false
          END
    ORDER BY key COLLATE "C" FOR UPDATE))
RETURNING key::text, extract(epoch FROM updated_at)::text"#,
    &[Kind::Text, Kind::Float],
)
.sharing(1);

static DEFINITION: Definition = Definition {
    documented: "go_goscope_circuit",
    additions: &[Addition {
        triggers: &[
            "go_goscope_inserted",
            "go_goscope_changed",
            "go_goscope_deleted",
            "go_goscope_truncated",
        ],
        functions: &["go_goscope_notify", "go_goscope_notify_all"],
        ..Addition::named(CHANGES)
    }],
    touched: "",
};
/// What the table may have beyond the documented schema: notifications for subscribers.
const CHANGES: &str = "changes";

/// The longest time that a breaker can stay open before it is tried, in milliseconds. PostgreSQL can still represent
/// a time that is that long ago. About 6,000 years.
const LONGEST_RESET_MS: f64 = 1.9e14;

/// Where the count stops: the last number of an INTEGER column.
const LAST_COUNT: i64 = i32::MAX as i64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CircuitState {
    Closed,
    Open,
    HalfOpen,
}

impl CircuitState {
    /// As the table holds it, and as applications know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen].into_iter().find(|state| state.name() == name)
    }
}

/// A breaker; times are milliseconds since the epoch.
pub struct Circuit {
    pub state: CircuitState,
    pub failure_count: i64,
    pub last_failure_time: Option<f64>,
    pub last_success_time: Option<f64>,
}

impl Circuit {
    /// One that has no row.
    pub(super) const ABSENT: Self = Self {
        state: CircuitState::Closed,
        failure_count: 0,
        last_failure_time: None,
        last_success_time: None,
    };

    fn read(_: &Found<'_>, row: &Row) -> Result<Self, Error> {
        let unknown = || row.unreadable(1, "holds none of 'closed', 'open' and 'half-open'");
        Ok(Self {
            state: CircuitState::named(row.cell(1)?).ok_or_else(unknown)?,
            failure_count: row.count(2)?,
            last_failure_time: row.cell(3)?,
            last_success_time: row.cell(4)?,
        })
    }
}

#[derive(Clone)]
pub struct Circuits {
    place: Arc<Place>,
}

impl Circuits {
    pub fn new(engine: &Arc<Engine>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, create, Durability::Full);
        Self { place: Place::new(engine, table, Prefix::new(key_prefix, "circuit:")) }
    }

    /// The same table, on a connection of the application.
    pub fn within(&self, client: &Arc<Client>) -> Self {
        Self { place: self.place.within(client) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// None if there is no such breaker.
    pub fn get_state(&self, key: String, reply: Reply<Option<Circuit>>) {
        self.place.submit_request(self.read(key, reply));
    }

    /// As [`get_state`](Self::get_state), for a subscription: the end of the engine does not wait for it.
    pub(super) fn look(&self, key: String, reply: Reply<Option<Circuit>>) {
        self.place.submit_request(self.read(key, reply).without_caller());
    }

    fn read(&self, key: String, reply: Reply<Option<Circuit>>) -> Request {
        let accesses = self.place.on_key(&key, AccessMode::Shared);
        let call = KeyCall::new(&self.place, &GET, "key", key, [], one_row(Circuit::read));
        self.place.request(accesses, call, Retry::Harmless, reply)
    }

    pub fn set_state(&self, key: String, circuit: Circuit, reply: Reply<()>) {
        let rest = [
            Arg::text(circuit.state.name()),
            Arg::Int(Some(circuit.failure_count)),
            Arg::Float(circuit.last_failure_time),
            Arg::Float(circuit.last_success_time),
        ];
        self.write(&SET, key, rest, reply);
    }

    pub fn record_failure(&self, key: String, max_failures: f64, reply: Reply<i64>) {
        self.count_failure(&RECORD_FAILURE, key, max_failures, reply);
    }

    /// 0 if the breaker was not closed.
    pub fn record_failure_while_closed(&self, key: String, max_failures: f64, reply: Reply<i64>) {
        self.count_failure(&RECORD_FAILURE_WHILE_CLOSED, key, max_failures, reply);
    }

    fn count_failure(&self, statement: &'static Template, key: String, max_failures: f64, reply: Reply<i64>) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let args = [Arg::Text(None), Arg::Int(None), Arg::Float(Some(max_failures))];
        let call = RecordFailure { place: self.place.clone(), statement, key, failures: 1, args };
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    pub fn record_success(&self, key: String, reply: Reply<()>) {
        self.write(&RECORD_SUCCESS, key, [], reply);
    }

    /// Whether the breaker was closed.
    pub fn record_success_while_closed(&self, key: String, reply: Reply<bool>) {
        self.change(&RECORD_SUCCESS_WHILE_CLOSED, key, [], any_row, Retry::Never, reply);
    }

    /// Not repeated when its outcome is unknown: a second run would find the breaker half-open and answer no, though
    /// the first had let the caller through. With the failure, the caller knows that the outcome is unknown.
    pub fn try_probe(&self, key: String, reset_timeout: f64, reply: Reply<bool>) {
        self.ask_for_probe(key, reset_timeout, any_row, reply);
    }

    /// As [`try_probe`](Self::try_probe); what it answers is for [`end_probe`](Self::end_probe).
    pub fn grant_probe(&self, key: String, reset_timeout: f64, reply: Reply<Option<String>>) {
        self.ask_for_probe(key, reset_timeout, one_row(|_, row| row.cell(1)), reply);
    }

    fn ask_for_probe<T: Send + 'static>(
        &self,
        key: String,
        reset_timeout: f64,
        read: impl FnMut(Found<'_>) -> Result<Answer<T>, Error> + Send + 'static,
        reply: Reply<T>,
    ) {
        let rest = [Arg::Float(Some(reset_timeout.min(LONGEST_RESET_MS)))];
        self.change(&TRY_PROBE, key, rest, read, Retry::Never, reply);
    }

    /// The count of failures after it; none if it was this probe's turn no more. A second run does no harm: it finds another
    /// state.
    pub fn end_probe(&self, key: String, probe: String, has_succeeded: bool, reply: Reply<Option<i64>>) {
        let rest = [Arg::text(probe), Arg::Int(Some(has_succeeded.into()))];
        self.change(&END_PROBE, key, rest, one_row(|_, row| row.count(1)), Retry::Harmless, reply);
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.place.engine
    }

    /// Subscribes to notifications about a breaker, if the table sends them.
    pub(super) fn listen(&self, key: &str) -> Option<Subscription> {
        let shape = self.place.table.shape();
        let stored = self.place.prefix.stored(key, shape.max_chars("key"));
        shape.has(CHANGES).then(|| self.place.engine.listen(vec![shape.topic(&stored.text)]))
    }

    fn write<const N: usize>(
        &self,
        statement: &'static Template,
        key: String,
        rest: [Arg; N],
        reply: Reply<()>,
    ) {
        self.change(statement, key, rest, nothing, Retry::Never, reply);
    }

    fn change<T: Send + 'static, const N: usize>(
        &self,
        statement: &'static Template,
        key: String,
        rest: [Arg; N],
        read: impl FnMut(Found<'_>) -> Result<Answer<T>, Error> + Send + 'static,
        retry: Retry,
        reply: Reply<T>,
    ) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let call = KeyCall::new(&self.place, statement, "key", key, rest, read);
        self.place.submit(accesses, call, retry, reply);
    }
}

struct RecordFailure {
    place: Arc<Place>,
    statement: &'static Template,
    key: String,
    /// For how many calls this one stands.
    failures: i64,
    /// The key, the failures and their limit.
    args: [Arg; 3],
}

impl Call for RecordFailure {
    type Output = i64;

    fn bind(&mut self) -> Arc<Statement> {
        let shape = self.place.table.shape();
        self.args[0] = Arg::text(self.place.prefix.stored(&self.key, shape.max_chars("key")).text);
        self.args[1] = Arg::Int(Some(self.failures));
        shape.statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    /// The row has the number of the last failure. The failures before it have the numbers before it. Without a row none
    /// is counted.
    fn read(&mut self, rows: &[Row]) -> Result<Answer<i64>, Error> {
        let Some(row) = rows.first() else {
            return match std::ptr::eq(self.statement, &RECORD_FAILURE) {
                true => Err(Error::other("the failure was not counted")),
                false => Ok(Answer::Each(vec![0; self.failures as usize])),
            };
        };
        let last: i64 = self.place.name_row(row.cell(1))?;
        if self.failures == 1 {
            return Ok(Answer::Done(last.min(LAST_COUNT)));
        }
        let numbers = last + 1 - self.failures..=last;
        Ok(Answer::Each(numbers.map(|number| number.min(LAST_COUNT)).collect()))
    }

    fn is_coalescable(&self) -> bool {
        true
    }

    fn coalesce(&mut self, next: &mut Self) -> bool {
        let adds_up = Arc::ptr_eq(&self.place, &next.place)
            && std::ptr::eq(self.statement, next.statement)
            && self.key == next.key
            // The limit.
            && self.args[2] == next.args[2];
        if adds_up {
            self.failures += next.failures;
        }
        adds_up
    }
}
