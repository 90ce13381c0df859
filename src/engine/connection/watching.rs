//! Which side watches a socket, and the wake-ups of the task that reads it.
//!
//! * Both the poller and the runtime may be about to report a socket as ready. The task that reads decides at each poll
//!   which of them it waits for ([`Watching::is_on_loop`]).
//! * Each change of an answer to that question wakes the task, so that it never waits for the wrong side.

use std::sync::Arc;
use std::task::Waker;

use super::mode::{Mode, SharedMode};
use super::primitives::{AtomicBool, AtomicUsize, AtomicWaker, Ordering};

/// What an engine's sockets have in common.
pub(crate) struct LoopState {
    mode: SharedMode,
    /// Work has been left for the event loop's thread.
    wants_poll: AtomicBool,
}

impl LoopState {
    pub(crate) fn new() -> Self {
        Self { mode: SharedMode::new(), wants_poll: AtomicBool::new(false) }
    }

    pub(crate) fn is_on_loop(&self) -> bool {
        self.mode.is_on_loop()
    }

    /// Whether it was another mode. The sockets' tasks must be woken then.
    pub(crate) fn set(&self, mode: Mode) -> bool {
        self.mode.set(mode)
    }

    pub(crate) fn want_poll(&self) {
        self.wants_poll.store(true, Ordering::Release);
    }

    pub(crate) fn wants_poll(&self) -> bool {
        self.wants_poll.swap(false, Ordering::AcqRel)
    }
}

pub(crate) struct Watching {
    engine: Arc<LoopState>,
    /// What watches the socket, as far as the poller knows.
    by: SharedMode,
    /// How many require the runtime to watch.
    kept: AtomicUsize,
    /// Nothing was left to read. Reading is of no use until the poller sees that more has come.
    drained: AtomicBool,
    reader: AtomicWaker,
}

impl Watching {
    /// Kept once.
    pub(crate) fn new(engine: &Arc<LoopState>) -> Self {
        Self {
            engine: engine.clone(),
            by: SharedMode::new(),
            kept: AtomicUsize::new(1),
            drained: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// Whether the poller may watch now.
    pub(crate) fn may_watch(&self) -> bool {
        self.engine.is_on_loop() && self.kept.load(Ordering::Acquire) == 0
    }

    /// Whether the poller watches, and may.
    pub(crate) fn is_on_loop(&self) -> bool {
        self.by.is_on_loop() && self.may_watch()
    }

    /// The poller watches, or does not any more.
    pub(crate) fn watch(&self, by: Mode) {
        if self.by.set(by) {
            self.read_again();
        }
    }

    /// From here on the runtime watches.
    pub(crate) fn keep(&self) {
        if self.kept.fetch_add(1, Ordering::AcqRel) == 0 {
            self.read_again();
        }
    }

    /// As before [`keep`](Self::keep), once it has been called as often. The poller is to look at the socket again.
    pub(crate) fn release(&self) {
        if self.kept.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.engine.want_poll();
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    pub(crate) fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Release);
    }

    /// Sets the waker that is woken when there may be more to read.
    pub(crate) fn set_reader(&self, reader: &Waker) {
        self.reader.register(reader);
    }

    pub(crate) fn read_again(&self) {
        self.drained.store(false, Ordering::Release);
        self.reader.wake();
    }
}
