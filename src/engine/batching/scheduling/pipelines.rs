//! The pipelines, as the scheduler sees them: what each is doing.

use std::time::Instant;

use crate::engine::batching::scheduling::ready::{BatchKind, Load};
use crate::tuning::pipelines;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PipelineState {
    Idle,
    /// It opens a connection before it takes any requests.
    Connecting,
    /// It has requests, and needs a connection for them.
    Starting(Batch),
    Running(Batch),
    /// Its batch takes long, or may: other pipelines start in its place.
    Blocked(Batch),
}

impl PipelineState {
    /// Whether all its callers have been answered: its batch ends within microseconds.
    fn is_ending(&self) -> bool {
        matches!(self, Self::Running(batch) | Self::Blocked(batch) if batch.unanswered == 0)
    }

    /// Whether it carries requests, or will soon, and is not blocked.
    fn is_carrying(&self) -> bool {
        matches!(self, Self::Connecting | Self::Starting(_) | Self::Running(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) kind: BatchKind,
    pub(crate) calls: usize,
    /// How many items of its requests have no outcome yet.
    pub(crate) unanswered: usize,
    pub(crate) since: Instant,
}

pub(crate) struct Pipelines {
    /// The position of a pipeline in this list is its number.
    states: Vec<PipelineState>,
    max: usize,
    /// How many there may be, and until when, after one got no connection.
    limit: Option<(usize, Instant)>,
    /// How many connections pipelines have given back to the pool. They may have been closed since, or be in use for
    /// something else.
    free: usize,
}

impl Pipelines {
    pub(crate) fn new(max: usize) -> Self {
        Self { states: Vec::new(), max, limit: None, free: 0 }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn state(&self, pipeline: usize) -> PipelineState {
        self.states.get(pipeline).copied().unwrap_or(PipelineState::Idle)
    }

    pub(crate) fn set(&mut self, pipeline: usize, state: PipelineState) {
        self.states[pipeline] = state;
    }

    fn count(&self, is_counted: impl Fn(&PipelineState) -> bool) -> usize {
        self.states.iter().filter(|state| is_counted(state)).count()
    }

    pub(crate) fn active(&self) -> usize {
        self.count(|state| *state != PipelineState::Idle)
    }

    pub(crate) fn blocked(&self) -> usize {
        self.count(|state| matches!(state, PipelineState::Blocked(_)))
    }

    fn carrying(&self) -> usize {
        self.count(PipelineState::is_carrying)
    }

    /// Whether one of the others does.
    pub(crate) fn others_carry(&self, pipeline: usize) -> bool {
        self.carrying() > usize::from(self.state(pipeline).is_carrying())
    }

    /// Among how many pipelines the ready requests are divided: the idle one that takes some, and those that may then
    /// start and take the rest.
    pub(crate) fn sharing(&self) -> usize {
        pipelines::EAGER.min(self.max).saturating_sub(self.carrying()).max(1)
    }

    /// How many calls are in batches that are not blocked.
    pub(crate) fn carried_calls(&self) -> usize {
        let calls = |state: &PipelineState| match state {
            PipelineState::Starting(batch) | PipelineState::Running(batch) => batch.calls,
            _ => 0,
        };
        self.states.iter().map(calls).sum()
    }

    pub(crate) fn load(&self) -> Load {
        let mut load = Load::default();
        for state in &self.states {
            match state {
                PipelineState::Starting(batch) | PipelineState::Running(batch)
                    if batch.kind == BatchKind::Writes =>
                {
                    load.writing += 1;
                }
                PipelineState::Blocked(batch) if batch.kind == BatchKind::Scans => load.scanning += 1,
                _ => {}
            }
        }
        load
    }

    /// Whether one more that has a connection may carry requests.
    pub(crate) fn may_carry(&self) -> bool {
        self.running() < pipelines::EAGER
    }

    /// How many have requests, and are not blocked.
    fn running(&self) -> usize {
        self.count(|state| matches!(state, PipelineState::Starting(_) | PipelineState::Running(_)))
    }

    /// A pipeline has given its connection back to the pool.
    pub(crate) fn give_back_connection(&mut self) {
        self.free = (self.free + 1).min(self.max);
    }

    /// A pipeline that may start now.
    pub(crate) fn startable(&mut self, now: Instant) -> Option<usize> {
        let carrying = self.carrying();
        let limit = match self.limit {
            // A limit does not outlive the pipelines that it leaves the work to.
            Some((limit, until)) if carrying > 0 && now < until => limit.min(self.max),
            _ => self.max,
        };
        // A connection that does not open must not keep the others from being used.
        let is_room = carrying < pipelines::EAGER || (self.free > 0 && self.may_carry());
        // A caller who has just been answered may call again before the batch has ended. That is no reason for another
        // connection: a caller that makes one call after another needs one.
        if !is_room || self.active() >= limit || self.states.iter().any(PipelineState::is_ending) {
            return None;
        }
        self.free = self.free.saturating_sub(1);
        let idle = self.states.iter().position(|state| *state == PipelineState::Idle);
        Some(idle.unwrap_or_else(|| {
            self.states.push(PipelineState::Idle);
            self.states.len() - 1
        }))
    }

    /// This pipeline got no connection: no further ones for a while.
    pub(crate) fn limit_to_others(&mut self, now: Instant) {
        self.limit = Some((self.active() - 1, now + pipelines::NO_FURTHER_FOR));
    }

    /// An idle pipeline has taken a batch. `is_connected`: and can run it at once.
    pub(crate) fn take(&mut self, pipeline: usize, batch: Batch, is_connected: bool) {
        self.states[pipeline] = match (batch.kind, is_connected) {
            // A read of a whole table may take long, and no other work waits for it.
            (BatchKind::Scans, _) => PipelineState::Blocked(batch),
            (_, true) => PipelineState::Running(batch),
            (_, false) => PipelineState::Starting(batch),
        };
    }

    /// Items of its batch are about to get their outcome.
    pub(crate) fn expect_answers(&mut self, pipeline: usize, items: usize) {
        if let Some(PipelineState::Running(batch) | PipelineState::Blocked(batch)) =
            self.states.get_mut(pipeline)
        {
            batch.unanswered = batch.unanswered.saturating_sub(items);
        }
    }

    /// A pipeline that has taken a batch has a connection for it.
    pub(crate) fn begin(&mut self, pipeline: usize, now: Instant) {
        if let PipelineState::Starting(batch) = self.state(pipeline) {
            self.states[pipeline] = PipelineState::Running(Batch { since: now, ..batch });
        }
    }

    /// Marks the pipelines whose batches take long, and reports the new ones.
    pub(crate) fn mark_blocked(&mut self, now: Instant, mut report: impl FnMut(usize)) {
        for (pipeline, state) in self.states.iter_mut().enumerate() {
            if let PipelineState::Running(batch) = *state
                && batch.since + pipelines::BLOCKED_AFTER <= now
            {
                *state = PipelineState::Blocked(batch);
                report(pipeline);
            }
        }
    }

    /// When a further pipeline may be tried again, if that is in the future.
    pub(crate) fn limited_until(&self, now: Instant) -> Option<Instant> {
        self.limit.map(|(_, until)| until).filter(|until| *until > now)
    }

    /// When the next of them would be marked.
    pub(crate) fn blocked_at(&self) -> Option<Instant> {
        let due = |state: &PipelineState| match state {
            PipelineState::Running(batch) => Some(batch.since + pipelines::BLOCKED_AFTER),
            _ => None,
        };
        self.states.iter().filter_map(due).min()
    }
}
