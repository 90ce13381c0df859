//! Calls that go directly: the thread that makes them also writes to the server and reads its answers.
//!
//! Through the runtime's worker a call changes threads two times more than it does in the server itself. On an idle
//! machine each change is a wake-up of tens of microseconds: more than the server needs for the statement. So while
//! few calls are in flight, the thread of the application's event loop polls the [`drive`](super::drive) itself, and
//! watches the sockets instead of the runtime. With many calls in flight two threads are faster. If that thread does
//! not return to its event loop, the worker takes over.

use std::io::Result;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio_util::either::Either;

use super::drive::Drive;
use super::reach::Transport;
use crate::sync::lock;

/// With more calls in flight than this, two threads are faster. Measured on two cores: 64 and fewer `get`s are faster
/// on one (280,000 a second against 196,000 with 64 in flight). More than that would keep an event loop from its
/// other work.
const MOST_DIRECT: usize = 64;

/// As [`MOST_DIRECT`], if a second thread of this process would only take the server's core from it: 372,000 `get`s a
/// second with 256 in flight on one thread against 302,000 on two. More calls than this were not measured.
const MOST_DIRECT_ON_FEW_CORES: usize = 512;

pub(super) fn most_direct() -> usize {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() <= 2 => MOST_DIRECT_ON_FEW_CORES,
        _ => MOST_DIRECT,
    }
}

/// What polls an engine's connections, and what watches their sockets.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) drive: Arc<Drive>,
    pub(super) direct: Arc<Direct>,
}

/// Whether an engine's calls go directly, and the sockets that a watcher must watch then.
#[derive(Default)]
pub(super) struct Direct {
    on: AtomicBool,
    sights: Mutex<Vec<Weak<Sight>>>,
}

impl Direct {
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// False if it was on already.
    pub(super) fn enter(&self) -> bool {
        !self.on.swap(true, Ordering::AcqRel)
    }

    /// From here on the runtime watches the sockets.
    pub(super) fn leave(&self) {
        if self.on.swap(false, Ordering::AcqRel) {
            for sight in lock(&self.sights).iter().filter_map(Weak::upgrade) {
                sight.look_again();
            }
        }
    }

    pub(super) fn sights(&self) -> Vec<Arc<Sight>> {
        let mut sights = lock(&self.sights);
        sights.retain(|sight| sight.strong_count() > 0);
        sights.iter().filter_map(Weak::upgrade).collect()
    }
}

/// A connection's socket as its watcher sees it.
pub struct Sight {
    /// A descriptor of its own: the watcher's event loop must not keep one that has been closed, and perhaps reused
    /// for something else.
    #[cfg(unix)]
    socket: OwnedFd,
    direct: Arc<Direct>,
    watched: AtomicBool,
    /// Nothing was left to read. Reading is of no use until the watcher sees that more has come.
    drained: AtomicBool,
    gone: AtomicBool,
    reader: AtomicWaker,
    when_gone: Mutex<Option<Tell>>,
}

type Tell = Box<dyn FnOnce() + Send>;

impl Sight {
    pub(super) fn of(transport: &Transport, direct: &Arc<Direct>) -> Result<Arc<Self>> {
        let sight = Arc::new(Self {
            #[cfg(unix)]
            socket: match transport {
                Either::Left(tcp) => tcp.as_fd().try_clone_to_owned()?,
                Either::Right(local) => local.as_fd().try_clone_to_owned()?,
            },
            direct: direct.clone(),
            watched: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            when_gone: Mutex::default(),
        });
        lock(&direct.sights).push(Arc::downgrade(&sight));
        Ok(sight)
    }

    #[cfg(unix)]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reports that there is a watcher now. False if there was one already.
    pub fn adopt(&self) -> bool {
        let is_first = !self.watched.swap(true, Ordering::AcqRel);
        if is_first {
            self.look_again();
        }
        is_first
    }

    /// Has the watcher notified, from any thread, when the connection [is gone](Self::is_gone). It is not notified if
    /// the connection is gone already.
    pub fn when_gone(&self, tell: impl FnOnce() + Send + 'static) {
        *lock(&self.when_gone) = Some(Box::new(tell));
    }

    /// Reports that there is no watcher any more.
    pub fn forsake(&self) {
        self.watched.store(false, Ordering::Release);
        self.look_again();
    }

    /// Whether the watcher should watch now.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire) && self.direct.is_on()
    }

    /// Whether the connection is closed, and there is nothing left to watch for.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Nothing was left to read.
    pub(super) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    pub(super) fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Release);
    }

    /// The connection is closed.
    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        let tell = lock(&self.when_gone).take();
        if let Some(tell) = tell {
            tell();
        }
    }

    /// Sets the waker that is woken when there may be more to read.
    pub(super) fn register(&self, reader: &Waker) {
        self.reader.register(reader);
    }

    pub(super) fn look_again(&self) {
        self.drained.store(false, Ordering::Release);
        self.reader.wake();
    }
}
