//! How long writes wait that could be sent: see [`ready`](crate::engine::batching::scheduling::ready) for why they do.

use crate::tuning::batches;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Linger {
    /// Whether writes wait for callers who have been answered, and are about to get their outcome.
    is_lingering: bool,
    /// When such callers began to get their outcome, and how many they are.
    handover: Option<(Instant, u32)>,
    /// How long the last such handover took, for each of its callers. What they do in reply is part of it.
    handover_of_one: Duration,
    /// Since when writes have been held back.
    held_since: Option<Instant>,
}

impl Linger {
    /// This many callers, whose batch has been answered, get their outcome next, and may call again. The waiting
    /// writes wait for them if the handover to all of them together will be short compared to a batch.
    pub(crate) fn begin(&mut self, now: Instant, answered: usize, waiting: usize, batch: Duration) {
        let [answered, waiting] = [answered, waiting].map(|calls| calls.max(1) as u32);
        self.handover = Some((now, answered));
        self.is_lingering =
            self.handover_of_one.saturating_mul(answered.saturating_add(waiting)).saturating_mul(2) <= batch;
    }

    /// The answered callers have their outcome, and their next calls have come.
    pub(crate) fn end(&mut self, now: Instant) {
        if let Some((began, answered)) = self.handover.take() {
            self.handover_of_one = now.saturating_duration_since(began) / answered;
        }
        self.is_lingering = false;
    }

    /// Nothing waits for the answered callers any more.
    pub(crate) fn stop(&mut self) {
        self.is_lingering = false;
    }

    pub(crate) fn is_lingering(&self) -> bool {
        self.is_lingering
    }

    /// Whether writes are held back, from now on if they were not before.
    pub(crate) fn hold(&mut self, are_held: bool, now: Instant) {
        match are_held {
            true => _ = self.held_since.get_or_insert(now),
            false => self.held_since = None,
        }
    }

    /// Whether the writes have waited long enough. Callers who have not called again by then are busy with other work.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// When the writes that are held back must go.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held_since.map(|since| since + batches::MAX_LINGER)
    }
}
