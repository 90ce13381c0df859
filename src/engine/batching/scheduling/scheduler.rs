//! What runs next: a pure function of the state, an event and the time, which returns decisions. It knows no socket, no
//! thread and no clock.
//!
//! 1. A request takes its place among the calls on its keys ([`key_scheduler`](super::key_scheduler)).
//! 2. Once it is admitted to all of them, it is ready, and waits for a pipeline ([`ready`](super::ready)).
//! 3. A pipeline runs it in a batch. It is then settled; or it is retried, after a pause ([`retries`](super::retries));
//!    or another transaction blocks it, and it waits elsewhere ([`isolation`](super::isolation)).
//! 4. When it is settled, its accesses end, and the next calls on its keys are admitted.
//!
//! After each event the engine carries out the decisions, and calls again no later than at
//! [`next_wake`](Scheduler::next_wake).

use std::time::{Duration, Instant};

use crate::engine::batching::scheduling::access::Accesses;
use crate::engine::batching::scheduling::events::{BatchEnd, Decision, DelayedRetry, Event};
use crate::engine::batching::scheduling::isolation::{Isolated, Isolation};
use crate::engine::batching::scheduling::key_scheduler::KeyScheduler;
use crate::engine::batching::scheduling::pipelines::{Batch, PipelineState, Pipelines};
use crate::engine::batching::scheduling::ready::{BatchKind, Ready};
use crate::engine::batching::scheduling::retries::Retries;
use crate::engine::batching::scheduling::returning::Returning;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::tuning::batches;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Open,
    Closing,
    Closed,
}

pub(crate) struct Scheduler<R> {
    keys: KeyScheduler<R>,
    ready: Ready<R>,
    retries: Retries<R>,
    returning: Returning,
    pipelines: Pipelines,
    isolation: Isolation<R>,
    /// Calls with a waiting caller.
    in_flight: usize,
    life: Life,
    /// How long a ready request waits for a connection.
    queue_timeout: Option<Duration>,
    /// When the ready requests are checked for that. Not at each request's own time: a check goes over all of them.
    next_check: Option<Instant>,
    /// When the writes that are held back now must be sent.
    held_until: Option<Instant>,
    /// When requests that are left to other pipelines may have one of their own. The others may wait for a connection
    /// that does not open.
    limited_until: Option<Instant>,
    /// Empty between events; kept for its memory.
    admitted: Vec<R>,
}

impl<R: Scheduled> Scheduler<R> {
    /// For a pool of `max` connections.
    pub(crate) fn new(max: usize, queue_timeout: Option<Duration>) -> Self {
        Self {
            keys: KeyScheduler::default(),
            ready: Ready::of_pipelines(max),
            retries: Retries::default(),
            returning: Returning::default(),
            pipelines: Pipelines::new(max),
            isolation: Isolation::of_pool(max),
            in_flight: 0,
            life: Life::Open,
            queue_timeout,
            next_check: None,
            held_until: None,
            limited_until: None,
            admitted: Vec::new(),
        }
    }

