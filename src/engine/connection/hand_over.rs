//! Work that either of two threads may poll, and the wake-ups that reach the one that polls it next.
//!
//! * The polling thread holds the lock. The home thread never waits for it, but leaves the work to the worker.
//! * A task that the poll itself wakes is polled before the poll ends, and wakes no other thread.
//! * No wake-up is lost: the worker registers before it polls, and each wake-up from outside of a poll goes to it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::task::{ArcWake, waker_ref};

use super::primitives::{AtomicBool, AtomicWaker, Mutex, Ordering, POLLING, TryLock, lock};
use crate::sync::at_end;

/// How often one poll repeats for tasks that its own tasks have woken, before it lets its thread do something else.
const PASSES: usize = 32;

pub(super) trait Work: Default {
    type Task;

    fn add(&mut self, tasks: Vec<Self::Task>);
    /// Polls the tasks that are ready.
    fn poll(&mut self, context: &mut Context<'_>);
    fn is_empty(&self) -> bool;
}

pub(super) struct HandOver<W: Work> {
    work: TryLock<W>,
    arrivals: Mutex<Vec<W::Task>>,
    signal: Arc<Signal>,
    ended: AtomicBool,
}

impl<W: Work> HandOver<W> {
    pub(super) fn new() -> Self {
        Self {
            work: TryLock::new(W::default()),
            arrivals: Mutex::new(Vec::new()),
            signal: Arc::new(Signal::new()),
            ended: AtomicBool::new(false),
        }
    }

    /// Adds a task for the next poll, on either thread.
    pub(super) fn add(&self, task: W::Task) {
        lock(&self.arrivals).push(task);
    }

    /// Has the tasks that are ready polled soon.
    pub(super) fn wake(&self) {
        self.signal.wake_up();
    }

    /// Does what wakes tasks, without waking the worker for them. [`poll_at_home`](Self::poll_at_home) must follow.
    pub(super) fn without_waking(&self, wakes: impl FnOnce()) {
        self.signal.while_polling(wakes);
    }

    /// Polls on this thread the tasks that are ready, after `first` has woken some of them. If the worker is polling,
    /// the work is left to it.
    pub(super) fn poll_at_home(&self, first: impl FnOnce()) {
        match self.work.try_lock() {
            Some(mut work) => self.signal.while_polling(|| {
                first();
                self.poll(&mut work);
                if self.is_over(&work) {
                    // It has nothing to poll any more, but must end.
                    self.signal.worker.wake();
                }
            }),
            None => {
                first();
                // It may have taken the arrivals already.
                self.signal.worker.wake();
            }
        }
    }

    /// The worker's poll. It is ready when [`end`](Self::end) has been called and the last task is over.
    pub(super) fn poll_on_worker(&self, context: &Context<'_>) -> Poll<()> {
        // Before the poll: no wake-up from here on is missed.
        self.signal.worker.register(context.waker());
        let mut work = self.work.lock();
        self.signal.while_polling(|| self.poll(&mut work));
        if self.is_over(&work) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn is_over(&self, work: &W) -> bool {
        self.ended.load(Ordering::Acquire) && work.is_empty() && lock(&self.arrivals).is_empty()
    }

    /// No task is added from outside any more.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.signal.worker.wake();
    }

    /// Drops all tasks.
    pub(super) fn clear(&self) {
        let work = std::mem::take(&mut *self.work.lock());
        let arrivals = std::mem::take(&mut *lock(&self.arrivals));
        drop((work, arrivals));
    }

    fn poll(&self, work: &mut W) {
        let waker = waker_ref(&self.signal);
        let mut context = Context::from_waker(&waker);
        for _ in 0..PASSES {
            self.signal.woken.store(false, Ordering::Relaxed);
            work.add(std::mem::take(&mut *lock(&self.arrivals)));
            work.poll(&mut context);
            if !self.signal.woken.load(Ordering::Relaxed) && lock(&self.arrivals).is_empty() {
                return;
            }
        }
        self.signal.worker.wake();
    }
}

/// Wakes the worker, or notifies the poll that is under way on this very thread.
struct Signal {
    worker: AtomicWaker,
    woken: AtomicBool,
}

impl Signal {
    fn new() -> Self {
        Self { worker: AtomicWaker::new(), woken: AtomicBool::new(false) }
    }

    fn while_polling(self: &Arc<Self>, poll: impl FnOnce()) {
        let outer = POLLING.with(|polling| polling.replace(Arc::as_ptr(self).cast()));
        // Also after a panic. Otherwise this thread's later wake-ups would reach no thread.
        let _restore = at_end(|| POLLING.with(|polling| polling.set(outer)));
        poll();
    }

    fn wake_up(&self) {
        if POLLING.with(|polling| std::ptr::eq(polling.get(), std::ptr::from_ref(self).cast())) {
            self.woken.store(true, Ordering::Relaxed);
        } else {
            self.worker.wake();
        }
    }
}

impl ArcWake for Signal {
    fn wake_by_ref(signal: &Arc<Self>) {
        signal.wake_up();
    }
}
