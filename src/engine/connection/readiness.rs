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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio_util::either::Either;

use crate::engine::connection::mode::Mode;
use crate::engine::connection::stream::Stream;
use crate::engine::connection::watching::{LoopState, Watching};
use crate::sync::lock;

pub struct Readiness {
    /// A descriptor of its own: the poller's event loop must not keep one that has been closed, and perhaps reused
    /// for something else.
    #[cfg(unix)]
    socket: OwnedFd,
    watching: Watching,
    has_poller: AtomicBool,
    gone: AtomicBool,
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
            watching: Watching::new(engine),
            has_poller: AtomicBool::new(false),
            gone: AtomicBool::new(false),
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
        self.watching.may_watch()
    }

    /// The poller watches.
    pub fn watch(&self) {
        self.watching.watch(Mode::OnLoop);
    }

    /// The poller does not watch any more.
    pub fn unwatch(&self) {
        self.watching.watch(Mode::Worker);
    }

    /// Whether the poller watches, and may.
    pub fn is_on_loop(&self) -> bool {
        self.watching.is_on_loop()
    }

    /// Whether the connection is closed, and there is nothing left to watch for.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The connection is closed.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        let notify = lock(&self.when_gone).take();
        if let Some(notify) = notify {
            notify();
        }
    }

    pub(crate) fn watching(&self) -> &Watching {
        &self.watching
    }
}

/// While it is kept, the runtime watches the socket.
pub(crate) struct OnWorker(Arc<Readiness>);

impl OnWorker {
    pub(crate) fn new(readiness: &Arc<Readiness>) -> Self {
        readiness.watching.keep();
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
        self.0.watching.release();
    }
}
