//! Requests whose statement waits for a lock that another transaction holds.
//!
//! A statement that waits for a lock delays the calls that share it, and what was sent behind it on the same
//! connection. That is more than a delay: the transaction that holds the lock may itself await one of those requests,
//! in the same process, and PostgreSQL sees no deadlock. So a statement that others depend on waits for 150 ms at most
//! (see [`lock_wait`](crate::engine::connection::lock_wait)). If that is too short, the server undoes it (55P03), and
//! then:
//!
//! 1. Its requests run one by one, each with hardly any wait. That identifies the blocked ones.
//! 2. A blocked request leaves its pipeline, and keeps its place among the calls on its key. It runs alone, on a
//!    connection of its own and under the user's own limits. Such requests take all of the pool's connections but
//!    one.
//! 3. Further blocked requests take turns on that one, with pauses in which it serves the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::engine::batching::batch::{Unsettled, is_hopeful, pause, run_batch};
use crate::engine::batching::engine::Engine;
use crate::engine::batching::request::Request;
use crate::engine::connection::lock_wait::LockWait;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;
use crate::sync::lock;

/// How many of the requests that share a connection have their turn together. Most of those that are no longer
/// blocked then share a statement.
const TURN: usize = 16;

/// How long a turn waits for locks: the turn of one request, and the first attempt of several. If that is too short,
/// each of several waits for [`PROBE`](crate::engine::connection::lock_wait::PROBE). A turn in which any request was
/// still blocked is followed by a pause.
const ALONE: LockWait = LockWait::AtMost(Duration::from_millis(200));
const TOGETHER: LockWait = LockWait::AtMost(Duration::from_millis(50));
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Isolation {
    /// How many statements may wait without a limit of ours at the same time.
    slots: usize,
    taken: AtomicUsize,
    queue: Mutex<Queue>,
    /// How many blocked requests wait for a connection.
    wanting: AtomicUsize,
}

/// The requests that take turns.
#[derive(Default)]
struct Queue {
    blocked: VecDeque<Request>,
    is_attended: bool,
}

impl Isolation {
    /// For a pool of `max` connections, of which one is left for requests that are not blocked.
    pub(crate) fn of_pool(max: usize) -> Self {
        Self {
            slots: max - 1,
            taken: AtomicUsize::new(0),
            queue: Mutex::default(),
            wanting: AtomicUsize::new(0),
        }
    }

    /// Whether a pipeline should give its connection back for a moment: a blocked request wants one.
    pub(crate) fn wants_connection(&self) -> bool {
        self.wanting.load(Ordering::Acquire) > 0
    }
}

/// The right to wait for a lock for as long as the user allows. It is not given out if it would take the last
/// connection.
pub(crate) struct Slot(Arc<Engine>);

impl Slot {
    pub(crate) fn take(engine: &Arc<Engine>) -> Option<Self> {
        let Isolation { slots, taken, .. } = &engine.isolation;
        let one_more = |taken: usize| (taken < *slots).then_some(taken + 1);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(|_| Self(engine.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.isolation.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes over a request that another transaction blocks.
pub(crate) fn isolate(engine: &Arc<Engine>, mut request: Request) {
    request.blocked_since.get_or_insert_with(Instant::now);
    match Slot::take(engine) {
        Some(slot) => engine.io.executor.spawn(Box::pin(wait_alone(slot, request))),
        None => enqueue(engine, request),
    }
}

/// Runs a request on a connection of its own until it is settled.
async fn wait_alone(slot: Slot, mut request: Request) {
    let engine = &slot.0;
    while let Some((checkout, wanting)) = connection_for(engine, request).await {
        let on_worker = checkout.keep_on_worker();
        let Unsettled { again, .. } =
            run_batch(engine, &checkout, vec![wanting], Some(LockWait::Users)).await;
        drop((on_worker, checkout));
        match again.into_iter().next() {
            Some(left) => request = left,
            None => return,
        }
        sleep(pause(&request)).await;
    }
}

fn enqueue(engine: &Arc<Engine>, request: Request) {
    let mut queue = lock(&engine.isolation.queue);
    queue.blocked.push_back(request);
    if !std::mem::replace(&mut queue.is_attended, true) {
        engine.io.executor.spawn(Box::pin(take_turns(Attending(engine.clone()))));
    }
}

/// The task that gives turns. If it panics, the next blocked request starts another task.
struct Attending(Arc<Engine>);

impl Drop for Attending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.isolation.queue).is_attended = false;
        }
    }
}

impl Attending {
    /// The requests whose turn it is. If there are none, the task ends.
    fn next(&self) -> Option<VecDeque<Request>> {
        let mut queue = lock(&self.0.isolation.queue);
        let turn = TURN.min(queue.blocked.len());
        queue.is_attended = turn > 0;
        (turn > 0).then(|| queue.blocked.drain(..turn).collect())
    }

    fn put_back(&self, request: Request) {
        lock(&self.0.isolation.queue).blocked.push_back(request);
    }
}

async fn take_turns(attending: Attending) {
    let engine = attending.0.clone();
    while let Some(mut requests) = attending.next() {
        while let Some(slot) = Slot::take(&engine).filter(|_| !requests.is_empty()) {
            if let Some(request) = requests.pop_front() {
                engine.io.executor.spawn(Box::pin(wait_alone(slot, request)));
            }
        }
        let Some(first) = requests.pop_front() else { continue };
        // While this request waits for a connection, the others of its turn wait, too.
        let Some((checkout, first)) = connection_for(&engine, first).await else {
            requests.into_iter().for_each(|request| attending.put_back(request));
            continue;
        };
        requests.push_front(first);
        let on_worker = checkout.keep_on_worker();
        let wait = if requests.len() == 1 { ALONE } else { TOGETHER };
        let Unsettled { again, blocked } = run_batch(&engine, &checkout, requests.into(), Some(wait)).await;
        let is_over = blocked.is_empty();
        for (request, error) in blocked {
            // The turns add up: the user's own limits apply to the sum.
            let waited = request.blocked_since.map_or(Duration::ZERO, |since| since.elapsed());
            let over = match checkout.query_timeout() {
                Some(limit) if waited >= limit => Some(Error::QueryTimeout),
                _ => checkout.lock_timeout().over(waited, &error),
            };
            match over {
                Some(error) => request.settle(Err(error)),
                None => attending.put_back(request),
            }
        }
        drop((on_worker, checkout));
        let runs_again = !again.is_empty();
        again.into_iter().for_each(|request| attending.put_back(request));
        if !is_over || runs_again {
            sleep(PAUSE).await;
        }
    }
}

/// A connection for a blocked request. None if no connection is available, which ends the request.
async fn connection_for(engine: &Arc<Engine>, mut request: Request) -> Option<(Checkout, Request)> {
    loop {
        engine.isolation.wanting.fetch_add(1, Ordering::AcqRel);
        let checkout = engine.pool.check_out().await;
        engine.isolation.wanting.fetch_sub(1, Ordering::AcqRel);
        match checkout {
            Ok(checkout) => return Some((checkout, request)),
            Err(error) if is_hopeful(engine, &request, &error) => {
                request.failures += 1;
                sleep(pause(&request)).await;
            }
            Err(error) => {
                request.settle(Err(error));
                return None;
            }
        }
    }
}
