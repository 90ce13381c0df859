//! Runs the requests whose statement waits for a lock that another transaction holds.
//!
//! A statement that waits for a lock delays the calls that share it, and what was sent behind it on the same
//! connection. That is more than a delay: the transaction that holds the lock may itself await one of those requests,
//! in the same process, and PostgreSQL sees no deadlock. So a statement that others depend on waits for 150 ms at most
//! (see [`lock_wait`](crate::engine::connection::lock_wait)). If that is too short, the server undoes it (55P03). Its
//! requests then run one by one, each with hardly any wait. That identifies the blocked ones, which the
//! scheduler sets apart (see [`isolation`](super::scheduling::isolation)).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::batching::batch::{Carrier, Run, Unsettled, run_batch};
use crate::engine::batching::engine::Engine;
use crate::engine::batching::request::Request;
use crate::engine::batching::retrying::{delayed_retry, hopeful};
use crate::engine::batching::scheduling::events::{DelayedRetry, Event};
use crate::engine::connection::lock_wait::LockWait;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;
use crate::tuning::lock_waits;

/// Of the retries, and of the requests that are still blocked.
type EndEvent = fn(Vec<DelayedRetry<Request>>, Vec<Request>) -> Event<Request>;

/// What a task of this module owes to the scheduler, also if it panics.
struct Running {
    engine: Arc<Engine>,
    end: Option<EndEvent>,
}

impl Running {
    fn end(mut self, retries: Vec<DelayedRetry<Request>>, blocked: Vec<Request>) {
        if let Some(end) = self.end.take() {
            self.engine.on(end(retries, blocked));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.engine.on(end(Vec::new(), Vec::new()));
        }
    }
}

/// Runs a request on a connection of its own, in the slot that the scheduler has given it.
pub(crate) async fn run_alone(engine: Arc<Engine>, mut request: Request) {
    let end = |retries, blocked| Event::AloneEnded { retries, blocked };
    let running = Running { engine: engine.clone(), end: Some(end) };
    request.blocked_since.get_or_insert_with(Instant::now);
    let (retries, blocked) = match connection(&engine).await {
        Ok(checkout) => {
            let _on_worker = checkout.keep_on_worker();
            let carrier = Carrier::Isolated(LockWait::Users);
            let run = Run { engine: &engine, checkout: &checkout, carrier };
            let unsettled = run_batch(&run, vec![request]).await;
            let blocked = unsettled.blocked.into_iter().map(|(request, _)| request).collect();
            (unsettled.again.into_iter().map(delayed_retry).collect(), blocked)
        }
        Err(error) => (hopeful(&engine, vec![request], &error), Vec::new()),
    };
    running.end(retries, blocked);
}

/// Runs requests together, on the connection that is left to all of them.
pub(crate) async fn run_round(engine: Arc<Engine>, mut requests: Vec<Request>) {
    let end = |retries, blocked| Event::RoundEnded { retries, blocked };
    let running = Running { engine: engine.clone(), end: Some(end) };
    for request in &mut requests {
        request.blocked_since.get_or_insert_with(Instant::now);
    }
    let checkout = match connection(&engine).await {
        Ok(checkout) => checkout,
        Err(error) => return running.end(hopeful(&engine, requests, &error), Vec::new()),
    };
    let wait = if requests.len() == 1 {
        LockWait::AtMost(lock_waits::ROUND_OF_ONE)
    } else {
        LockWait::AtMost(lock_waits::ROUND_OF_SEVERAL)
    };
    let on_worker = checkout.keep_on_worker();
    let run = Run { engine: &engine, checkout: &checkout, carrier: Carrier::Isolated(wait) };
    let Unsettled { again, blocked } = run_batch(&run, requests).await;
    let mut still_blocked = Vec::new();
    for (request, error) in blocked {
        match over_limit(&checkout, &request, &error) {
            Some(error) => request.fail(error),
            None => still_blocked.push(request),
        }
    }
    drop((on_worker, checkout));
    running.end(again.into_iter().map(delayed_retry).collect(), still_blocked);
}

/// The rounds add up: the user's own limits apply to the sum.
fn over_limit(checkout: &Checkout, request: &Request, error: &Error) -> Option<Error> {
    let waited = request.blocked_since.map_or(Duration::ZERO, |since| since.elapsed());
    match checkout.query_timeout() {
        Some(limit) if waited >= limit => Some(Error::QueryTimeout),
        _ => checkout.lock_timeout().over(waited, error),
    }
}

/// A connection for a blocked request. The pipelines give theirs back meanwhile, after their batches.
async fn connection(engine: &Arc<Engine>) -> Result<Checkout, Error> {
    let wanting = &engine.blocked_wanting;
    wanting.fetch_add(1, Ordering::AcqRel);
    let checkout = engine.pool.check_out().await;
    wanting.fetch_sub(1, Ordering::AcqRel);
    checkout
}

impl Engine {
    /// Whether a pipeline should give its connection back for a moment: a blocked request wants one.
    pub(crate) fn blocked_requests_want_connection(&self) -> bool {
        self.blocked_wanting.load(Ordering::Acquire) > 0
    }
}
