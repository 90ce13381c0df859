//! What happens to the scheduler, and what it decides.

use std::time::Duration;

use crate::engine::batching::scheduling::access::Accesses;

pub(crate) enum Event<R> {
    Submitted(Vec<R>),
    /// Requests that are settled: their accesses, and how many calls with a caller each stood for.
    Settled(Vec<(Accesses, usize)>),
    /// Requests continue that had to wait for something other than a connection.
    Resumed(Vec<R>),
    /// Requests that got no connection run again after a pause.
    Retried(Vec<DelayedRetry<R>>),
    /// A pipeline that was to [connect](Decision::Connect) has.
    Connected {
        pipeline: usize,
    },
    /// A pipeline that had no connection for its batch begins to run it.
    BatchBegan {
        pipeline: usize,
    },
    /// A pipeline got no connection for its batch, which is empty if it had taken none.
    NotConnected {
        pipeline: usize,
        batch: Vec<R>,
    },
    BatchEnded(BatchEnd<R>),
    /// The callers that the last batch answered have their outcome, and their next calls have been submitted.
    CallersAnswered,
    /// What [`Decision::RunAlone`] began has ended, and its slot is free.
    AloneEnded {
        retries: Vec<DelayedRetry<R>>,
        blocked: Vec<R>,
    },
    /// What [`Decision::RunRound`] began has ended.
    RoundEnded {
        retries: Vec<DelayedRetry<R>>,
        blocked: Vec<R>,
    },
    /// It is [`next_wake`](super::scheduler::Scheduler::next_wake), or later.
    Woken,
    /// New calls are refused. Owed work is still accepted.
    Closing,
    /// Everything is refused.
    Closed,
}

pub(crate) struct BatchEnd<R> {
    pub(crate) pipeline: usize,
    pub(crate) retries: Vec<DelayedRetry<R>>,
    /// Another transaction blocks these, for longer than a batch may wait.
    pub(crate) blocked: Vec<R>,
    /// Whether the pipeline keeps its connection if there is another batch for it.
    pub(crate) has_connection: bool,
    /// Whether the answered callers get their outcome next, on this thread, which reports
    /// [`CallersAnswered`](Event::CallersAnswered) after it.
    pub(crate) answers_next: bool,
}

/// A request that runs again after a pause, which may be zero.
pub(crate) struct DelayedRetry<R> {
    pub(crate) request: R,
    pub(crate) pause: Duration,
}

#[derive(Debug)]
pub(crate) enum Decision<R> {
    /// This pipeline runs this batch. `is_connected`: it has a connection; otherwise it opens one, and reports
    /// [`BatchBegan`](Event::BatchBegan) when it has it.
    Run { pipeline: usize, batch: Vec<R>, is_connected: bool },
    /// This pipeline opens a connection before it gets a batch: others carry requests meanwhile, so that none has to
    /// wait for that.
    Connect { pipeline: usize },
    /// The request runs on a connection of its own, and waits for locks as long as the user's limits allow.
    RunAlone(R),
    /// These run on one connection, and wait briefly for locks.
    RunRound(Vec<R>),
    /// A pipeline has become blocked: no thread that has other work may be the one that polls it.
    Blocked { pipeline: usize },
    /// No connection is available for these.
    RefuseUnconnected(Vec<R>),
    /// These have waited too long for a connection.
    RefuseOverdue(Vec<R>),
    /// The engine is closing, or closed.
    RefuseClosed(Vec<R>),
}
