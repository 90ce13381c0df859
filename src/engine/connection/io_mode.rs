//! Calls that go directly: the thread that makes them also writes to the server and reads its answers.
//!
//! Through the runtime's worker a call changes threads two times more than it does in the server itself. On an idle
//! machine each change is a wake-up of tens of microseconds: more than the server needs for the statement. So while few
//! calls are in flight, the thread of the application's event loop polls the
//! [`executor`](crate::engine::connection::executor) itself, and watches the sockets instead of the runtime. With many
//! calls in flight two threads are faster. If that thread does not return to its event loop, the worker takes over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::engine::connection::executor::Executor;
use crate::engine::connection::readiness::Readiness;
use crate::sync::lock;

/// With more calls in flight than this, two threads are faster. Measured on two cores: 64 and fewer `get`s are faster
/// on one (280,000 a second against 196,000 with 64 in flight). More than that would keep an event loop from its
/// other work.
const MAX_ON_LOOP: usize = 64;

/// As [`MAX_ON_LOOP`], if a second thread of this process would only take the server's core from it: 372,000 `get`s a
/// second with 256 in flight on one thread against 302,000 on two. More calls than this were not measured.
const MAX_ON_LOOP_OF_FEW_CORES: usize = 512;

pub(crate) fn max_on_loop() -> usize {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() <= 2 => MAX_ON_LOOP_OF_FEW_CORES,
        _ => MAX_ON_LOOP,
    }
}

/// What polls an engine's connections, and what watches their sockets.
#[derive(Clone)]
pub(crate) struct Io {
    pub(crate) executor: Arc<Executor>,
    pub(crate) mode: Arc<IoMode>,
}

/// Whether an engine's calls go directly, and the sockets that a poller must watch then.
#[derive(Default)]
pub(crate) struct IoMode {
    on: AtomicBool,
    pub(crate) sockets: Mutex<Vec<Weak<Readiness>>>,
}

impl IoMode {
    pub(crate) fn is_on_loop(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// False if it was on already.
    pub(crate) fn enter_loop(&self) -> bool {
        !self.on.swap(true, Ordering::AcqRel)
    }

    /// From here on the runtime watches the sockets.
    pub(crate) fn leave_loop(&self) {
        if self.on.swap(false, Ordering::AcqRel) {
            for readiness in lock(&self.sockets).iter().filter_map(Weak::upgrade) {
                readiness.read_again();
            }
        }
    }

    pub(crate) fn sockets(&self) -> Vec<Arc<Readiness>> {
        let mut sockets = lock(&self.sockets);
        sockets.retain(|readiness| readiness.strong_count() > 0);
        sockets.iter().filter_map(Weak::upgrade).collect()
    }
}
