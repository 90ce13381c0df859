//! How the outcome of a call is reported to its caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::engine::batching::joined_call::JoinedCall;
use crate::engine::error::Error;
use crate::engine::panics;

/// A call, as its sink knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Where its caller waits.
    pub slot: u32,
    /// What kind of call it is.
    pub operation: u32,
    /// When it was made, by the sink's clock.
    pub since: u64,
}

/// An outcome as a sink receives it: the output in the text that the reply makes of it, or an error.
pub type Outcome = Result<String, Error>;

/// Receives the outcomes of calls.
pub trait ReplySink: Send + Sync {
    fn complete(&self, outcomes: Vec<(Caller, Outcome)>);
    /// The call is made to the server once more.
    fn count_retry(&self, _: Caller) {}
}

/// Receives the outcomes of a call's items, each by its number.
pub trait ItemSink<T>: Send + Sync {
    /// The call that has the items.
    fn call(&self) -> JoinedCall;
    fn complete_item(&self, number: usize, outcome: Result<T, Error>);
    /// One of the items is made to the server once more.
    fn count_retry(&self);
}

enum To<T> {
    /// The function makes the sink's text of the output. It is a plain function, so a reply allocates nothing.
    Sink(Arc<dyn ReplySink>, Caller, fn(T) -> String),
    Closure(Box<dyn FnOnce(Result<T, Error>) + Send>),
    Item(Arc<dyn ItemSink<T>>, usize),
}

/// Reports the outcome to the caller, exactly once. If it is dropped without an outcome, as by a panic, it reports
/// the panic.
pub struct Reply<T>(Option<To<T>>);

impl<T> Reply<T> {
    pub fn new(report: impl FnOnce(Result<T, Error>) + Send + 'static) -> Self {
        Self(Some(To::Closure(Box::new(report))))
    }

    /// For the item of this number.
    pub fn of_item(sink: Arc<dyn ItemSink<T>>, number: usize) -> Self {
        Self(Some(To::Item(sink, number)))
    }

    /// The call that it is for an item of.
    pub(crate) fn item_of(&self) -> Option<JoinedCall> {
        match &self.0 {
            Some(To::Item(sink, _)) => Some(sink.call()),
            _ => None,
        }
    }

    pub fn to(sink: Arc<dyn ReplySink>, caller: Caller, text: fn(T) -> String) -> Self {
        Self(Some(To::Sink(sink, caller, text)))
    }

    /// A reply, and its outcome for a caller that awaits it.
    pub fn awaited() -> (Self, FutureOutcome<T>)
    where
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let reply = Self::new(move |outcome| {
            let _ = sender.send(outcome);
        });
        (reply, FutureOutcome(receiver))
    }

    pub(crate) fn note_retry(&self) {
        match &self.0 {
            Some(To::Sink(sink, caller, _)) => sink.count_retry(*caller),
            Some(To::Item(sink, _)) => sink.count_retry(),
            Some(To::Closure(_)) | None => {}
        }
    }

    pub fn settle(self, outcome: Result<T, Error>) {
        Completions::default().add(self, outcome);
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            Completions::default().add(Self(Some(to)), Err(Error::Panic { message: panics::last() }));
        }
    }
}

/// The outcome of a call.
pub struct FutureOutcome<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Future for FutureOutcome<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or(Err(Error::Closed)))
    }
}

/// Reports to many callers at once, whatever their outputs. A sink for all of them receives the outcomes together,
/// and does not wake up for the first and go back to sleep before the second.
#[derive(Default)]
pub(crate) struct Completions {
    sink: Option<Arc<dyn ReplySink>>,
    outcomes: Vec<(Caller, Outcome)>,
}

impl Completions {
    pub(crate) fn add<T>(&mut self, mut reply: Reply<T>, outcome: Result<T, Error>) {
        // The text is made while the reply is whole: if that panics, the reply reports the panic.
        if let Some(To::Sink(_, _, text)) = &reply.0 {
            let outcome = outcome.map(text);
            if let Some(To::Sink(sink, caller, _)) = reply.0.take() {
                self.add_text(sink, caller, outcome);
            }
            return;
        }
        match reply.0.take() {
            Some(To::Closure(report)) => report(outcome),
            Some(To::Item(sink, number)) => sink.complete_item(number, outcome),
            Some(To::Sink(..)) | None => {}
        }
    }

    fn add_text(&mut self, sink: Arc<dyn ReplySink>, caller: Caller, outcome: Outcome) {
        if !self.sink.as_ref().is_some_and(|known| Arc::ptr_eq(known, &sink)) {
            self.flush();
            self.sink = Some(sink);
        }
        self.outcomes.push((caller, outcome));
    }

    pub(crate) fn flush(&mut self) {
        let outcomes = std::mem::take(&mut self.outcomes);
        if let Some(sink) = &self.sink
            && !outcomes.is_empty()
        {
            sink.complete(outcomes);
        }
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use super::*;
    use crate::sync::lock;

    const CALLER: Caller = Caller { slot: 7, operation: 0, since: 0 };

    /// What was received at once; errors as text.
    type Received = Vec<(Caller, Result<String, String>)>;

    #[derive(Default)]
    struct Sink(Mutex<Vec<Received>>);

    impl ReplySink for Sink {
        fn complete(&self, outcomes: Vec<(Caller, Outcome)>) {
            let readable = |(caller, outcome): (Caller, Outcome)| {
                (caller, outcome.map_err(|error| format!("{error:?}")))
            };
            lock(&self.0).push(outcomes.into_iter().map(readable).collect());
        }
    }

    #[test]
    fn a_sink_receives_outputs_of_different_types_together() {
        let sink = Arc::new(Sink::default());
        let mut completions = Completions::default();
        completions.add(Reply::to(sink.clone(), CALLER, |number: i64| number.to_string()), Ok(1));
        completions.add(Reply::to(sink.clone(), CALLER, |is_so: bool| is_so.to_string()), Ok(true));
        drop(completions);
        assert_eq!(*lock(&sink.0), [[(CALLER, Ok("1".to_owned())), (CALLER, Ok("true".to_owned()))]]);
    }

    #[test]
    fn a_caller_whose_text_cannot_be_made_is_not_forgotten() {
        let sink = Arc::new(Sink::default());
        let reply = Reply::to(sink.clone(), CALLER, |(): ()| panic!("a panic on purpose"));
        let _ = catch_unwind(AssertUnwindSafe(|| reply.settle(Ok(()))));
        let received = lock(&sink.0);
        assert!(received.len() == 1 && received[0].len() == 1 && received[0][0].1.is_err());
    }
}