    pub(crate) fn on(&mut self, event: Event<R>, now: Instant) -> Vec<Decision<R>> {
        let mut decisions = Vec::new();
        match event {
            Event::Submitted(requests) => self.submit(requests, now, &mut decisions),
            Event::Settled(settled) => self.settle(settled, now),
            Event::Resumed(requests) => self.resume(requests, now),
            Event::Retried(retries) => self.retry(retries, now),
            Event::Connected { pipeline } => {
                self.pipelines.set(pipeline, PipelineState::Idle);
                self.continue_or_give_back(pipeline, now, &mut decisions);
            }
            Event::BatchBegan { pipeline } => self.pipelines.begin(pipeline, now),
            Event::NotConnected { pipeline, batch } => {
                self.not_connected(pipeline, batch, now, &mut decisions);
            }
            Event::BatchEnded(end) => self.end_batch(end, now, &mut decisions),
            Event::CallersAnswered => self.ready.linger().end(now),
            Event::AloneEnded { retries, blocked } => {
                self.isolation.free_slot();
                self.retry(retries, now);
                blocked.into_iter().for_each(|request| self.isolation.add(request));
            }
            Event::RoundEnded { retries, blocked } => {
                self.isolation.end_round(!blocked.is_empty(), now);
                self.retry(retries, now);
                blocked.into_iter().for_each(|request| self.isolation.add(request));
            }
            Event::Woken => self.wake(now, &mut decisions),
            Event::Closing => self.life = self.life.max(Life::Closing),
            Event::Closed => self.life = Life::Closed,
        }
        self.decide(now, &mut decisions);
        decisions
    }
    /// When the next [`Woken`](Event::Woken) is due, if nothing else happens before.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let dues = [
            self.pipelines.blocked_at(),
            self.held_until,
            self.limited_until,
            self.retries.due(),
            self.isolation.due(),
            self.next_check,
        ];
        dues.into_iter().flatten().min()
    }

    /// Whether a statement that other requests do not depend on may wait for a lock for as long as the user allows.
    /// If so, [`AloneEnded`](Event::AloneEnded) follows.
    pub(crate) fn take_slot(&mut self) -> bool {
        self.isolation.take_slot()
    }

    /// So many items of this pipeline's batch, which stand for so many calls, are about to get their outcome. If those
    /// are the last, [`BatchEnded`](Event::BatchEnded) follows at once.
    pub(crate) fn expect_answers(&mut self, pipeline: usize, items: usize, calls: usize, now: Instant) {
        self.pipelines.expect_answers(pipeline, items);
        self.returning.answer(calls, now);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many calls are ready, or in batches that are not blocked; counted at least up to `most`.
    pub(crate) fn active_calls(&self, most: usize) -> usize {
        let carried = self.pipelines.carried_calls();
        // Each request has a call.
        carried + self.ready.iter().take(most.saturating_sub(carried)).map(Scheduled::calls).sum::<usize>()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    pub(crate) fn pipelines(&self) -> &Pipelines {
        &self.pipelines
    }

    /// The calls that wait for an earlier call, or for a connection.
    pub(crate) fn queued(&self) -> usize {
        self.ready.iter().chain(self.keys.waiting()).map(Scheduled::calls).sum()
    }

    fn submit(&mut self, requests: Vec<R>, now: Instant, decisions: &mut Vec<Decision<R>>) {
        let mut refused = Vec::new();
        for request in requests {
            let is_accepted = match self.life {
                Life::Open => true,
                Life::Closing => request.is_owed(),
                Life::Closed => false,
            };
            if is_accepted {
                self.in_flight += request.calls_under_way();
                self.returning.call(request.calls_under_way());
                self.keys.enter(request, &mut self.admitted);
            } else {
                refused.push(request);
            }
        }
        // The callers just answered have called again, or other calls go without them.
        self.ready.linger().stop();
        self.admit(now);
        if !refused.is_empty() {
            decisions.push(Decision::RefuseClosed(refused));
        }
    }

    fn settle(&mut self, settled: Vec<(Accesses, usize)>, now: Instant) {
        for (accesses, calls) in settled {
            self.in_flight -= calls;
            self.keys.leave(&accesses, &mut self.admitted);
        }
        self.admit(now);
    }

    fn admit(&mut self, now: Instant) {
        for request in self.admitted.drain(..) {
            self.ready.push(request, now);
        }
    }

    /// They go in front of what has become ready since.
    fn resume(&mut self, mut requests: Vec<R>, now: Instant) {
        for request in &mut requests {
            request.set_ready_since(now);
        }
        self.ready.give_back(requests);
    }

    fn retry(&mut self, retries: Vec<DelayedRetry<R>>, now: Instant) {
        let mut at_once = Vec::new();
        for DelayedRetry { request, pause } in retries {
            match pause.is_zero() {
                true => at_once.push(request),
                false => self.retries.add(request, now + pause),
            }
        }
        self.ready.give_back(at_once);
    }

    fn end_batch(&mut self, end: BatchEnd<R>, now: Instant, decisions: &mut Vec<Decision<R>>) {
        let BatchEnd { pipeline, retries, blocked, has_connection, answers_next } = end;
        if let PipelineState::Running(batch) = self.pipelines.state(pipeline)
            && answers_next
            && self.may_linger(batch, &retries)
        {
            let took = now.saturating_duration_since(batch.since);
            self.ready.linger().begin(now, batch.calls, self.in_flight, took);
        }
        self.pipelines.set(pipeline, PipelineState::Idle);
        self.retry(retries, now);
        blocked.into_iter().for_each(|request| self.isolation.add(request));
        if has_connection {
            self.continue_or_give_back(pipeline, now, decisions);
        }
    }

    /// An idle pipeline with a connection takes a batch, unless others have taken its place while it was blocked.
    fn continue_or_give_back(&mut self, pipeline: usize, now: Instant, decisions: &mut Vec<Decision<R>>) {
        if !self.pipelines.may_carry() || !self.take_batch(pipeline, true, now, decisions) {
            self.pipelines.give_back_connection();
        }
    }

    /// Not if no caller has been answered, and not on the only pipeline, which reads would use meanwhile.
    fn may_linger(&self, batch: Batch, retries: &[DelayedRetry<R>]) -> bool {
        batch.kind == BatchKind::Writes
            && self.in_flight < batches::LINGER_BELOW_CALLS
            && retries.iter().all(|retry| !retry.pause.is_zero())
            && (self.pipelines.max() > 1 || !self.ready.has_reads())
    }

    /// If another pipeline continues with a connection that it has, the failure to open one more (53300, for example)
    /// is no reason to fail a call. The calls go back, and for a while no further pipeline is tried.
    fn not_connected(
        &mut self,
        pipeline: usize,
        batch: Vec<R>,
        now: Instant,
        decisions: &mut Vec<Decision<R>>,
    ) {
        if self.pipelines.others_carry(pipeline) && !batch.iter().any(Scheduled::has_failed) {
            self.pipelines.limit_to_others(now);
            self.ready.give_back(batch);
        } else {
            let refused: Vec<R> = batch.into_iter().chain(self.ready.take_all()).collect();
            if !refused.is_empty() {
                decisions.push(Decision::RefuseUnconnected(refused));
            }
        }
        self.pipelines.set(pipeline, PipelineState::Idle);
    }

    fn wake(&mut self, now: Instant, decisions: &mut Vec<Decision<R>>) {
        self.pipelines.mark_blocked(now, |pipeline| decisions.push(Decision::Blocked { pipeline }));
        let due = self.retries.take_due(now);
        self.resume(due, now);
        if let Some(limit) = self.queue_timeout
            && self.next_check.is_some_and(|check| check <= now)
        {
            let overdue = self.ready.take_overdue(limit, now);
            if !overdue.is_empty() {
                decisions.push(Decision::RefuseOverdue(overdue));
            }
            self.next_check = self.first_overdue().map(|due| due.max(now + limit / 10));
        }
    }

    /// When the ready request that has waited longest will have waited too long.
    fn first_overdue(&self) -> Option<Instant> {
        let limit = self.queue_timeout?;
        self.ready.iter().filter_map(Scheduled::ready_since).min().map(|since| since + limit)
    }

    /// Starts what can start now.
    fn decide(&mut self, now: Instant, decisions: &mut Vec<Decision<R>>) {
        while let Some(isolated) = self.isolation.next(now) {
            decisions.push(match isolated {
                Isolated::Alone(request) => Decision::RunAlone(request),
                Isolated::Round(requests) => Decision::RunRound(requests),
            });
        }
        while self.ready.has_work(self.pipelines.load(), now)
            && let Some(pipeline) = self.pipelines.startable(now)
        {
            if self.pipelines.active() > 0 {
                self.pipelines.set(pipeline, PipelineState::Connecting);
                decisions.push(Decision::Connect { pipeline });
            } else if !self.take_batch(pipeline, false, now, decisions) {
                break;
            }
        }
        self.held_until = self.ready.held_until(self.pipelines.load(), now);
        self.limited_until = self.pipelines.limited_until(now).filter(|_| self.ready.iter().next().is_some());
        if self.next_check.is_none() && self.queue_timeout.is_some() {
            self.next_check = self.first_overdue();
        }
    }

    /// Gives the next batch to an idle pipeline. Returns whether there was any.
    fn take_batch(
        &mut self,
        pipeline: usize,
        is_connected: bool,
        now: Instant,
        decisions: &mut Vec<Decision<R>>,
    ) -> bool {
        let pipelines = self.pipelines.sharing();
        let returning = self.returning.callers(now);
        // Of what is ready, and of what the callers just answered may add.
        let share = |ready: usize| {
            if ready < batches::DIVIDED_FROM { ready } else { (ready + returning).div_ceil(pipelines) }
        };
        let load = self.pipelines.load();
        let Some((kind, batch)) = self.ready.take(batches::MAX_ITEMS, share, load, now) else {
            return false;
        };
        let calls = batch.iter().map(Scheduled::calls).sum();
        let unanswered = batch.iter().map(Scheduled::items).sum();
        self.pipelines.take(pipeline, Batch { kind, calls, unanswered, since: now }, is_connected);
        decisions.push(Decision::Run { pipeline, batch, is_connected });
        true
    }
}
