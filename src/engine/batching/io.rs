//! Which thread does an engine's work, as the node wing and the batches see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::batching::engine::{Engine, State};
use crate::engine::connection::mode_choice::Event;
use crate::engine::connection::readiness::Readiness;
use crate::sync::{Thread, at_end};
use crate::tuning::threads;

impl Engine {
    /// Allows this thread, which made the engine and makes its calls, to carry them as well, while they are few. It
    /// must then [`poll`](Self::poll) when [`wants_poll`](Self::wants_poll) returns true, and watch the
    /// [`sockets`](Self::sockets).
    pub fn allow_on_loop(&self) {
        self.io.mode.allow_loop();
    }

    /// Whether there is work that waits for a [`poll`](Self::poll). The question resets it.
    pub fn wants_poll(&self) -> bool {
        self.io.mode.wants_poll()
    }

    /// Does on this thread what can be done at once, after `first`.
    pub fn poll(&self, first: impl FnOnce()) {
        let _context = self.runtime.enter();
        self.io.executor.poll(first);
    }

    /// As [`poll`](Self::poll), after something has come from the server. This thread then reports to the callers who
    /// were answered, and confirms that with [`callers_were_answered`](Self::callers_were_answered).
    pub fn poll_from(&self, readiness: &Readiness) {
        let _context = self.runtime.enter();
        self.reports_next.store(true, Ordering::Relaxed);
        let _restore = at_end(|| self.reports_next.store(false, Ordering::Relaxed));
        self.io.executor.poll(|| readiness.watching().read_again());
    }

    /// Whether answered callers get their outcome as soon as this thread returns from polling.
    pub(crate) fn reports_next(&self) -> bool {
        self.reports_next.load(Ordering::Relaxed) && Thread::current() == self.home
    }

    /// The sockets of the connections that are open.
    pub fn sockets(&self) -> Vec<Arc<Readiness>> {
        self.io.mode.sockets()
    }

    /// Has the runtime's worker do all the work, until the next call that may choose otherwise.
    pub fn leave_loop(&self) {
        self.io.mode.after(&Event::Blocked);
    }

    pub(crate) fn active_calls(&self, state: &State) -> usize {
        let scheduler = &state.scheduler;
        self.io.mode.active(scheduler.in_flight(), scheduler.active_calls(threads::MAX_ON_LOOP + 1))
    }

    /// Chooses the mode as requests have entered. `others`: how many calls were active before.
    pub(crate) fn begin_calls(&self, others: usize, state: &State) {
        let on_loop = Thread::current() == self.home;
        self.io.mode.after(&Event::Begun { on_loop, others, all: self.active_calls(state) });
    }

    /// Chooses the mode as other calls have ended.
    pub(crate) fn calls_are_active(&self, state: &State) {
        if self.io.mode.is_on_loop() {
            self.io.mode.after(&Event::Active(self.active_calls(state)));
        }
    }
}
