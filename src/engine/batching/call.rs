//! What a call asks the server, and how its callers get their output.

use std::any::Any;
use std::sync::Arc;

use crate::engine::batching::join::Join;
use crate::engine::batching::reply::{Completions, Reply};
use crate::engine::batching::statement::{Arg, Statement};
use crate::engine::error::Error;
use crate::engine::row::Row;

/// What a call asks the server, and how it reads the answer.
pub trait Call: Send + 'static {
    /// What its caller gets.
    type Output: Send + 'static;
    /// Chooses the statement.
    fn bind(&mut self) -> Arc<Statement>;
    /// The arguments for the statement that was chosen; the first is the key that its rows begin with. Those of several
    /// items follow each other.
    fn args(&self) -> &[Arg];
    fn read(&mut self, rows: &[Row]) -> Result<Answer<Self::Output>, Error>;
    /// As [`read`](Self::read), with the rows of each of its items.
    fn read_items(&mut self, rows: &[&[Row]]) -> Result<Answer<Self::Output>, Error> {
        self.read(rows.first().copied().unwrap_or_default())
    }
    /// Whether it may be made as one with others of its kind at all.
    fn is_coalescable(&self) -> bool {
        false
    }
    /// Has this call also stand for the next one in line, if the two add up to one. Otherwise it returns false, and
    /// changes nothing.
    fn coalesce(&mut self, _next: &mut Self) -> bool {
        false
    }
}

/// A read of several keys, its items. Each item may also be read by itself.
pub trait ItemsCall: Call + Sized {
    /// A call for each of its items.
    fn split(self) -> Vec<Self>;
    /// The output, of those of its items.
    fn join(outputs: Vec<Self::Output>) -> Self::Output;
}

pub enum Answer<T> {
    Done(T),
    /// Of a call that also stands for others: one output for each of them, in their order.
    Each(Vec<T>),
    /// Run the same call again before its callers get an answer; see [`retries::MAX_REPETITIONS`](crate::tuning::retries::MAX_REPETITIONS).
    Again,
}

/// Whether the callers have their outcome.
pub(crate) enum Progress {
    Done,
    Again,
}

/// A call and the replies of its callers, for code that does not know what they get. One object holds both, so a
/// request costs one allocation, whatever its call.
pub(crate) trait PendingCall: Any + Send {
    /// None if preparing is all there is to do.
    fn bind(&mut self) -> Option<Arc<Statement>>;
    fn args(&self) -> &[Arg];
    fn is_coalescable(&self) -> bool {
        false
    }
    /// Takes over the callers of `next`, if the two calls add up to one.
    fn coalesce(&mut self, _next: &mut dyn PendingCall) -> bool {
        false
    }
    /// A call for each of its items, if it has several.
    fn split(self: Box<Self>) -> Vec<Box<dyn PendingCall>>;
    /// Reads the rows, those of each item by itself, and has the outputs reported.
    fn answer(&mut self, rows: &[&[Row]], completions: &mut Completions) -> Result<Progress, Error>;
    fn fail(&mut self, error: Error, completions: &mut Completions);
    /// Reports to the callers' sinks that the call will run once more.
    fn note_retry(&self);
    /// Drops the replies that are left, which then report the panic by which they got lost.
    fn abandon(&mut self);
}

pub(crate) struct Pending<C: Call> {
    call: C,
    reply: Option<Reply<C::Output>>,
    /// The callers of the later calls for which this one stands as well, in their order.
    coalesced: Vec<Reply<C::Output>>,
    split: Split<C>,
}

type Split<C> = fn(C, Reply<<C as Call>::Output>) -> Vec<Box<dyn PendingCall>>;

impl<C: Call> Pending<C> {
    pub(crate) fn new(call: C, reply: Reply<C::Output>) -> Self {
        let split = |call, reply| -> Vec<Box<dyn PendingCall>> { vec![Box::new(Self::new(call, reply))] };
        Self { call, reply: Some(reply), coalesced: Vec::new(), split }
    }

    pub(crate) fn of_items(call: C, reply: Reply<C::Output>) -> Self
    where
        C: ItemsCall,
    {
        Self { split: each_by_itself, ..Self::new(call, reply) }
    }

    fn replies(&mut self) -> impl Iterator<Item = Reply<C::Output>> + use<C> {
        self.reply.take().into_iter().chain(std::mem::take(&mut self.coalesced))
    }
}

fn each_by_itself<C: ItemsCall>(call: C, reply: Reply<C::Output>) -> Vec<Box<dyn PendingCall>> {
    let items = call.split();
    let Some(join) = Join::new(items.len(), C::join, reply) else { return Vec::new() };
    let pending =
        |(number, item)| -> Box<dyn PendingCall> { Box::new(Pending::new(item, join.reply(number))) };
    items.into_iter().enumerate().map(pending).collect()
}

impl<C: Call> PendingCall for Pending<C> {
    fn bind(&mut self) -> Option<Arc<Statement>> {
        Some(self.call.bind())
    }

