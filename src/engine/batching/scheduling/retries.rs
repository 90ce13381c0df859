//! Requests that pause before a retry, in the order in which their pauses end. They keep their accesses meanwhile, and
//! delay no other request.

use std::collections::BTreeMap;
use std::time::Instant;

pub(crate) struct Retries<R> {
    /// By the end of the pause, then in order of arrival.
    pausing: BTreeMap<(Instant, u64), R>,
    arrived: u64,
}

impl<R> Default for Retries<R> {
    fn default() -> Self {
        Self { pausing: BTreeMap::new(), arrived: 0 }
    }
}

impl<R> Retries<R> {
    pub(crate) fn add(&mut self, request: R, due: Instant) {
        self.arrived += 1;
        self.pausing.insert((due, self.arrived), request);
    }

    /// When the next pause ends.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.pausing.first_key_value().map(|((due, _), _)| *due)
    }

    /// The requests whose pause is over.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<R> {
        let mut due = Vec::new();
        while self.due().is_some_and(|next| next <= now) {
            due.extend(self.pausing.pop_first().map(|(_, request)| request));
        }
        due
    }
}
