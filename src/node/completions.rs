//! The messages that wait for JavaScript, and when its event loop must be woken for them.
//!
//! * The push that finds the queue empty wakes the event loop. The pushes that follow cost one lock each.
//! * While the event loop's thread itself polls, its own pushes wake nothing: it looks at the queue afterwards.
//! * A drain that leaves messages must have the event loop woken once more.

use super::primitives::{AtomicBool, Mutex, Ordering, Thread, lock};
use crate::sync::at_end;

pub(super) struct Completions<M> {
    messages: Mutex<Vec<M>>,
    /// The thread that drains.
    home: Thread,
    /// Whether that thread is about to look at the queue anyway.
    is_polling: AtomicBool,
}

impl<M> Completions<M> {
    /// On the thread that drains.
    pub(super) fn new() -> Self {
        Self { messages: Mutex::new(Vec::new()), home: Thread::current(), is_polling: AtomicBool::new(false) }
    }

    /// Whether the event loop must be woken now.
    #[must_use]
    pub(super) fn push(&self, more: impl IntoIterator<Item = M>) -> bool {
        let was_empty = {
            let mut messages = lock(&self.messages);
            let was_empty = messages.is_empty();
            messages.extend(more);
            was_empty
        };
        let is_polling_here = || self.is_polling.load(Ordering::Relaxed) && Thread::current() == self.home;
        was_empty && !is_polling_here()
    }

    /// Runs `poll`, which may push messages, on the thread that drains. It must look at the queue afterwards.
    pub(super) fn while_polling(&self, poll: impl FnOnce()) {
        let outer = self.is_polling.swap(true, Ordering::Relaxed);
        // Also after a panic. Otherwise the messages that follow would wake nothing.
        let _restore = at_end(|| self.is_polling.store(outer, Ordering::Relaxed));
        poll();
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.messages).is_empty()
    }

    /// Takes the first messages, as many as `count` says, and whether the event loop must be woken once more for the
    /// others.
    #[must_use]
    pub(super) fn take(&self, count: impl FnOnce(&[M]) -> usize) -> (Vec<M>, bool) {
        let mut messages = lock(&self.messages);
        let count = count(&messages);
        let taken = if count < messages.len() {
            messages.drain(..count).collect()
        } else {
            std::mem::take(&mut *messages)
        };
        (taken, !messages.is_empty())
    }
}