    fn args(&self) -> &[Arg] {
        self.call.args()
    }

    fn is_coalescable(&self) -> bool {
        self.call.is_coalescable()
    }

    fn coalesce(&mut self, next: &mut dyn PendingCall) -> bool {
        let next: &mut dyn Any = next;
        let Some(next) = next.downcast_mut::<Self>() else { return false };
        let adds_up = self.call.coalesce(&mut next.call);
        if adds_up {
            self.coalesced.extend(next.reply.take());
            self.coalesced.append(&mut next.coalesced);
        }
        adds_up
    }

    fn split(mut self: Box<Self>) -> Vec<Box<dyn PendingCall>> {
        match self.reply.take() {
            Some(reply) => (self.split)(self.call, reply),
            None => Vec::new(),
        }
    }

    fn answer(&mut self, rows: &[&[Row]], completions: &mut Completions) -> Result<Progress, Error> {
        match self.call.read_items(rows)? {
            Answer::Again => return Ok(Progress::Again),
            Answer::Done(output) => {
                if let Some(reply) = self.reply.take() {
                    completions.add(reply, Ok(output));
                }
            }
            Answer::Each(outputs) => {
                for (reply, output) in self.replies().zip(outputs) {
                    completions.add(reply, Ok(output));
                }
            }
        }
        Ok(Progress::Done)
    }

    fn fail(&mut self, error: Error, completions: &mut Completions) {
        for reply in self.replies() {
            completions.add(reply, Err(error.clone()));
        }
    }

    fn note_retry(&self) {
        self.reply.iter().chain(&self.coalesced).for_each(Reply::note_retry);
    }

    fn abandon(&mut self) {
        drop(self.replies());
    }
}

/// The caller of a request that only prepares.
#[derive(Default)]
pub(crate) struct Preparation(Option<Reply<()>>);

impl Preparation {
    pub(crate) fn new(reply: Reply<()>) -> Self {
        Self(Some(reply))
    }

    fn settle(&mut self, outcome: Result<(), Error>, completions: &mut Completions) {
        if let Some(reply) = self.0.take() {
            completions.add(reply, outcome);
        }
    }
}

impl PendingCall for Preparation {
    fn bind(&mut self) -> Option<Arc<Statement>> {
        None
    }

    fn args(&self) -> &[Arg] {
        &[]
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn PendingCall>> {
        vec![self]
    }

    fn answer(&mut self, _: &[&[Row]], completions: &mut Completions) -> Result<Progress, Error> {
        self.settle(Ok(()), completions);
        Ok(Progress::Done)
    }

    fn fail(&mut self, error: Error, completions: &mut Completions) {
        self.settle(Err(error), completions);
    }

    fn note_retry(&self) {
        self.0.iter().for_each(Reply::note_retry);
    }

    fn abandon(&mut self) {
        self.0.take();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sync::lock;

    /// Counts calls of one kind; `KIND` makes types of its own.
    struct Count<const KIND: u8>(i64);

    impl<const KIND: u8> Call for Count<KIND> {
        type Output = i64;
        fn bind(&mut self) -> Arc<Statement> {
            unreachable!("it is not sent")
        }
        fn args(&self) -> &[Arg] {
            &[]
        }
        fn read(&mut self, _: &[Row]) -> Result<Answer<i64>, Error> {
            Ok(Answer::Each((1..=self.0).collect()))
        }
        fn coalesce(&mut self, next: &mut Self) -> bool {
            self.0 += next.0;
            true
        }
    }

    type Outcomes = Arc<Mutex<Vec<(usize, Option<i64>)>>>;

    fn pending<const KIND: u8>(caller: usize, outcomes: &Outcomes) -> Box<dyn PendingCall> {
        let outcomes = outcomes.clone();
        let reply = Reply::new(move |outcome: Result<i64, _>| lock(&outcomes).push((caller, outcome.ok())));
        Box::new(Pending::new(Count::<KIND>(1), reply))
    }

    #[test]
    fn calls_of_one_type_add_up_and_each_caller_gets_its_own_output() {
        let outcomes = Outcomes::default();
        let mut call = pending::<0>(0, &outcomes);
        assert!(call.coalesce(&mut *pending::<0>(1, &outcomes)));
        assert!(call.coalesce(&mut *pending::<0>(2, &outcomes)));
        assert!(!call.coalesce(&mut *pending::<1>(3, &outcomes)));
        assert_eq!(*lock(&outcomes), [(3, None)]);
        assert!(matches!(call.answer(&[&[]], &mut Completions::default()), Ok(Progress::Done)));
        assert_eq!(lock(&outcomes)[1..], [(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    }

    #[test]
    fn a_failure_reaches_all_callers() {
        let outcomes = Outcomes::default();
        let mut call = pending::<0>(0, &outcomes);
        assert!(call.coalesce(&mut *pending::<0>(1, &outcomes)));
        call.fail(Error::Closed, &mut Completions::default());
        assert_eq!(*lock(&outcomes), [(0, None), (1, None)]);
    }
}
