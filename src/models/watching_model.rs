//! What the server sends is read, whichever side watches the socket and whenever that changes.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use loom::thread;

use super::mode::Mode;
use super::primitives::{AtomicUsize, AtomicWaker, Ordering, check};
use super::watching::{LoopState, Watching};

struct Socket {
    watching: Watching,
    /// How many bytes wait to be read.
    waiting: AtomicUsize,
    /// The runtime's own wake-up when there are.
    runtime: AtomicWaker,
}

impl Socket {
    /// Of an engine whose work is on the loop, in a batch that is not blocked.
    fn on_loop() -> (Arc<Self>, Arc<LoopState>) {
        let engine = Arc::new(LoopState::new());
        engine.set(Mode::OnLoop);
        let watching = Watching::new(&engine);
        watching.release();
        (Arc::new(Self { watching, waiting: AtomicUsize::new(0), runtime: AtomicWaker::new() }), engine)
    }

    /// As the socket's `poll_read`, one byte.
    fn poll_read(&self, context: &Context<'_>) -> Poll<()> {
        self.watching.set_reader(context.waker());
        if self.watching.is_on_loop() {
            if self.watching.is_drained() {
                return Poll::Pending;
            }
        } else {
            self.runtime.register(context.waker());
        }
        if self.waiting.load(Ordering::Acquire) == 0 { Poll::Pending } else { Poll::Ready(()) }
    }

    fn receive(&self) {
        self.waiting.store(1, Ordering::Release);
        self.runtime.wake();
    }

    /// As the poller when libuv reports the socket.
    fn on_ready(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            match self.watching.is_on_loop() {
                true => self.watching.read_again(),
                false => self.watching.watch(Mode::Worker),
            }
        }
    }
}

/// `takes_over`: what happens when the event loop's thread does not return to it.
fn is_read_though_the_event_loop_stops(takes_over: impl Fn(&Socket, &LoopState) + Sync + Send + 'static) {
    check(2, move || {
        let (socket, engine) = Socket::on_loop();
        let worker = {
            let socket = socket.clone();
            thread::spawn(move || loom::future::block_on(poll_fn(move |context| socket.poll_read(context))))
        };
        let server = {
            let socket = socket.clone();
            thread::spawn(move || socket.receive())
        };
        socket.watching.watch(Mode::OnLoop);
        socket.on_ready();
        takes_over(&socket, &engine);
        server.join().expect("the server's end");
        worker.join().expect("the worker's end");
    });
}

#[test]
fn the_socket_of_a_blocked_batch_is_read_though_the_event_loop_stops() {
    is_read_though_the_event_loop_stops(|socket, _| socket.watching.keep());
}

#[test]
fn a_socket_is_read_though_the_event_loop_stops_if_the_mode_changes() {
    is_read_though_the_event_loop_stops(|socket, engine| {
        if engine.set(Mode::Worker) {
            socket.watching.read_again();
        }
    });
}

#[test]
fn a_socket_is_read_if_the_poller_stops_watching_it() {
    is_read_though_the_event_loop_stops(|socket, _| socket.watching.watch(Mode::Worker));
}
