//! The work that an engine has under way, its pipelines and its connections, as one future that either of two threads
//! may poll.
//!
//! The runtime's worker polls it whenever it is woken. JavaScript's thread polls it, too, while the work is
//! [on the loop](crate::engine::connection::mode). How they share it: [`hand_over`](crate::engine::connection::hand_over).

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;

use crate::engine::connection::hand_over::{HandOver, Work};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(crate) struct Executor(HandOver<Tasks>);

#[derive(Default)]
struct Tasks(FuturesUnordered<Task>);

impl Work for Tasks {
    type Task = Task;

    fn add(&mut self, tasks: Vec<Task>) {
        self.0.extend(tasks);
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = self.0.poll_next_unpin(context) {}
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Executor {
    /// An executor that the runtime's worker polls until [`end`](Self::end) has been called and the last task is over.
    pub(crate) fn start(runtime: &Handle) -> Arc<Self> {
        let executor = Arc::new(Self(HandOver::new()));
        let worker = Worker(executor.clone());
        runtime.spawn(poll_fn(move |context| worker.0.0.poll_on_worker(context)));
        executor
    }

    /// Adds a task, and has it polled soon.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A panic ends its own task. What the task held is dropped, which notifies those that wait for it.
        let task = AssertUnwindSafe(task).catch_unwind().map(|_| ());
        self.0.add(Box::pin(task));
        self.0.wake();
    }

    /// Does what wakes tasks, without waking the worker for them. The calling thread must [`poll`](Self::poll) soon.
    pub(crate) fn without_waking(&self, wakes: impl FnOnce()) {
        self.0.without_waking(wakes);
    }

    /// Polls on this thread the tasks that are ready, after `first` has woken some of them. If the worker is polling,
    /// the work is left to it.
    pub(crate) fn poll(&self, first: impl FnOnce()) {
        self.0.poll_at_home(first);
    }

    /// No task is added from outside any more.
    pub(crate) fn end(&self) {
        self.0.end();
    }
}

/// The worker's reference to the executor. When the runtime ends, the tasks end too, and with them what they keep.
struct Worker(Arc<Executor>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.0.clear();
    }
}
