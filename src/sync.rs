//! Locks that outlive a panic, work that outlives it, and threads that can be distinguished.

use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic under the lock. The data behind this crate's mutexes is consistent after each step. So
/// it is right to continue, and wrong to refuse every later call.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs `work` when the returned value is dropped: at the end of a scope, also after a panic.
#[must_use]
pub(crate) fn at_end<F: FnMut()>(work: F) -> AtEnd<F> {
    AtEnd(work)
}

pub(crate) struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A thread, identified by something that it alone has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(usize);

impl Thread {
    pub(crate) fn current() -> Self {
        thread_local! {
            static MARK: u8 = const { 0 };
        }
        Self(MARK.with(|mark| std::ptr::from_ref(mark).addr()))
    }
}
