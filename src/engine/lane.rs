//! A lane: a leased connection that carries rounds of statements for as long as calls are waiting.
//!
//! 1. A lane takes what is ready, up to a bound in calls and bytes. Ready requests commute (the sequencer ensures
//!    that), so their order within a round is free.
//! 2. Requests of one kind become one statement. The statements of a round are sent one after the other without waiting
//!    for answers. Each is a transaction of its own.
//! 3. Each request is answered when its own statement is, and its turn goes to the next in line.
//! 4. A statement that fails and carries many calls is run again call by call, so that a bad call fails alone.
//! 5. What failed without harm (see `round`) goes into a later round, and keeps its turn meanwhile. If it has to
//!    pause first, the pause takes no lane's time.
//!
//! A round that is delayed by another transaction's row lock does not stop the rest: after [`HELD_UP`] another lane
//! may start, up to the pool's `max`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::isolation::isolate;
use super::request::Request;
use super::pool::Lease;
use super::ready::Batch;
use super::round::{is_hopeful, pause, round};
use super::{EAGER_LANES, Error, Engine, State, further_lane};

/// A round's bound: what one answer may cost the calls that wait behind it. The other bound is in `round`.
const ROUND_REQUESTS: usize = 256;

/// From this many calls on, a round leaves a part to an idle lane.
const SHARED_ROUND: usize = 8;

/// With fewer calls left than this, a round that waits for the next calls of the callers just answered is worth more
/// than one that continues while they make them. Measured on two cores with quick flushes, compared to a lane that
/// does not wait: 1.6 times the rate with 2 to 8 `set`s in flight, 1.5 with 16, 1.25 with 32; with 256
/// `recordFailure`s, which few rows stand for, 0.6.
const FEW_CALLS: usize = 32;

/// A round that takes longer than this no longer counts as carrying, so that another lane may start.
const HELD_UP: Duration = Duration::from_millis(10);

/// How long no further lane is tried after one got no connection.
const LANE_LIMIT: Duration = Duration::from_secs(1);

/// Keeps the count of lanes correct, and the count of writing lanes, however the lane ends.
struct Running {
    engine: Arc<Engine>,
    held_up: bool,
    /// What its round consists of, for as long as that counts.
    batch: Option<Batch>,
}

impl Running {
    /// The thread that carries this round directly may not come back to it soon.
    fn hold_up(&mut self) {
        self.engine.way.direct.leave();
        let engine = self.engine.clone();
        let mut state = engine.state();
        // Another lane may write meanwhile.
        if self.batch == Some(Batch::Writes) {
            self.end_batch(&mut state);
        }
        self.stand_aside(&mut state);
    }

    /// Another lane may start in place of this one.
    fn stand_aside(&mut self, state: &mut State) {
        if !std::mem::replace(&mut self.held_up, true) {
            state.held_up_lanes += 1;
        }
        self.engine.start_lane(state);
    }

    fn carry_on(&mut self) {
        if std::mem::take(&mut self.held_up) {
            self.engine.state().held_up_lanes -= 1;
        }
    }

    fn begin_batch(&mut self, batch: Batch, state: &mut State) {
        state.ready.begin(batch);
        self.batch = Some(batch);
    }

