//! Locks that outlive a panic, and threads that can be told apart.

use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic under the lock. What this crate's mutexes guard is left whole at each step, so going on is
/// right, and refusing every later call is not.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A thread, by what it alone has.
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
