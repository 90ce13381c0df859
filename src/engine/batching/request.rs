//! One call on its way: what it touches, how it becomes a statement, and which callers get the outcome.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::prepare::Prepare;
use crate::engine::batching::reply::{Completions, Outcome, Reply};
use crate::engine::batching::scheduling::access::Accesses;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::statement::{Arg, Statement};
use crate::engine::error::Error;
use crate::time::LONGEST;
use crate::tuning::{batches, retries};

const UNSETTLED: &str = "each answer of the server asked for another run of the call, and that has ended after 8 runs: \
                         a trigger of the table may change what the adapter writes";

/// What a call asks the server, and how it reads the answer.
pub trait Call: Send {
    /// Chooses the statement. `calls`: how many calls of the same kind this one stands for.
    fn bind(&mut self, calls: usize) -> Arc<Statement>;
    /// The arguments for the statement that was chosen; the first is the key that its rows begin with.
    fn args(&self) -> &[Arg];
    fn read(&mut self, rows: &[Row]) -> Result<Answer, Error>;
    /// Calls with equal keys may be made as one, if they follow each other in line.
    fn coalescing_key(&self) -> Option<CoalescingKey<'_>> {
        None
    }
}

/// What calls have in common that can be added up to one.
#[derive(PartialEq, Eq)]
pub struct CoalescingKey<'a> {
    /// The kind of call, and the table.
    pub kind: usize,
    pub key: &'a str,
    /// Anything else that must be the same.
    pub rest: u64,
}

pub enum Answer {
    /// JSON text, or nothing.
    Done(String),
    /// The number of the last of the calls for which the request stands. The calls before it have the numbers before
    /// it. No number is greater than `most`: the count has stopped there.
    Counted { last: i64, most: i64 },
    /// Run the same call again before its callers get an answer; see [`retries::MAX_REPETITIONS`](crate::tuning::retries::MAX_REPETITIONS).
    Again,
}

/// May a statement run again when it is not known whether the server carried it out?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// No: it could overwrite another process's newer value, or count twice.
    Never,
    /// Yes: it reads, or a second run by the same owner changes nothing.
    Harmless,
}

pub struct Request {
    pub(crate) accesses: Accesses,
    pub(crate) prepare: Arc<dyn Prepare>,
    /// Absent if preparing is all there is to do, as in `connect()`.
    pub(crate) call: Option<Box<dyn Call>>,
    pub(crate) retry: Retry,
    /// How often the statement has failed in a way that a retry may resolve.
    pub(crate) failures: u32,
    /// How often an answer has asked for another run.
    pub(crate) repetitions: u32,
    /// Whether an earlier run was, or may have been, carried out though no caller has got the outcome.
    pub(crate) maybe_done: bool,
    /// Since when it has waited only because there was no connection.
    ready_since: Option<Instant>,
    /// Since when another transaction has blocked it, as far as the server has reported that.
    pub(crate) blocked_since: Option<Instant>,
    /// Until then the call does not give up, even if the server cannot be reached.
    retry_deadline: Option<Instant>,
    reply: Option<Reply>,
    /// The callers of the later calls for which this one stands as well, in their order.
    coalesced: Vec<Reply>,
    /// For how many calls this request stands.
    calls: usize,
    /// Whether it is owed to the server, and no caller waits for it: see `owed`.
    is_owed: bool,
    /// Called if the call fails after a run that may have been carried out, so that the store can undo that run.
    unsettled: Option<Box<dyn FnOnce() + Send>>,
    engine: Weak<Engine>,
}

impl Request {
    pub fn new(
        accesses: Accesses,
        prepare: Arc<dyn Prepare>,
        call: Box<dyn Call>,
        retry: Retry,
        reply: Reply,
    ) -> Self {
        Self::with(accesses, prepare, Some(call), retry, reply)
    }

    /// A request that only prepares.
    pub fn preparation(prepare: Arc<dyn Prepare>, reply: Reply) -> Self {
        Self::with(Accesses::default(), prepare, None, Retry::Harmless, reply)
    }

