//! What two threads synchronise with in the files that are model-checked. `src/models` compiles the same files with the
//! checker's primitives in place of these.

use std::cell::Cell;
use std::ptr;
use std::sync::{MutexGuard, TryLockError};

pub(crate) use futures_util::task::AtomicWaker;
pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

pub(crate) use crate::sync::{Thread, lock};

/// A lock that one thread waits for and another only tries.
pub(crate) struct TryLock<T>(Mutex<T>);

impl<T> TryLock<T> {
    pub(crate) fn new(data: T) -> Self {
        Self(Mutex::new(data))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.0)
    }

    /// None if it is held.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(data) => Some(data),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

thread_local! {
    /// What this thread polls at the moment.
    pub(crate) static POLLING: Cell<*const ()> = const { Cell::new(ptr::null()) };
}
