//! loom's counterparts of `src/primitives.rs`.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::task::Waker;

use loom::sync::{Condvar, MutexGuard};
use loom::thread::ThreadId;

pub(super) use loom::sync::Mutex;
pub(super) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// loom's own `try_lock` does not explore every moment at which the lock may be held: giving a lock back counts as no
/// step there. Here each step goes through a mutex.
pub(super) struct TryLock<T> {
    is_held: Mutex<bool>,
    given_back: Condvar,
    data: std::sync::Mutex<T>,
}

impl<T> TryLock<T> {
    pub(super) fn new(data: T) -> Self {
        Self { is_held: Mutex::new(false), given_back: Condvar::new(), data: std::sync::Mutex::new(data) }
    }

    pub(super) fn lock(&self) -> Held<'_, T> {
        let mut is_held = lock(&self.is_held);
        while *is_held {
            is_held = self.given_back.wait(is_held).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        *is_held = true;
        drop(is_held);
        Held::of(self)
    }

    pub(super) fn try_lock(&self) -> Option<Held<'_, T>> {
        let was_held = std::mem::replace(&mut *lock(&self.is_held), true);
        (!was_held).then(|| Held::of(self))
    }
}

pub(super) struct Held<'a, T> {
    /// None once it is being given back.
    data: Option<std::sync::MutexGuard<'a, T>>,
    lock: &'a TryLock<T>,
}

impl<'a, T> Held<'a, T> {
    fn of(lock: &'a TryLock<T>) -> Self {
        Self { data: Some(lock.data.try_lock().expect("no other thread has it")), lock }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_deref().expect("it is held")
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_deref_mut().expect("it is held")
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.data = None;
        // A model that has failed is not continued.
        if std::thread::panicking() {
            return;
        }
        *lock(&self.lock.is_held) = false;
        self.lock.given_back.notify_one();
    }
}

/// Does what futures-util's promises, which has loom tests of its own.
pub(super) struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn register(&self, waker: &Waker) {
        let former = lock(&self.0).replace(waker.clone());
        drop(former);
    }

    pub(super) fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[derive(PartialEq, Eq)]
pub(super) struct Thread(ThreadId);

impl Thread {
    pub(super) fn current() -> Self {
        Self(loom::thread::current().id())
    }
}

loom::thread_local! {
    pub(super) static POLLING: Cell<*const ()> = Cell::new(ptr::null());
}

/// Runs a model to its end. loom explores every execution with at most so many preemptions, and fails if one of them
/// cannot continue: a lost wake-up is a thread that waits for ever.
pub(super) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(preemptions);
    checker.check(model);
}
