//! A pipeline: it runs batches of statements on a pooled connection, for as long as calls are waiting.
//!
//! 1. The scheduler decides what a batch consists of (see [`scheduler`](super::scheduling::scheduler)). Its requests
//!    commute, so their order within the batch is free.
//! 2. Requests of one kind become one statement. The statements of a batch are sent one after the other without waiting
//!    for answers. Each is a transaction of its own.
//! 3. Each request is answered when its own statement is, and the next in line is admitted.
//! 4. A statement that fails and carries many calls is run again call by call, so that a bad call fails alone.
//! 5. What failed without harm (see `batch`) goes into a later batch, and keeps its place in line meanwhile.

use std::pin::pin;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::batching::batch::{Carrier, Run, Unsettled, run_batch};
use crate::engine::batching::engine::Engine;
use crate::engine::batching::request::Request;
use crate::engine::batching::retrying::{delayed_retry, hopeful};
use crate::engine::batching::scheduling::events::{BatchEnd, Decision, Event};
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;

/// What a pipeline does next.
pub(crate) enum Step {
    /// Open a connection. Then it may get a batch.
    Connect,
    /// `is_connected`: it has a connection, as far as the scheduler knows.
    Run { batch: Vec<Request>, is_connected: bool },
}

pub(crate) async fn run(
    engine: Weak<Engine>,
    pipeline: usize,
    mut steps: UnboundedReceiver<Step>,
    blocked: Arc<Notify>,
) {
    while let Some(step) = steps.recv().await {
        let Some(engine) = engine.upgrade() else { return };
        let mut busy = Busy { engine, pipeline, checkout: None };
        let mut next = Some(step);
        while let Some(step) = next {
            match step {
                Step::Connect => busy.connect().await,
                Step::Run { batch, is_connected } => busy.run(batch, is_connected, &blocked).await,
            }
            next = steps.try_recv().ok();
        }
    }
}

/// A pipeline that is not idle. If it panics, its requests fail, and another task takes its place.
struct Busy {
    engine: Arc<Engine>,
    pipeline: usize,
    checkout: Option<Checkout>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.engine.dispatch.replace_pipeline(&self.engine, self.pipeline);
            self.end_batch(Unsettled::default());
        }
    }
}

impl Busy {
    /// Opening a connection may take long, and needs JavaScript, whose thread may be busy or blocked. So this pipeline
    /// has no requests yet: the others take them meanwhile. If they have taken all of them, the connection goes back
    /// to the pool.
    async fn connect(&mut self) {
        match self.check_out().await {
            Ok(checkout) => {
                self.checkout = Some(checkout);
                self.engine.on(Event::Connected { pipeline: self.pipeline });
            }
            Err(error) => self.not_connected(Vec::new(), &error),
        }
    }

    async fn run(&mut self, batch: Vec<Request>, is_connected: bool, blocked: &Notify) {
        let checkout = match self.check_out().await {
            Ok(checkout) => checkout,
            Err(error) => return self.not_connected(batch, &error),
        };
        if !is_connected {
            self.engine.on(Event::BatchBegan { pipeline: self.pipeline });
        }
        // What was reported of an earlier batch, just as that ended.
        let _ = blocked.notified().now_or_never();
        let unsettled = {
            let carrier = Carrier::Pipeline(self.pipeline);
            let run = Run { engine: &self.engine, checkout: &checkout, carrier };
            let running = pin!(run_batch(&run, batch));
            match select(running, pin!(blocked.notified())).await {
                Either::Left((unsettled, _)) => unsettled,
                Either::Right(((), running)) => {
                    let _on_worker = checkout.keep_on_worker();
                    running.await
                }
            }
        };
        let keeps = checkout.is_usable() && !self.engine.blocked_requests_want_connection();
        self.checkout = keeps.then_some(checkout);
        self.end_batch(unsettled);
    }

    /// The connection of its last batch, if it has not given it back yet: the next step may come before that, from
    /// another thread.
    async fn check_out(&mut self) -> Result<Checkout, Error> {
        match self.checkout.take() {
            Some(checkout) => Ok(checkout),
            None => self.engine.pool.check_out().await,
        }
    }

    fn end_batch(&self, unsettled: Unsettled) {
        self.engine.on(Event::BatchEnded(BatchEnd {
            pipeline: self.pipeline,
            retries: unsettled.again.into_iter().map(delayed_retry).collect(),
            blocked: unsettled.blocked.into_iter().map(|(request, _)| request).collect(),
            has_connection: self.checkout.is_some(),
            answers_next: self.engine.reports_next(),
        }));
    }

    fn not_connected(&self, batch: Vec<Request>, error: &Error) {
        let event = Event::NotConnected { pipeline: self.pipeline, batch };
        for decision in self.engine.decide(event) {
            match decision {
                Decision::RefuseUnconnected(requests) => refuse(&self.engine, requests, error),
                decision => self.engine.carry_out(decision),
            }
        }
    }
}

/// No connection is available: each call that waits for one fails, as it would if it tried by itself. A call that is
/// still [hopeful](crate::engine::batching::retrying::is_hopeful) is retried.
fn refuse(engine: &Arc<Engine>, requests: Vec<Request>, error: &Error) {
    engine.on(Event::Retried(hopeful(engine, requests, error)));
}
