//! A connection's socket as its poller sees it.

use std::io::Result;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio_util::either::Either;

use crate::engine::connection::io_mode::IoMode;
use crate::engine::connection::stream::Stream;
use crate::sync::lock;

/// A connection's socket as its poller sees it.
pub struct Readiness {
    /// A descriptor of its own: the poller's event loop must not keep one that has been closed, and perhaps reused
    /// for something else.
    #[cfg(unix)]
    socket: OwnedFd,
    mode: Arc<IoMode>,
    has_poller: AtomicBool,
    /// Nothing was left to read. Reading is of no use until the poller sees that more has come.
    drained: AtomicBool,
    gone: AtomicBool,
    reader: AtomicWaker,
    when_gone: Mutex<Option<Notify>>,
}

type Notify = Box<dyn FnOnce() + Send>;

impl Readiness {
    pub(crate) fn of(stream: &Stream, mode: &Arc<IoMode>) -> Result<Arc<Self>> {
        let readiness = Arc::new(Self {
            #[cfg(unix)]
            socket: match stream {
                Either::Left(tcp) => tcp.as_fd().try_clone_to_owned()?,
                Either::Right(local) => local.as_fd().try_clone_to_owned()?,
            },
            mode: mode.clone(),
            has_poller: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            when_gone: Mutex::default(),
        });
        lock(&mode.sockets).push(Arc::downgrade(&readiness));
        Ok(readiness)
    }

    #[cfg(unix)]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reports that there is a poller now. False if there was one already.
    pub fn register(&self) -> bool {
        let is_first = !self.has_poller.swap(true, Ordering::AcqRel);
        if is_first {
            self.read_again();
        }
        is_first
    }

    /// Has the poller notified, from any thread, when the connection [is gone](Self::is_gone). It is not notified if
    /// the connection is gone already.
    pub fn when_gone(&self, notify: impl FnOnce() + Send + 'static) {
        *lock(&self.when_gone) = Some(Box::new(notify));
    }

    /// Reports that there is no poller any more.
    pub fn deregister(&self) {
        self.has_poller.store(false, Ordering::Release);
        self.read_again();
    }

    /// Whether the poller should watch now.
    pub fn is_on_loop(&self) -> bool {
        self.has_poller.load(Ordering::Acquire) && self.mode.is_on_loop()
    }

    /// Whether the connection is closed, and there is nothing left to watch for.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Nothing was left to read.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    pub(crate) fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Release);
    }

    /// The connection is closed.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        let notify = lock(&self.when_gone).take();
        if let Some(notify) = notify {
            notify();
        }
    }

    /// Sets the waker that is woken when there may be more to read.
    pub(crate) fn set_reader(&self, reader: &Waker) {
        self.reader.register(reader);
    }

    pub(crate) fn read_again(&self) {
        self.drained.store(false, Ordering::Release);
        self.reader.wake();
    }
}
