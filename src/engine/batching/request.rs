//! One call on its way: what it touches, how often it has run, and the call itself with its callers.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::engine::batching::call::{Call, ItemsCall, Pending, PendingCall, Preparation, Progress};
use crate::engine::batching::joined_call::JoinedCall;
use crate::engine::batching::prepare::Prepare;
use crate::engine::batching::reply::{Completions, Reply};
use crate::engine::batching::scheduling::access::Accesses;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::statement::{Arg, Statement};
use crate::engine::error::Error;
use crate::engine::row::Row;
use crate::time::LONGEST;
use crate::tuning::{batches, retries};

const UNSETTLED: &str = "each answer of the server asked for another run of the call, and that has ended after 8 runs: \
                         a trigger of the table may change what the adapter writes";

/// May a statement run again when it is not known whether the server carried it out?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// No: it could overwrite another process's newer value, or count twice.
    Never,
    /// Yes: it reads, or a second run by the same owner changes nothing.
    Harmless,
}

/// Where requests are listed while they are under way.
pub(crate) trait Register: Send + Sync {
    /// Called once for each request that has entered, whatever its outcome: its accesses, and the number of calls that
    /// it stood for.
    fn leave(self: Arc<Self>, settled: Vec<(Accesses, usize)>);
    /// The same, if a panic may unwind through a caller that holds a lock of the register's.
    fn leave_later(self: Arc<Self>, settled: Vec<(Accesses, usize)>);
}

pub struct Request {
    pub(crate) accesses: Accesses,
    pub(crate) prepare: Arc<dyn Prepare>,
    call: Box<dyn PendingCall>,
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
    /// For how many calls this request stands.
    calls: usize,
    /// The call that it is an item of, if it writes.
    item_of: Option<JoinedCall>,
    /// See `owed`.
    is_owed: bool,
    /// See `without_caller`.
    has_caller: bool,
    /// Called if the call fails after a run that may have been carried out, so that the store can undo that run.
    unsettled: Option<Box<dyn FnOnce() + Send>>,
    register: Option<Weak<dyn Register>>,
}

impl Request {
    pub fn new<C: Call>(
        accesses: Accesses,
        prepare: Arc<dyn Prepare>,
        call: C,
        retry: Retry,
        reply: Reply<C::Output>,
    ) -> Self {
        let item_of = reply.item_of();
        let mut request = Self::with(accesses, prepare, Box::new(Pending::new(call, reply)), retry);
        request.item_of = item_of;
        request
    }

    /// A read of several keys. Each item has an access of its own.
    pub fn of_items<C: ItemsCall>(
        accesses: Accesses,
        prepare: Arc<dyn Prepare>,
        call: C,
        reply: Reply<C::Output>,
    ) -> Self {
        let call = Box::new(Pending::of_items(call, reply));
        let mut request = Self::with(accesses, prepare, call, Retry::Harmless);
        request.calls = request.items();
        request
    }

    /// A request that only prepares, as `connect()` does.
    pub fn preparation(prepare: Arc<dyn Prepare>, reply: Reply<()>) -> Self {
        Self::with(Accesses::default(), prepare, Box::new(Preparation::new(reply)), Retry::Harmless)
    }

