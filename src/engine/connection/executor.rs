//! The work that an engine has under way, its pipelines and its connections, as one future that either of two threads
//! may poll.
//!
//! The runtime's worker polls it whenever it is woken. JavaScript's thread polls it, too, while calls go directly
//! (see `direct`): a call begins and ends there, and each change of threads costs a wake-up.
//!
//! * The polling thread holds the lock. JavaScript's thread never waits for it, but leaves the work to the worker.
//! * A task that the poll itself wakes is polled before the poll ends, and wakes no other thread.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::task::{ArcWake, AtomicWaker, waker_ref};
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;

use crate::sync::lock;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How often one poll repeats for tasks that its own tasks have woken, before it lets its thread do something else.
const PASSES: usize = 32;

pub(crate) struct Executor {
    tasks: Mutex<FuturesUnordered<Task>>,
    arrivals: Mutex<Vec<Task>>,
    signal: Arc<Signal>,
    ended: AtomicBool,
}

impl Executor {
    /// A executor that the runtime's worker polls until [`end`](Self::end) has been called and the last task is over.
    pub(crate) fn start(runtime: &Handle) -> Arc<Self> {
        let executor = Arc::new(Self {
            tasks: Mutex::default(),
            arrivals: Mutex::default(),
            signal: Arc::default(),
            ended: AtomicBool::new(false),
        });
        let worker = Worker(executor.clone());
        runtime.spawn(poll_fn(move |context| worker.0.poll_on_worker(context)));
        executor
    }

    /// Adds a task, and has it polled soon.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_quietly(task);
        self.signal.wake_up();
    }

    /// Adds a task for the next poll, on either thread.
    pub(crate) fn spawn_quietly(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A panic ends its own task. What the task held is dropped, which notifies those that wait for it.
        let task = AssertUnwindSafe(task).catch_unwind().map(|_| ());
        lock(&self.arrivals).push(Box::pin(task));
    }

    /// Does what wakes tasks, without waking the worker for them. The calling thread must [`poll`](Self::poll) soon.
    pub(crate) fn without_waking(&self, wakes: impl FnOnce()) {
        self.signal.while_polling(wakes);
    }

    /// Polls on this thread the tasks that are ready, after `first` has woken some of them. If the worker is polling,
    /// the work is left to it.
    pub(crate) fn poll(&self, first: impl FnOnce()) {
        let tasks = match self.tasks.try_lock() {
            Ok(tasks) => Some(tasks),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match tasks {
            Some(mut tasks) => self.signal.while_polling(|| {
                first();
                self.poll_tasks(&mut tasks);
            }),
            None => {
                first();
                self.signal.worker.wake();
            }
        }
    }

    /// No task is added from outside any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.signal.worker.wake();
    }

    fn poll_on_worker(&self, context: &Context<'_>) -> Poll<()> {
        // Before the poll: no wake-up from here on is missed.
        self.signal.worker.register(context.waker());
        let mut tasks = lock(&self.tasks);
        self.signal.while_polling(|| self.poll_tasks(&mut tasks));
        let is_over =
            self.ended.load(Ordering::Acquire) && tasks.is_empty() && lock(&self.arrivals).is_empty();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_tasks(&self, tasks: &mut FuturesUnordered<Task>) {
        let waker = waker_ref(&self.signal);
        let mut context = Context::from_waker(&waker);
        for _ in 0..PASSES {
            self.signal.woken.store(false, Ordering::Relaxed);
            tasks.extend(std::mem::take(&mut *lock(&self.arrivals)));
            while let Poll::Ready(Some(())) = tasks.poll_next_unpin(&mut context) {}
            if !self.signal.woken.load(Ordering::Relaxed) && lock(&self.arrivals).is_empty() {
                return;
            }
        }
        self.signal.worker.wake();
    }
}

/// The worker's reference to the executor. When the runtime ends, the tasks end too, and with them what they keep.
struct Worker(Arc<Executor>);

impl Drop for Worker {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *lock(&self.0.tasks));
        let arrivals = std::mem::take(&mut *lock(&self.0.arrivals));
        drop((tasks, arrivals));
    }
}

/// Wakes the worker, or notifies the poll that is under way on this very thread.
#[derive(Default)]
struct Signal {
    worker: AtomicWaker,
    woken: AtomicBool,
}

thread_local! {
    static POLLING: Cell<*const Signal> = const { Cell::new(ptr::null()) };
}

impl Signal {
    fn while_polling(self: &Arc<Self>, poll: impl FnOnce()) {
        let outer = POLLING.replace(Arc::as_ptr(self));
        poll();
        POLLING.set(outer);
    }

    fn wake_up(&self) {
        if ptr::eq(POLLING.get(), self) {
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
