//! A pipeline: a pooled connection that carries batches of statements for as long as calls are waiting.
//!
//! 1. A pipeline takes what is ready, up to a bound in calls and bytes. Ready requests commute (the key scheduler
//!    ensures that), so their order within a batch is free.
//! 2. Requests of one kind become one statement. The statements of a batch are sent one after the other without waiting
//!    for answers. Each is a transaction of its own.
//! 3. Each request is answered when its own statement is, and its turn goes to the next in line.
//! 4. A statement that fails and carries many calls is run again call by call, so that a bad call fails alone.
//! 5. What failed without harm (see `batch`) goes into a later batch, and keeps its turn meanwhile. If it has to
//!    pause first, the pause takes no pipeline's time.
//!
//! A batch that is delayed by another transaction's row lock does not stop the rest: after [`BLOCKED_AFTER`] another
//! pipeline may start, up to the pool's `max`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::engine::batching::batch::{is_hopeful, pause, run_batch};
use crate::engine::batching::engine::{EAGER_PIPELINES, Engine, State};
use crate::engine::batching::further_pipeline;
use crate::engine::batching::isolation::isolate;
use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::ready::BatchKind;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;

/// A batch's bound: what one answer may cost the calls that wait behind it. The other bound is in `batch`.
const BATCH_REQUESTS: usize = 256;

/// From this many calls on, a batch leaves a part to an idle pipeline.
const SHARED_BATCH: usize = 8;

/// With fewer calls left than this, a batch that waits for the next calls of the callers just answered is worth more
/// than one that continues while they make them. Measured on two cores with quick flushes, compared to a pipeline that
/// does not wait: 1.6 times the rate with 2 to 8 `set`s in flight, 1.5 with 16, 1.25 with 32; with 256
/// `recordFailure`s, which few rows stand for, 0.6.
const FEW_CALLS: usize = 32;

/// A batch that takes longer than this no longer counts as carrying, so that another pipeline may start.
const BLOCKED_AFTER: Duration = Duration::from_millis(10);

/// How long no further pipeline is tried after one got no connection.
const PIPELINE_LIMIT: Duration = Duration::from_secs(1);

/// Keeps the count of pipelines correct, and the count of writing pipelines, however the pipeline ends.
struct Running {
    engine: Arc<Engine>,
    is_blocked: bool,
    /// What its batch consists of, for as long as that counts.
    kind: Option<BatchKind>,
}

impl Running {
    /// The thread that carries this batch directly may not come back to it soon.
    fn mark_blocked(&mut self) {
        self.engine.io.mode.leave_loop();
        let engine = self.engine.clone();
        let mut state = engine.state();
        // Another pipeline may write meanwhile.
        if self.kind == Some(BatchKind::Writes) {
            self.end_batch(&mut state);
        }
        self.stand_aside(&mut state);
    }

    /// Another pipeline may start in place of this one.
    fn stand_aside(&mut self, state: &mut State) {
        if !std::mem::replace(&mut self.is_blocked, true) {
            state.blocked_pipelines += 1;
        }
        self.engine.start_pipeline(state);
    }

    fn carry_on(&mut self) {
        if std::mem::take(&mut self.is_blocked) {
            self.engine.state().blocked_pipelines -= 1;
        }
    }

    fn begin_batch(&mut self, kind: BatchKind, state: &mut State) {
        state.ready.begin(kind);
        self.kind = Some(kind);
    }

    fn end_batch(&mut self, state: &mut State) {
        if let Some(kind) = self.kind.take() {
            state.ready.end(kind);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.carry_on();
        let engine = self.engine.clone();
        let mut state = engine.state();
        self.end_batch(&mut state);
        state.pipelines -= 1;
        engine.pipeline_ended.notify_waiters();
        // Requests that became ready while this pipeline was ending must not be forgotten.
        engine.start_pipeline(&mut state);
    }
}

/// A pipeline's last batch.
#[derive(Clone, Copy, Default)]
struct Finished {
    calls: usize,
    took: Duration,
}

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut running = Running { engine: engine.clone(), is_blocked: false, kind: None };
    let mut checkout: Option<Checkout> = None;
    let mut left: Vec<Request> = Vec::new();
    let mut last = Finished::default();
    loop {
        // A request that must pause before a retry does not delay the others.
        let again = later(&engine, std::mem::take(&mut left));
        // A further pipeline takes no calls before it has a connection: the other pipelines may take them.
        checkout = checkout.filter(|checkout| checkout.is_usable());
        if checkout.is_none() && again.is_empty() && has_others(&engine) {
            match further_pipeline::connection(&engine).await {
                Ok(Some(opened)) => checkout = Some(opened),
                Ok(None) if !engine.state().ready.has_work() => return,
                Ok(None) => continue,
                Err(_) if others_carry(&engine) => return no_further_pipelines(&engine),
                Err(error) => {
                    let requests = take_batch(&mut running, Vec::new(), last);
                    left = refuse(&engine, requests, &error);
                    continue;
                }
            }
        }
        let requests = take_batch(&mut running, again, last);
        if requests.is_empty() {
            return;
        }
        let connection = match checkout.take() {
            Some(checkout) => checkout,
            None => match engine.pool.check_out().await {
                Ok(checkout) => checkout,
                Err(error) => match leave_to_others(&engine, requests) {
                    None => return,
                    Some(requests) => {
                        left = refuse(&engine, requests, &error);
                        continue;
                    }
                },
            },
        };
        let (began, calls) = (Instant::now(), requests.iter().map(Request::calls).sum());
        let unsettled = {
            let running_batch = run_batch(&engine, &connection, requests, None);
            tokio::pin!(running_batch);
            tokio::select! {
                unsettled = &mut running_batch => unsettled,
                () = sleep(BLOCKED_AFTER) => {
                    running.mark_blocked();
                    running_batch.await
                }
            }
        };
        running.carry_on();
        for (request, _) in unsettled.blocked {
            isolate(&engine, request);
        }
        left = unsettled.again;
        last = Finished { calls, took: began.elapsed() };
        checkout = (!engine.isolation.wants_connection()).then_some(connection);
    }
}