    fn with(accesses: Accesses, prepare: Arc<dyn Prepare>, call: Box<dyn PendingCall>, retry: Retry) -> Self {
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
            calls: 1,
            item_of: None,
            is_owed: false,
            has_caller: true,
            unsettled: None,
            register: None,
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

    /// Has it accepted even while the engine is being closed: part of what `Engine::owe` runs.
    pub fn owed(mut self) -> Self {
        self.is_owed = true;
        self.without_caller()
    }

    /// Has the end of the engine not wait for it: no call of the application depends on it.
    pub fn without_caller(mut self) -> Self {
        self.has_caller = false;
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

    /// The call that it is an item of, if it writes and that call has several. Its caller waits for all of them.
    pub(crate) fn item_of(&self) -> Option<JoinedCall> {
        self.item_of
    }

    /// Reports to its callers' sinks that it will run once more.
    pub(crate) fn note_retry(&self) {
        self.call.note_retry();
    }

    pub(crate) fn enlist(&mut self, register: Weak<dyn Register>) {
        self.register = Some(register);
    }

    /// It has not been accepted.
    pub(crate) fn delist(&mut self) {
        self.register = None;
    }

    /// None if preparing was all there is to do.
    pub(crate) fn bind(&mut self) -> Option<Arc<Statement>> {
        self.call.bind()
    }

    pub(crate) fn args(&self) -> &[Arg] {
        self.call.args()
    }

    /// The arguments of each of its items.
    pub(crate) fn args_of_items(&self) -> impl Iterator<Item = &[Arg]> {
        let (args, items) = (self.args(), self.items());
        let of_item = args.len() / items;
        (0..items).map(move |item| &args[item * of_item..][..of_item])
    }

    /// The arguments of its first item.
    pub(crate) fn args_of_first(&self) -> &[Arg] {
        self.args_of_items().next().unwrap_or_default()
    }

    /// The key that its rows begin with, once it is bound.
    pub(crate) fn key(&self) -> Option<&str> {
        self.args().first().and_then(Arg::as_text)
    }

    /// The size of its arguments.
    pub(crate) fn bytes(&self) -> usize {
        self.args().iter().map(Arg::bytes).sum()
    }

    /// Reads the rows and has the outcome reported to the callers; returns the request if it wants another run.
    pub(crate) fn answer(mut self, rows: &[&[Row]], completions: &mut Completions) -> Answered {
        match self.call.answer(rows, completions) {
            Ok(Progress::Done) => Answered::Done(self),
            Ok(Progress::Again) => {
                self.maybe_done = true;
                self.repetitions += 1;
                if self.repetitions == retries::MAX_REPETITIONS {
                    return self.fail_with(Error::other(UNSETTLED), completions);
                }
                Answered::Again(self)
            }
            Err(error) => self.fail_with(error, completions),
        }
    }

    fn fail_with(mut self, error: Error, completions: &mut Completions) -> Answered {
        if self.maybe_done
            && let Some(undo) = self.unsettled.take()
        {
            undo();
        }
        self.call.fail(error, completions);
        Answered::Done(self)
    }

    pub(crate) fn fail(self, error: Error) {
        // First the callers, then the next in line. In the opposite order, a later call on the same key could be
        // answered before this one.
        let mut completions = Completions::default();
        let done = self.fail_with(error, &mut completions);
        drop(completions);
        drop(done);
    }

    /// What is needed to end the accesses of a request whose callers have their outcome: the rest is only memory.
    pub(crate) fn retire(mut self) -> (Accesses, usize) {
        self.register = None;
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

    fn has_caller(&self) -> bool {
        self.has_caller
    }

    fn is_coalescable(&self) -> bool {
        self.call.is_coalescable()
    }

    fn coalesce(&mut self, mut next: Self) -> Result<(), Self> {
        let may_coalesce =
            self.calls < batches::MAX_COALESCED && self.failures == 0 && self.has_caller == next.has_caller;
        if !(may_coalesce && self.call.coalesce(&mut *next.call)) {
            return Err(next);
        }
        self.calls += next.calls;
        next.delist();
        Ok(())
    }

    fn split(mut self) -> Vec<Self> {
        debug_assert!(self.unsettled.is_none(), "it is of a write");
        let accesses = std::mem::take(&mut self.accesses).split();
        let calls = std::mem::replace(&mut self.call, Box::new(Preparation::default())).split();
        // The items leave in its place.
        let register = self.register.take();
        let item = |(accesses, call)| Self {
            accesses,
            prepare: self.prepare.clone(),
            call,
            retry: self.retry,
            failures: self.failures,
            repetitions: self.repetitions,
            maybe_done: self.maybe_done,
            ready_since: self.ready_since,
            blocked_since: self.blocked_since,
            retry_deadline: self.retry_deadline,
            calls: 1,
            item_of: None,
            is_owed: self.is_owed,
            has_caller: self.has_caller,
            unsettled: None,
            register: register.clone(),
        };
        accesses.into_iter().zip(calls).map(item).collect()
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
        self.call.abandon();
        if let Some(register) = self.register.take().and_then(|register| register.upgrade()) {
            let left = vec![(std::mem::take(&mut self.accesses), self.calls_under_way())];
            if std::thread::panicking() {
                register.leave_later(left);
            } else {
                register.leave(left);
            }
        }
    }
}

#[cfg(test)]
mod for_test {
    use super::*;
    use crate::engine::batching::call::Answer;
    use crate::engine::batching::prepare::NothingToPrepare;

    struct Tagged([Arg; 1]);

    impl Call for Tagged {
        type Output = ();
        fn bind(&mut self) -> Arc<Statement> {
            unreachable!("it is not sent")
        }
        fn args(&self) -> &[Arg] {
            &self.0
        }
        fn read(&mut self, _: &[Row]) -> Result<Answer<()>, Error> {
            Ok(Answer::Done(()))
        }
    }

    impl Request {
        pub(crate) fn for_test(tag: i64, accesses: Accesses) -> Self {
            let call = Tagged([Arg::Int(Some(tag))]);
            Request::new(accesses, Arc::new(NothingToPrepare), call, Retry::Never, Reply::new(|_| ()))
        }
    }
}
