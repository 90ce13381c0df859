//! One call on its way: what it touches, how it becomes a statement, and who is told.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::connect::Connection;
use super::statement::{Arg, Statement};
use super::{Error, Link, Turns, panics};

pub type Rows = Vec<Row>;

/// What a job's rows become: the JSON text of the call's result, or a wish to run once more with the rows' knowledge.
pub(super) type Read = Box<dyn FnMut(Rows) -> Result<Answer, Error> + Send>;

pub enum Answer {
    Done(String),
    /// Run the same statement again before anybody is told.
    Again,
}

/// What must be so before a job's statement can run: its table is there, and its shape is known.
pub trait Prepare: Send + Sync {
    fn is_prepared(&self) -> bool;
    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;
    /// The server has shown that what was known is out of date (the table is gone). Says whether preparing anew may help.
    fn invalidate(&self) -> bool;
}

/// May a statement run again when it is not known whether the server carried it out?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// No: it could overwrite somebody's newer value, or count twice.
    Never,
    /// Yes: it reads, or a second run by the same owner changes nothing.
    Harmless,
}

/// A job bound to the statement that will carry it.
pub struct Bound {
    pub statement: Arc<Statement>,
    pub args: Vec<Arg>,
}

pub(super) type Bind = Box<dyn Fn() -> Bound + Send>;

type Tell = Box<dyn FnOnce(Result<String, Error>) + Send>;

/// Tells the caller, exactly once. Dropped without a word, as a panic does, it says that instead.
pub struct Reply(Option<Tell>);

impl Reply {
    pub fn new(tell: impl FnOnce(Result<String, Error>) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    pub fn settle(mut self, outcome: Result<String, Error>) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(Err(Error::Panic { message: panics::last() }));
        }
    }
}

pub struct Job {
    pub(super) turns: Turns,
    pub(super) prepare: Arc<dyn Prepare>,
    /// Absent where preparing is all there is to do, as in `connect()`.
    pub(super) bind: Option<Bind>,
    pub(super) read: Read,
    pub(super) retry: Retry,
    /// How often the statement has failed in a way that another run may mend.
    pub(super) failures: u32,
    /// Whether an earlier run may have been carried out, or was, though nobody has been told.
    pub(super) maybe_done: bool,
    /// Since when nothing but the lack of a connection keeps it waiting.
    pub(super) ready_since: Option<Instant>,
    /// Until when even a server that cannot be reached is no reason to give up.
    patient_until: Option<Instant>,
    reply: Option<Reply>,
    /// Told where the call fails after a run that may have been carried out, so that the store can undo that.
    unsettled: Option<Box<dyn FnOnce() + Send>>,
    link: Weak<Link>,
}

impl Job {
    pub fn new(
        turns: Turns,
        prepare: Arc<dyn Prepare>,
        bind: impl Fn() -> Bound + Send + 'static,
        read: impl FnMut(Rows) -> Result<Answer, Error> + Send + 'static,
        retry: Retry,
        reply: Reply,
    ) -> Self {
        Self {
            turns,
            prepare,
            bind: Some(Box::new(bind)),
            read: Box::new(read),
            retry,
            failures: 0,
            maybe_done: false,
            ready_since: None,
            patient_until: None,
            reply: Some(reply),
            unsettled: None,
            link: Weak::new(),
        }
    }

    /// A job that only prepares.
    pub fn preparation(prepare: Arc<dyn Prepare>, reply: Reply) -> Self {
        Self {
            turns: Turns::default(),
            prepare,
            bind: None,
            read: Box::new(|_| Ok(Answer::Done("null".into()))),
            retry: Retry::Harmless,
            failures: 0,
            maybe_done: false,
            ready_since: None,
            patient_until: None,
            reply: Some(reply),
            unsettled: None,
            link: Weak::new(),
        }
    }

    /// Has `undo` called if the call fails though the server may have carried it out.
    pub fn if_unsettled(mut self, undo: impl FnOnce() + Send + 'static) -> Self {
        self.unsettled = Some(Box::new(undo));
        self
    }

    /// Has the call ride out faults that pass within this time, refused connections included.
    pub fn patient(mut self, time: Duration) -> Self {
        self.patient_until = Instant::now().checked_add(time);
        self
    }

    pub(super) fn is_patient(&self) -> bool {
        self.patient_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn enlist(&mut self, link: &Arc<Link>) {
        self.link = Arc::downgrade(link);
    }

    /// Reads the rows and tells the caller; gives the job back where it wants another run.
    pub(super) fn answer(mut self, rows: Rows) -> Option<Self> {
        match (self.read)(rows) {
            Ok(Answer::Done(json)) => self.settle(Ok(json)),
            Ok(Answer::Again) => {
                self.maybe_done = true;
                return Some(self);
            }
            Err(error) => self.settle(Err(error)),
        }
        None
    }

    pub(super) fn settle(mut self, outcome: Result<String, Error>) {
        if outcome.is_err()
            && self.maybe_done
            && let Some(undo) = self.unsettled.take()
        {
            undo();
        }
        if let Some(reply) = self.reply.take() {
            reply.settle(outcome);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // First the caller, then the next in line: were it the other way round, a later call on the same key could be
        // answered before this one.
        drop(self.reply.take());
        if let Some(link) = self.link.upgrade() {
            link.leave(&self.turns);
        }
    }
}

#[cfg(test)]
mod for_test {
    use super::*;

    struct Nothing;

    impl Prepare for Nothing {
        fn is_prepared(&self) -> bool {
            true
        }
        fn prepare<'a>(
            &'a self,
            _: &'a Connection,
        ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
            Box::pin(async { Ok(()) })
        }
        fn invalidate(&self) -> bool {
            false
        }
    }

    impl Job {
        pub(crate) fn for_test(tag: i64, turns: Turns) -> Self {
            let bind = move || Bound {
                statement: Arc::new(Statement::new(String::new(), &[], true)),
                args: vec![Arg::Int(Some(tag))],
            };
            let read = |_| Ok(Answer::Done(String::new()));
            Job::new(turns, Arc::new(Nothing), bind, read, Retry::Never, Reply::new(|_| ()))
        }

        pub(crate) fn tag_for_test(&self) -> i64 {
            match self.bind.as_ref().expect("bound in the test").as_ref()().args[0] {
                Arg::Int(Some(tag)) => tag,
                _ => unreachable!("tags are integers"),
            }
        }
    }
}