    fn with(
        accesses: Accesses,
        prepare: Arc<dyn Prepare>,
        call: Option<Box<dyn Call>>,
        retry: Retry,
        reply: Reply,
    ) -> Self {
        Self {
            accesses,
            prepare,
            call,
            retry,
            failures: 0,
            repetitions: 0,
            maybe_done: false,
            ready_since: None,
            blocked_since: None,
            retry_deadline: None,
            reply: Some(reply),
            coalesced: Vec::new(),
            calls: 1,
            is_owed: false,
            unsettled: None,
            engine: Weak::new(),
        }
    }

    /// Has `undo` called if the call fails though the server may have carried it out.
    pub fn if_unsettled(mut self, undo: impl FnOnce() + Send + 'static) -> Self {
        self.unsettled = Some(Box::new(undo));
        self
    }

    /// Has the call retry transient failures within this time, refused connections included.
    pub fn retrying_for(mut self, time: Duration) -> Self {
        self.retry_deadline = Some(Instant::now() + time.min(LONGEST));
        self
    }

    /// Has it accepted even while the engine is being closed: part of what [`Engine::owe`] runs.
    pub fn owed(mut self) -> Self {
        self.is_owed = true;
        self
    }

    /// Whether it retries transient failures now.
    pub(crate) fn can_retry(&self) -> bool {
        Scheduled::can_retry(self, Instant::now())
    }

    /// How long it still retries transient failures, if it does so at all.
    pub(crate) fn retry_time_left(&self) -> Option<Duration> {
        self.retry_deadline.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Whether it may write, so that its commit has to wait for the disk.
    pub(crate) fn writes(&self) -> bool {
        self.accesses.are_of_a_write()
    }

    /// Reports to its callers' sinks that it will run once more.
    pub(crate) fn note_retry(&self) {
        for reply in self.reply.iter().chain(&self.coalesced) {
            reply.note_retry();
        }
    }

    pub(crate) fn enlist(&mut self, engine: &Arc<Engine>) {
        self.engine = Arc::downgrade(engine);
    }

    /// It has not been accepted.
    pub(crate) fn delist(&mut self) {
        self.engine = Weak::new();
    }

    fn coalescing_key(&self) -> Option<CoalescingKey<'_>> {
        self.call.as_ref().and_then(|call| call.coalescing_key())
    }

    fn may_coalesce(&self, next: &Self) -> bool {
        self.calls < batches::MAX_COALESCED
            && self.failures == 0
            && self
                .coalescing_key()
                .is_some_and(|key| next.coalescing_key().is_some_and(|other| key == other))
    }

    pub(crate) fn bind(&mut self) -> Option<Arc<Statement>> {
        self.call.as_mut().map(|call| call.bind(self.calls))
    }

    pub(crate) fn args(&self) -> &[Arg] {
        self.call.as_ref().map_or(&[], |call| call.args())
    }

    /// Reads the rows and has the outcome reported to the callers; returns the request if it wants another run.
    pub(crate) fn answer(mut self, rows: &[Row], completions: &mut Completions) -> Answered {
        let read = match &mut self.call {
            Some(call) => call.read(rows),
            None => Ok(Answer::Done("null".into())),
        };
        match read {
            Ok(Answer::Again) => {
                self.maybe_done = true;
                self.repetitions += 1;
                if self.repetitions == retries::MAX_REPETITIONS {
                    return self.complete(Err(Error::other(UNSETTLED)), completions);
                }
                Answered::Again(self)
            }
            Ok(Answer::Done(json)) => self.complete(Ok(json), completions),
            Ok(Answer::Counted { last, most }) => {
                let first = last + 1 - self.calls as i64;
                for (number, reply) in (first..).zip(self.replies()) {
                    completions.add(reply, Ok(number.min(most).to_string()));
                }
                Answered::Done(self)
            }
            Err(error) => self.complete(Err(error), completions),
        }
    }

