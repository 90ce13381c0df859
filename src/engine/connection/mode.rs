//! Which of two threads does an engine's work. [`mode_choice`](crate::engine::connection::mode_choice) has the rules.

use super::primitives::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The runtime's worker polls the work, and the runtime watches the sockets.
    #[default]
    Worker,
    /// The thread of the application's event loop does both.
    OnLoop,
}

/// A mode that other threads read.
pub(crate) struct SharedMode(AtomicU8);

impl SharedMode {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Mode::Worker as u8))
    }

    pub(crate) fn is_on_loop(&self) -> bool {
        self.0.load(Ordering::Acquire) == Mode::OnLoop as u8
    }

    /// Whether it was another.
    pub(crate) fn set(&self, mode: Mode) -> bool {
        self.0.swap(mode as u8, Ordering::AcqRel) != mode as u8
    }
}
