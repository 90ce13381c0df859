//! Circuit-breaker state: one row per breaker, shared by all processes.

use std::sync::Arc;

use super::call::{Found, KeyCall, any_row, nothing, one_row};
use super::cells::Cells;
use super::circuit_statements::{
    END_PROBE, GET, RECORD_FAILURE, RECORD_FAILURE_WHILE_CLOSED, RECORD_SUCCESS, RECORD_SUCCESS_WHILE_CLOSED,
    SET, TRY_PROBE,
};
use super::definition::{Definition, Durability};
use super::keys::Prefix;
use super::place::{Place, TableRef};
use super::relation::Addition;
use super::table::Table;
use super::template::Template;
use crate::engine::{
    AccessMode, Answer, Arg, Call, Client, Engine, Error, Reply, Request, Retry, Row, Statement, Subscription,
};

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
