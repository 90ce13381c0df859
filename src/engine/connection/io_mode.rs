//! What an engine's two threads share of its I/O: the current [mode](crate::engine::connection::mode), the sockets, and
//! how many calls are about to leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::engine::connection::executor::Executor;
use crate::engine::connection::mode::Mode;
use crate::engine::connection::mode_choice::{Choice, Event};
use crate::engine::connection::readiness::{OnWorker, Readiness};
use crate::engine::connection::stream::Stream;
use crate::engine::connection::watching::LoopState;
use crate::sync::{AtEnd, at_end, lock};
use crate::tuning::threads;

/// What polls an engine's connections, and what watches their sockets.
#[derive(Clone)]
pub(crate) struct Io {
    pub(crate) executor: Arc<Executor>,
    pub(crate) mode: Arc<IoMode>,
}

pub(crate) struct IoMode {
    choice: Mutex<Choice>,
    loop_state: Arc<LoopState>,
    sockets: Mutex<Vec<Weak<Readiness>>>,
    /// How many calls have their answers, and are about to leave.
    answered: AtomicUsize,
}

impl Default for IoMode {
    fn default() -> Self {
        Self {
            choice: Mutex::new(Choice::with_limit(threads::MAX_ON_LOOP)),
            loop_state: Arc::new(LoopState::new()),
            sockets: Mutex::default(),
            answered: AtomicUsize::new(0),
        }
    }
}

impl IoMode {
    /// There is an event loop that can watch the sockets.
    pub(crate) fn allow_loop(&self) {
        lock(&self.choice).allow_loop();
    }

    pub(crate) fn is_on_loop(&self) -> bool {
        self.loop_state.is_on_loop()
    }

    /// Leaves work for the event loop's thread.
    pub(crate) fn want_poll(&self) {
        self.loop_state.want_poll();
    }

    /// Whether there is work for that thread. The question resets it.
    pub(crate) fn wants_poll(&self) -> bool {
        self.loop_state.wants_poll()
    }

    /// Changes the mode if this event does.
    pub(crate) fn after(&self, event: &Event) {
        let mut choice = lock(&self.choice);
        let mode = choice.after(event);
        self.set(mode);
    }

    /// How many calls are active. `scheduled`: how many are in batches that are not blocked, or ready. A batch counts as
    /// a whole until its last statement is answered, so there may be fewer `in_flight`.
    pub(crate) fn active(&self, in_flight: usize, scheduled: usize) -> usize {
        in_flight.min(scheduled).saturating_sub(self.answered.load(Ordering::Relaxed))
    }

    /// These calls are not active any more, though they leave the engine only after their callers have been notified.
    /// The callers may be faster, and call again.
    pub(crate) fn answer(&self, calls: usize) -> AtEnd<impl FnMut() + '_> {
        self.answered.fetch_add(calls, Ordering::Relaxed);
        at_end(move || _ = self.answered.fetch_sub(calls, Ordering::Relaxed))
    }

    /// Under the lock of `choice`.
    fn set(&self, mode: Mode) {
        if self.loop_state.set(mode) {
            match mode {
                // The sockets must be watched again, even if no pipeline is to start: one that is ending may take the
                // calls.
                Mode::OnLoop => self.want_poll(),
                // From here on the runtime watches the sockets.
                Mode::Worker => {
                    for readiness in lock(&self.sockets).iter().filter_map(Weak::upgrade) {
                        readiness.watching().read_again();
                    }
                }
            }
        }
    }

    /// What the event loop's thread may watch of a socket. It may not while the returned value is kept.
    pub(crate) fn track(&self, stream: &Stream) -> std::io::Result<OnWorker> {
        let readiness = Readiness::of(stream, &self.loop_state)?;
        lock(&self.sockets).push(Arc::downgrade(&readiness));
        Ok(OnWorker::of_new(readiness))
    }

    pub(crate) fn sockets(&self) -> Vec<Arc<Readiness>> {
        let mut sockets = lock(&self.sockets);
        sockets.retain(|readiness| readiness.strong_count() > 0);
        sockets.iter().filter_map(Weak::upgrade).collect()
    }
}