    fn end_batch(&mut self, state: &mut State) {
        if let Some(batch) = self.batch.take() {
            state.ready.end(batch);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.carry_on();
        let engine = self.engine.clone();
        let mut state = engine.state();
        self.end_batch(&mut state);
        state.lanes -= 1;
        engine.lane_ended.notify_waiters();
        // Requests that became ready while this lane was ending must not be forgotten.
        engine.start_lane(&mut state);
    }
}

/// A lane's last round.
#[derive(Clone, Copy, Default)]
struct Finished {
    calls: usize,
    took: Duration,
}

pub(super) async fn run(engine: Arc<Engine>) {
    let mut running = Running { engine: engine.clone(), held_up: false, batch: None };
    let mut lease: Option<Lease> = None;
    let mut left: Vec<Request> = Vec::new();
    let mut last = Finished::default();
    loop {
        // A request that must pause before a retry does not delay the others.
        let again = later(&engine, std::mem::take(&mut left));
        // A further lane takes no calls before it has a connection: the other lanes may take them.
        lease = lease.filter(|lease| lease.is_usable());
        if lease.is_none() && again.is_empty() && has_others(&engine) {
            match further_lane::connection(&engine).await {
                Ok(Some(opened)) => lease = Some(opened),
                Ok(None) if !engine.state().ready.has_work() => return,
                Ok(None) => continue,
                Err(_) if others_carry(&engine) => return no_further_lanes(&engine),
                Err(error) => {
                    let requests = take_round(&mut running, Vec::new(), last);
                    left = refuse(&engine, requests, &error);
                    continue;
                }
            }
        }
        let requests = take_round(&mut running, again, last);
        if requests.is_empty() {
            return;
        }
        let connection = match lease.take() {
            Some(lease) => lease,
            None => match engine.pool.lease().await {
                Ok(lease) => lease,
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
            let round = round(&engine, &connection, requests, None);
            tokio::pin!(round);
            tokio::select! {
                unsettled = &mut round => unsettled,
                () = sleep(HELD_UP) => {
                    running.hold_up();
                    round.await
                }
            }
        };
        running.carry_on();
        for (request, _) in unsettled.blocked {
            isolate(&engine, request);
        }
        left = unsettled.again;
        last = Finished { calls, took: began.elapsed() };
        lease = (!engine.isolation.wants_connection()).then_some(connection);
    }
}

/// The requests of the next round: those that run again first, then what is ready.
///
/// If another lane is idle, it gets its part. The server then works on two statements at once, and this process
/// handles one lane's answers while the server works for the other. A few calls are not shared out: a statement costs
/// the server more than a handful of further calls in it.
fn take_round(running: &mut Running, again: Vec<Request>, last: Finished) -> Vec<Request> {
    let engine = running.engine.clone();
    let mut requests = again;
    let mut state = engine.state();
    let idle = EAGER_LANES.min(engine.max_lanes).saturating_sub(state.lanes - state.held_up_lanes);
    let lanes = |ready: usize| if ready < SHARED_ROUND { 1 } else { 1 + idle };
    let room = ROUND_REQUESTS.saturating_sub(requests.len());
    // Not if no caller has been answered, and not on the only lane, which reads would use meanwhile.
    let has_written = running.batch == Some(Batch::Writes);
    let may_linger = has_written && requests.is_empty() && (engine.max_lanes > 1 || !state.ready.has_reads());
    if may_linger && state.in_flight < FEW_CALLS && engine.tells_next() {
        let waiting = state.in_flight;
        state.ready.begin_turn(last.calls, waiting, last.took);
    }
    running.end_batch(&mut state);
    let (mut batch, taken) = state.ready.take(room, lanes);
    requests.extend(taken);
    if requests.iter().any(Request::writes) {
        batch = Batch::Writes;
    }
    if !requests.is_empty() {
        running.begin_batch(batch, &mut state);
    }
    state.is_starting = false;
    if batch == Batch::Scans && !requests.is_empty() {
        // It may take long, and no other work waits for it.
        running.stand_aside(&mut state);
    } else {
        engine.start_lane(&mut state);
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
        engine.way.drive.clone().spawn(Box::pin(async move {
            sleep(wait).await;
            engine.resume(requests);
        }));
    }
    at_once
}

/// Whether there are other lanes. If so, further ones need not wait for this one to start. Lanes whose rounds take
/// long count, too: those rounds may be answered before a connection is open.
fn has_others(engine: &Engine) -> bool {
    let mut state = engine.state();
    let has_others = state.lanes >= 2;
    if has_others {
        state.is_starting = false;
    }
    has_others
}

/// Whether another lane, one that is not held up, carries calls.
fn others_carry(engine: &Engine) -> bool {
    let state = engine.state();
    state.lanes - state.held_up_lanes >= 2
}

/// No further lanes for a while: the last one got no connection.
fn no_further_lanes(engine: &Engine) {
    let mut state = engine.state();
    state.lane_limit = Some((state.lanes - 1, Instant::now() + LANE_LIMIT));
}

/// If another lane continues with a connection that it has, the failure to open one more (53300, for example) is no
/// reason to fail a call. The calls go back, and for a while no further lane is tried.
fn leave_to_others(engine: &Engine, requests: Vec<Request>) -> Option<Vec<Request>> {
    let mut state = engine.state();
    if state.lanes - state.held_up_lanes < 2 || requests.iter().any(|request| request.failures > 0) {
        return Some(requests);
    }
    state.lane_limit = Some((state.lanes - 1, Instant::now() + LANE_LIMIT));
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
            request.note_repetition();
            again.push(request);
        } else {
            request.settle(Err(error.clone()));
        }
    }
    again
}