/// The requests of the next batch: those that run again first, then what is ready.
///
/// If another pipeline is idle, it gets its part. The server then works on two statements at once, and this process
/// handles one pipeline's answers while the server works for the other. A few calls are not shared out: a statement
/// costs the server more than a handful of further calls in it.
fn take_batch(running: &mut Running, again: Vec<Request>, last: Finished) -> Vec<Request> {
    let engine = running.engine.clone();
    let mut requests = again;
    let mut state = engine.state();
    let idle =
        EAGER_PIPELINES.min(engine.max_pipelines).saturating_sub(state.pipelines - state.blocked_pipelines);
    let pipelines = |ready: usize| if ready < SHARED_BATCH { 1 } else { 1 + idle };
    let room = BATCH_REQUESTS.saturating_sub(requests.len());
    // Not if no caller has been answered, and not on the only pipeline, which reads would use meanwhile.
    let has_written = running.kind == Some(BatchKind::Writes);
    let may_linger =
        has_written && requests.is_empty() && (engine.max_pipelines > 1 || !state.ready.has_reads());
    if may_linger && state.in_flight < FEW_CALLS && engine.reports_next() {
        let waiting = state.in_flight;
        state.ready.begin_turn(last.calls, waiting, last.took);
    }
    running.end_batch(&mut state);
    let (mut kind, taken) = state.ready.take(room, pipelines);
    requests.extend(taken);
    if requests.iter().any(Request::writes) {
        kind = BatchKind::Writes;
    }
    if !requests.is_empty() {
        running.begin_batch(kind, &mut state);
    }
    state.is_starting = false;
    if kind == BatchKind::Scans && !requests.is_empty() {
        // It may take long, and no other work waits for it.
        running.stand_aside(&mut state);
    } else {
        engine.start_pipeline(&mut state);
    }
    requests
}

/// The requests that run again at once. The others run after their pause; they keep their turns meanwhile.
fn later(engine: &Arc<Engine>, requests: Vec<Request>) -> Vec<Request> {
    let mut by_pause: BTreeMap<Duration, Vec<Request>> = BTreeMap::new();
    for request in requests {
        by_pause.entry(pause(&request)).or_default().push(request);
    }
    let at_once = by_pause.remove(&Duration::ZERO).unwrap_or_default();
    for (wait, requests) in by_pause {
        let engine = engine.clone();
        engine.io.executor.clone().spawn(Box::pin(async move {
            sleep(wait).await;
            engine.resume(requests);
        }));
    }
    at_once
}

/// Whether there are other pipelines. If so, further ones need not wait for this one to start. Pipelines whose batches
/// take long count, too: those batches may be answered before a connection is open.
fn has_others(engine: &Engine) -> bool {
    let mut state = engine.state();
    let has_others = state.pipelines >= 2;
    if has_others {
        state.is_starting = false;
    }
    has_others
}

/// Whether another pipeline, one that is not blocked, carries calls.
fn others_carry(engine: &Engine) -> bool {
    let state = engine.state();
    state.pipelines - state.blocked_pipelines >= 2
}

/// No further pipelines for a while: the last one got no connection.
fn no_further_pipelines(engine: &Engine) {
    let mut state = engine.state();
    state.pipeline_limit = Some((state.pipelines - 1, Instant::now() + PIPELINE_LIMIT));
}

/// If another pipeline continues with a connection that it has, the failure to open one more (53300, for example) is no
/// reason to fail a call. The calls go back, and for a while no further pipeline is tried.
fn leave_to_others(engine: &Engine, requests: Vec<Request>) -> Option<Vec<Request>> {
    let mut state = engine.state();
    if state.pipelines - state.blocked_pipelines < 2 || requests.iter().any(|request| request.failures > 0) {
        return Some(requests);
    }
    state.pipeline_limit = Some((state.pipelines - 1, Instant::now() + PIPELINE_LIMIT));
    state.ready.give_back(requests);
    None
}

/// No connection is available: each call that waits for one fails, as it would if it tried by itself. A call that is
/// still [hopeful](is_hopeful) is retried.
fn refuse(engine: &Engine, requests: Vec<Request>, error: &Error) -> Vec<Request> {
    let waiting = engine.state().ready.take_all();
    let mut again = Vec::new();
    for mut request in requests.into_iter().chain(waiting) {
        if is_hopeful(engine, &request, error) {
            request.failures += 1;
            request.note_retry();
            again.push(request);
        } else {
            request.settle(Err(error.clone()));
        }
    }
    again
}
