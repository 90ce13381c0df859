//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic under the lock. What this crate's mutexes guard is left whole at each step, so going on is
/// right, and refusing every later call is not.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