    fn complete(mut self, outcome: Outcome, completions: &mut Completions) -> Answered {
        if outcome.is_err()
            && self.maybe_done
            && let Some(undo) = self.unsettled.take()
        {
            undo();
        }
        let outcomes = std::iter::repeat_n(outcome, self.calls);
        for (reply, outcome) in self.replies().zip(outcomes) {
            completions.add(reply, outcome);
        }
        Answered::Done(self)
    }

    fn replies(&mut self) -> impl Iterator<Item = Reply> + use<> {
        self.reply.take().into_iter().chain(std::mem::take(&mut self.coalesced))
    }

    pub(crate) fn settle(self, outcome: Outcome) {
        // First the callers, then the next in line. In the opposite order, a later call on the same key could be
        // answered before this one.
        let mut completions = Completions::default();
        let done = self.complete(outcome, &mut completions);
        drop(completions);
        drop(done);
    }

    /// What is needed to end the accesses of a request whose callers have their outcome: the rest is only memory.
    pub(crate) fn retire(mut self) -> (Accesses, usize) {
        self.engine = Weak::new();
        (std::mem::take(&mut self.accesses), self.calls_under_way())
    }
}

impl Scheduled for Request {
    fn accesses(&self) -> &Accesses {
        &self.accesses
    }

    fn accesses_mut(&mut self) -> &mut Accesses {
        &mut self.accesses
    }

    fn calls(&self) -> usize {
        self.calls
    }

    fn is_owed(&self) -> bool {
        self.is_owed
    }

    fn is_coalescable(&self) -> bool {
        self.coalescing_key().is_some()
    }

    fn coalesce(&mut self, mut next: Self) -> Result<(), Self> {
        if !self.may_coalesce(&next) {
            return Err(next);
        }
        self.coalesced.extend(next.reply.take());
        self.calls += 1;
        next.delist();
        Ok(())
    }

    fn ready_since(&self) -> Option<Instant> {
        self.ready_since
    }

    fn set_ready_since(&mut self, since: Instant) {
        self.ready_since = Some(since);
    }

    fn has_failed(&self) -> bool {
        self.failures > 0
    }

    fn can_retry(&self, now: Instant) -> bool {
        self.retry_deadline.is_some_and(|deadline| now < deadline)
    }
}

pub(crate) enum Answered {
    /// Its callers are about to get their outcome. After that its accesses can end.
    Done(Request),
    Again(Request),
}

impl Drop for Request {
    fn drop(&mut self) {
        drop(self.replies());
        if let Some(engine) = self.engine.upgrade() {
            let left = [(std::mem::take(&mut self.accesses), self.calls_under_way())];
            if std::thread::panicking() {
                // The panic may unwind through a caller that holds the engine's lock, which `leave` takes.
                engine.clone().in_background(async move { engine.leave(left.into()) });
            } else {
                engine.leave(left.into());
            }
        }
    }
}

#[cfg(test)]
mod for_test {
    use super::*;
    use crate::engine::batching::prepare::NothingToPrepare;

    struct Tagged {
        tag: [Arg; 1],
        coalescing_key: Option<String>,
    }

    impl Call for Tagged {
        fn bind(&mut self, _: usize) -> Arc<Statement> {
            unreachable!("it is not sent")
        }
        fn args(&self) -> &[Arg] {
            &self.tag
        }
        fn read(&mut self, _: &[Row]) -> Result<Answer, Error> {
            Ok(Answer::Done(String::new()))
        }
        fn coalescing_key(&self) -> Option<CoalescingKey<'_>> {
            self.coalescing_key.as_deref().map(|key| CoalescingKey { kind: 0, key, rest: 0 })
        }
    }

    impl Request {
        pub(crate) fn for_test(tag: i64, accesses: Accesses, coalescing_key: Option<&str>) -> Self {
            let call =
                Tagged { tag: [Arg::Int(Some(tag))], coalescing_key: coalescing_key.map(str::to_owned) };
            Request::new(
                accesses,
                Arc::new(NothingToPrepare),
                Box::new(call),
                Retry::Never,
                Reply::new(|_| ()),
            )
        }
    }
}
