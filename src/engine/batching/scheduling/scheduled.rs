//! A request, as the scheduler sees it: no socket, no statement, no caller.

use std::time::Instant;

use crate::engine::batching::scheduling::access::Accesses;

pub(crate) trait Scheduled: Sized {
    fn accesses(&self) -> &Accesses;

    fn accesses_mut(&mut self) -> &mut Accesses;

    /// How many calls it stands for.
    fn calls(&self) -> usize;

    /// How many items it has; one if it is a single call.
    fn items(&self) -> usize {
        self.accesses().items()
    }

    /// A request for each of its items, in the same state.
    fn split(self) -> Vec<Self>;

    /// Itself, or a request for each of its items.
    fn items_by_themselves(self) -> Vec<Self> {
        if self.items() == 1 { vec![self] } else { self.split() }
    }

    /// Whether it is owed to the server. It is accepted while the engine is closing.
    fn is_owed(&self) -> bool;

    /// Whether a caller waits for it, and with the caller the end of the engine.
    fn has_caller(&self) -> bool;

    /// How many calls it stands for that have a waiting caller.
    fn calls_under_way(&self) -> usize {
        if self.has_caller() { self.calls() } else { 0 }
    }

    /// Whether it may be coalesced with others at all.
    fn is_coalescable(&self) -> bool;

    /// Has this request, which waits in line, also stand for the next request in line. Gives that back if it must not.
    fn coalesce(&mut self, next: Self) -> Result<(), Self>;

    /// Since when it has waited only for a pipeline.
    fn ready_since(&self) -> Option<Instant>;

    fn set_ready_since(&mut self, since: Instant);

    /// Whether it has failed before, and is a retry.
    fn has_failed(&self) -> bool;

    /// Whether it retries transient failures now. Such a request waits for a connection without a limit.
    fn can_retry(&self, now: Instant) -> bool;
}
