//! How the outcome of a call is reported to its caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::engine::error::Error;
use crate::engine::panics;

/// The JSON text of a call's result, empty if there is none: JSON has no word for `undefined`.
pub type Outcome = Result<String, Error>;

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

/// Receives the outcomes of calls.
pub trait ReplySink: Send + Sync {
    fn complete(&self, outcomes: Vec<(Caller, Outcome)>);
    /// The call is made to the server once more.
    fn count_retry(&self, _: Caller) {}
}

enum To {
    Sink(Arc<dyn ReplySink>, Caller),
    Closure(Box<dyn FnOnce(Outcome) + Send>),
}

/// Reports the outcome to the caller, exactly once. If it is dropped without an outcome, as by a panic, it reports
/// the panic.
pub struct Reply(Option<To>);

impl Reply {
    pub fn new(report: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Some(To::Closure(Box::new(report))))
    }

    pub fn to(sink: Arc<dyn ReplySink>, caller: Caller) -> Self {
        Self(Some(To::Sink(sink, caller)))
    }

    /// A reply, and its outcome for a caller that awaits it.
    pub fn awaited() -> (Self, FutureOutcome) {
        let (sender, receiver) = oneshot::channel();
        let reply = Self::new(move |outcome| {
            let _ = sender.send(outcome);
        });
        (reply, FutureOutcome(receiver))
    }

    pub(crate) fn note_retry(&self) {
        if let Some(To::Sink(sink, caller)) = &self.0 {
            sink.count_retry(*caller);
        }
    }

    pub fn settle(self, outcome: Outcome) {
        Completions::default().add(self, outcome);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            Completions::default().add(Self(Some(to)), Err(Error::Panic { message: panics::last() }));
        }
    }
}

/// The outcome of a call.
pub struct FutureOutcome(oneshot::Receiver<Outcome>);

impl Future for FutureOutcome {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or(Err(Error::Closed)))
    }
}

/// Reports to many callers at once. A sink for all of them receives the outcomes together, and does not wake up
/// for the first and go back to sleep before the second.
#[derive(Default)]
pub(crate) struct Completions {
    sink: Option<Arc<dyn ReplySink>>,
    outcomes: Vec<(Caller, Outcome)>,
}

impl Completions {
    pub(crate) fn add(&mut self, mut reply: Reply, outcome: Outcome) {
        match reply.0.take() {
            Some(To::Sink(sink, caller)) => {
                if !self.sink.as_ref().is_some_and(|known| Arc::ptr_eq(known, &sink)) {
                    self.flush();
                    self.sink = Some(sink);
                }
                self.outcomes.push((caller, outcome));
            }
            Some(To::Closure(tell)) => tell(outcome),
            None => {}
        }
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
