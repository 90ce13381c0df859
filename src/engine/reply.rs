//! How the outcome of a call is reported to its caller.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{Error, panics};

/// The JSON text of a call's result, empty if there is none: JSON has no word for `undefined`.
pub type Outcome = Result<String, Error>;

/// A call, as its listener knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Where its caller waits.
    pub slot: u32,
    /// What kind of call it is.
    pub operation: u32,
    /// When it was made, by the listener's clock.
    pub since: u64,
}

/// Receives the outcomes of calls.
pub trait Listener: Send + Sync {
    fn hear(&self, outcomes: Vec<(Caller, Outcome)>);
    /// The call is made to the server once more.
    fn hear_of_repetition(&self, _: Caller) {}
}

enum To {
    Listener(Arc<dyn Listener>, Caller),
    Closure(Box<dyn FnOnce(Outcome) + Send>),
}

/// Reports the outcome to the caller, exactly once. If it is dropped without an outcome, as by a panic, it reports
/// the panic.
pub struct Reply(Option<To>);

impl Reply {
    pub fn new(tell: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Some(To::Closure(Box::new(tell))))
    }

    pub fn to(listener: Arc<dyn Listener>, caller: Caller) -> Self {
        Self(Some(To::Listener(listener, caller)))
    }

    /// A reply, and its outcome for a caller that awaits it.
    pub fn awaited() -> (Self, Awaited) {
        let (told, heard) = oneshot::channel();
        let reply = Self::new(move |outcome| {
            let _ = told.send(outcome);
        });
        (reply, Awaited(heard))
    }

    pub(super) fn note_repetition(&self) {
        if let Some(To::Listener(listener, caller)) = &self.0 {
            listener.hear_of_repetition(*caller);
        }
    }

    pub fn settle(self, outcome: Outcome) {
        Telling::default().tell(self, outcome);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            Telling::default().tell(Self(Some(to)), Err(Error::Panic { message: panics::last() }));
        }
    }
}

/// The outcome of a call.
pub struct Awaited(oneshot::Receiver<Outcome>);

impl Future for Awaited {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(context).map(|outcome| outcome.unwrap_or(Err(Error::Closed)))
    }
}

/// Reports to many callers at once. A listener for all of them receives the outcomes together, and does not wake up
/// for the first and go back to sleep before the second.
#[derive(Default)]
pub(super) struct Telling {
    listener: Option<Arc<dyn Listener>>,
    outcomes: Vec<(Caller, Outcome)>,
}

impl Telling {
    pub(super) fn tell(&mut self, mut reply: Reply, outcome: Outcome) {
        match reply.0.take() {
            Some(To::Listener(listener, caller)) => {
                if !self.listener.as_ref().is_some_and(|known| Arc::ptr_eq(known, &listener)) {
                    self.flush();
                    self.listener = Some(listener);
                }
                self.outcomes.push((caller, outcome));
            }
            Some(To::Closure(tell)) => tell(outcome),
            None => {}
        }
    }

    pub(super) fn flush(&mut self) {
        let outcomes = std::mem::take(&mut self.outcomes);
        if let Some(listener) = &self.listener
            && !outcomes.is_empty()
        {
            listener.hear(outcomes);
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.flush();
    }
}
