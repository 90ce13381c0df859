//! Requests whose statement waits for a lock that another transaction holds: where each of them waits.
//!
//! A statement that waits for a lock delays the calls that share it, and what was sent behind it on the same
//! connection. So a blocked request leaves its pipeline, and keeps its place among the calls on its key:
//!
//! 1. It runs alone, on a connection of its own and under the user's own limits. Such requests take all of the pool's
//!    connections but one: each of them has a slot.
//! 2. Further blocked requests run by rounds on that one, with pauses in which it serves the others.

use crate::tuning::lock_waits;
use std::collections::VecDeque;
use std::time::Instant;

pub(crate) struct Isolation<R> {
    /// How many statements may wait without a limit of ours at the same time.
    slots: usize,
    taken: usize,
    /// The requests that have no slot.
    queue: VecDeque<R>,
    rounds: Rounds,
}

enum Rounds {
    /// The next round may begin at once.
    Idle,
    Running,
    PausedUntil(Instant),
}

/// What a blocked request does next.
pub(crate) enum Isolated<R> {
    Alone(R),
    Round(Vec<R>),
}

impl<R> Isolation<R> {
    /// For a pool of `max` connections, of which one is left for requests that are not blocked.
    pub(crate) fn of_pool(max: usize) -> Self {
        Self { slots: max - 1, taken: 0, queue: VecDeque::new(), rounds: Rounds::Idle }
    }

    pub(crate) fn add(&mut self, request: R) {
        self.queue.push_back(request);
    }

    /// Whether a statement may wait for a lock for as long as the user allows. It then has a slot, until
    /// [`free_slot`](Self::free_slot).
    pub(crate) fn take_slot(&mut self) -> bool {
        let is_free = self.taken < self.slots;
        self.taken += usize::from(is_free);
        is_free
    }

    pub(crate) fn free_slot(&mut self) {
        self.taken -= 1;
    }

    /// The requests of the last round are settled, or have been added again.
    pub(crate) fn end_round(&mut self, is_any_blocked: bool, now: Instant) {
        self.rounds =
            if is_any_blocked { Rounds::PausedUntil(now + lock_waits::ROUND_PAUSE) } else { Rounds::Idle };
    }

    /// The next step that can be taken now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Isolated<R>> {
        if self.queue.is_empty() {
            return None;
        }
        if self.take_slot() {
            return self.queue.pop_front().map(Isolated::Alone);
        }
        match self.rounds {
            Rounds::Running => None,
            Rounds::PausedUntil(end) if now < end => None,
            Rounds::Idle | Rounds::PausedUntil(_) => {
                self.rounds = Rounds::Running;
                let size = lock_waits::ROUND.min(self.queue.len());
                Some(Isolated::Round(self.queue.drain(..size).collect()))
            }
        }
    }

    /// When the next round begins, if it has to pause before.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.rounds {
            Rounds::PausedUntil(end) if !self.queue.is_empty() => Some(end),
            _ => None,
        }
    }
}
