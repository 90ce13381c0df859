//! A connection's socket as its poller sees it.
//!
//! * The event loop watches a socket only in a batch that is not blocked, and between batches. A batch that takes long
//!   is reported as blocked, and from then on the runtime watches its socket ([`OnWorker`]). So an answer never waits
//!   for an event loop that is busy elsewhere.
//! * A connection that is being set up, a call that waits for another transaction's lock, and the questions about lost
//!   sessions have no such limit. The runtime watches their sockets from the first.

use std::io::Result;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio_util::either::Either;

use crate::engine::connection::mode::{Mode, SharedMode};
use crate::engine::connection::stream::Stream;
use crate::sync::lock;

/// What an engine's sockets have in common.
#[derive(Default)]
pub(crate) struct LoopState {
    mode: SharedMode,
    /// Work has been left for the event loop's thread.
    wants_poll: AtomicBool,
}

impl LoopState {
    pub(crate) fn is_on_loop(&self) -> bool {
        self.mode.is_on_loop()
    }

    /// Whether it was another mode.
    pub(crate) fn set(&self, mode: Mode) -> bool {
        self.mode.set(mode)
    }

    pub(crate) fn want_poll(&self) {
        self.wants_poll.store(true, Ordering::Release);
    }

    pub(crate) fn wants_poll(&self) -> bool {
        self.wants_poll.swap(false, Ordering::AcqRel)
    }
}

pub struct Readiness {
    /// A descriptor of its own: the poller's event loop must not keep one that has been closed, and perhaps reused
    /// for something else.
    #[cfg(unix)]
    socket: OwnedFd,
    engine: Arc<LoopState>,
    has_poller: AtomicBool,
    /// What watches it, as far as the poller knows.
    watched_by: SharedMode,
    /// How many [`OnWorker`]s there are.
    kept: AtomicUsize,
    /// Nothing was left to read. Reading is of no use until the poller sees that more has come.
    drained: AtomicBool,
    gone: AtomicBool,
    reader: AtomicWaker,
    when_gone: Mutex<Option<Notify>>,
}

type Notify = Box<dyn FnOnce() + Send>;

impl Readiness {
    /// Kept once.
    pub(crate) fn of(stream: &Stream, engine: &Arc<LoopState>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            #[cfg(unix)]
            socket: match stream {
                Either::Left(tcp) => tcp.as_fd().try_clone_to_owned()?,
                Either::Right(local) => local.as_fd().try_clone_to_owned()?,
            },
            engine: engine.clone(),
            has_poller: AtomicBool::new(false),
            watched_by: SharedMode::default(),
            kept: AtomicUsize::new(1),
            drained: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            when_gone: Mutex::default(),
        }))
    }

    #[cfg(unix)]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reports that there is a poller now. False if there was one already.
    pub fn register(&self) -> bool {
        !self.has_poller.swap(true, Ordering::AcqRel)
    }

    /// Reports that there is no poller any more.
    pub fn deregister(&self) {
        self.has_poller.store(false, Ordering::Release);
        self.unwatch();
    }

    /// Has the poller notified, from any thread, when the connection [is gone](Self::is_gone). It is not notified if
    /// the connection is gone already.
    pub fn when_gone(&self, notify: impl FnOnce() + Send + 'static) {
        *lock(&self.when_gone) = Some(Box::new(notify));
    }

    /// Whether the poller may watch now.
    pub fn may_watch(&self) -> bool {
        self.engine.is_on_loop() && self.kept.load(Ordering::Acquire) == 0
    }

    /// The poller watches.
    pub fn watch(&self) {
        if self.watched_by.set(Mode::OnLoop) {
            self.read_again();
        }
    }

    /// The poller does not watch any more.
    pub fn unwatch(&self) {
        if self.watched_by.set(Mode::Worker) {
            self.read_again();
        }
    }

    /// Whether the poller watches, and may.
    pub fn is_on_loop(&self) -> bool {
        self.watched_by.is_on_loop() && self.may_watch()
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

/// While it is kept, the runtime watches the socket.
pub(crate) struct OnWorker(Arc<Readiness>);

impl OnWorker {
    pub(crate) fn new(readiness: &Arc<Readiness>) -> Self {
        if readiness.kept.fetch_add(1, Ordering::AcqRel) == 0 {
            readiness.read_again();
        }
        Self(readiness.clone())
    }

    /// Of one that is kept once.
    pub(crate) fn of_new(readiness: Arc<Readiness>) -> Self {
        Self(readiness)
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.0
    }
}

impl Drop for OnWorker {
    fn drop(&mut self) {
        if self.0.kept.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.engine.want_poll();
        }
    }
}
