//! Each message reaches JavaScript, though most pushes do not wake its event loop.

use std::sync::Arc;

use loom::sync::Notify;
use loom::thread;

use super::completions::Completions;
use super::primitives::check;

struct Bridge {
    completions: Completions<u32>,
    /// As `uv_async_send`: several calls before the event loop has reacted count as one.
    event_loop: Notify,
}

impl Bridge {
    fn push(&self, message: u32) {
        if self.completions.push([message]) {
            self.event_loop.notify();
        }
    }

    /// One message at a time.
    fn drain(&self) -> usize {
        let (messages, are_more) = self.completions.take(|messages| messages.len().min(1));
        if are_more {
            self.event_loop.notify();
        }
        messages.len()
    }
}

#[test]
fn messages_of_the_worker_and_of_the_event_loops_own_thread_all_arrive() {
    check(3, || {
        let bridge = Arc::new(Bridge { completions: Completions::new(), event_loop: Notify::new() });
        let worker = {
            let bridge = bridge.clone();
            thread::spawn(move || bridge.push(1))
        };
        bridge.completions.while_polling(|| bridge.push(2));
        // As the poller does after it has polled.
        let mut arrived = if bridge.completions.is_empty() { 0 } else { bridge.drain() };
        // As a call that is refused at once.
        bridge.push(3);
        while arrived < 3 {
            bridge.event_loop.wait();
            arrived += bridge.drain();
        }
        worker.join().expect("the worker's end");
    });
}

#[test]
fn a_message_that_comes_while_the_event_loops_thread_polls_without_a_message_of_its_own_arrives() {
    check(3, || {
        let bridge = Arc::new(Bridge { completions: Completions::new(), event_loop: Notify::new() });
        let worker = {
            let bridge = bridge.clone();
            thread::spawn(move || bridge.push(1))
        };
        bridge.completions.while_polling(|| ());
        let mut arrived = if bridge.completions.is_empty() { 0 } else { bridge.drain() };
        while arrived < 1 {
            bridge.event_loop.wait();
            arrived += bridge.drain();
        }
        worker.join().expect("the worker's end");
    });
}
