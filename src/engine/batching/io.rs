//! Which thread does an engine's work, as the node wing and the batches see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::batching::engine::Engine;
use crate::engine::connection::readiness::Readiness;
use crate::sync::{Thread, at_end};

impl Engine {
    /// Allows this thread, which made the engine and makes its calls, to carry them as well, while they are few. It
    /// must then [`poll`](Self::poll) when [`wants_poll`](Self::wants_poll) returns true, and watch the
    /// [`sockets`](Self::sockets).
    pub fn allow_on_loop(&self) {
        self.may_run_on_loop.store(true, Ordering::Release);
    }

    /// Whether there is work that waits for a [`poll`](Self::poll). The question resets it.
    pub fn wants_poll(&self) -> bool {
        self.wants_poll.swap(false, Ordering::AcqRel)
    }

    /// Does on this thread what can be done at once.
    pub fn poll(&self) {
        let _context = self.runtime.enter();
        self.io.executor.poll(|| ());
    }

    /// As [`poll`](Self::poll), after something has come from the server. This thread then reports to the callers who
    /// were answered, and confirms that with [`callers_were_answered`](Self::callers_were_answered).
    pub fn poll_from(&self, readiness: &Readiness) {
        let _context = self.runtime.enter();
        self.reports_next.store(true, Ordering::Relaxed);
        let _restore = at_end(|| self.reports_next.store(false, Ordering::Relaxed));
        self.io.executor.poll(|| readiness.read_again());
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
        self.io.mode.leave_loop();
    }

    pub(crate) fn choose_io_mode(&self, was_idle: bool, in_flight: usize) {
        if in_flight > self.max_on_loop {
            self.io.mode.leave_loop();
        } else if was_idle
            && self.may_run_on_loop.load(Ordering::Acquire)
            && Thread::current() == self.home
            && self.io.mode.enter_loop()
        {
            // The sockets must be watched again, even if no pipeline is to start: a pipeline that is ending may take
            // the call.
            self.wants_poll.store(true, Ordering::Release);
        }
    }
}
