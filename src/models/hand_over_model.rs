//! Two threads that hand over the work of an executor lose no wake-up.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use loom::thread;

use super::hand_over::{HandOver, Work};
use super::primitives::{AtomicBool, AtomicWaker, Ordering, check};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Tasks(Vec<Task>);

impl Work for Tasks {
    type Task = Task;

    fn add(&mut self, tasks: Vec<Task>) {
        self.0.extend(tasks);
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        self.0.retain_mut(|task| task.as_mut().poll(context).is_pending());
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Something that a task waits for.
struct Event {
    has_happened: AtomicBool,
    waiting: AtomicWaker,
}

impl Event {
    fn new() -> Arc<Self> {
        Arc::new(Self { has_happened: AtomicBool::new(false), waiting: AtomicWaker::new() })
    }

    fn happen(&self) {
        self.has_happened.store(true, Ordering::Release);
        self.waiting.wake();
    }

    fn wait(self: &Arc<Self>) -> Task {
        let event = self.clone();
        Box::pin(poll_fn(move |context| {
            event.waiting.register(context.waker());
            match event.has_happened.load(Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }
}

/// An executor with one task, whose worker ends after that task.
fn waiting_for(event: &Arc<Event>) -> (Arc<HandOver<Tasks>>, thread::JoinHandle<()>) {
    let executor = Arc::new(HandOver::<Tasks>::new());
    executor.add(event.wait());
    executor.end();
    let on_worker = executor.clone();
    let worker = thread::spawn(move || {
        loom::future::block_on(poll_fn(move |context| on_worker.poll_on_worker(context)));
    });
    (executor, worker)
}

#[test]
fn a_task_that_a_third_thread_wakes_is_polled_though_the_home_thread_polls_meanwhile() {
    check(3, || {
        let event = Event::new();
        let (executor, worker) = waiting_for(&event);
        let third = thread::spawn(move || event.happen());
        executor.poll_at_home(|| ());
        worker.join().expect("the worker's end");
        third.join().expect("the third thread's end");
    });
}

#[test]
fn a_task_that_the_home_thread_wakes_is_polled_whichever_thread_polls_then() {
    check(3, || {
        let event = Event::new();
        let (executor, worker) = waiting_for(&event);
        executor.poll_at_home(|| event.happen());
        worker.join().expect("the worker's end");
    });
}

#[test]
fn a_task_that_the_home_thread_adds_is_polled_and_so_are_those_that_it_adds_and_wakes() {
    check(3, || {
        let event = Event::new();
        let (executor, worker) = waiting_for(&event);
        let again = executor.clone();
        executor.add(Box::pin(async move { again.add(Box::pin(async move { event.happen() })) }));
        executor.poll_at_home(|| ());
        worker.join().expect("the worker's end");
    });
}
