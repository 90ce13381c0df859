//! A transport whose readiness comes from its watcher while calls go directly, and from the runtime otherwise.
//!
//! A socket is registered with only one of the two at a time. If it were registered with both, each answer would wake
//! both threads. On two cores the thread that has nothing to do may then run first.

use std::io::{Error, ErrorKind, IoSlice, Read, Result, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::either::Either;

use super::direct::{Direct, Sight};
use super::reach::{BareLocalStream, LocalStream, Transport};

type Bare = Either<std::net::TcpStream, BareLocalStream>;

pub(super) struct Wire {
    /// None only while ownership changes.
    held: Option<Held>,
    /// The server does not read, and only the runtime waits for room to write.
    is_full: bool,
    sight: Arc<Sight>,
}

enum Held {
    ByRuntime(Transport),
    ByWatcher(Bare),
}

impl Wire {
    pub(super) fn new(transport: Transport, direct: &Arc<Direct>) -> Result<Self> {
        let sight = Sight::of(&transport, direct)?;
        Ok(Self { held: Some(Held::ByRuntime(transport)), is_full: false, sight })
    }

    /// The transport, held by the side that must hold it now.
    fn held(&mut self) -> Result<&mut Held> {
        let held = match (self.held.take(), self.sight.is_watched() && !self.is_full) {
            (Some(Held::ByRuntime(transport)), true) => Held::ByWatcher(match transport {
                Either::Left(tcp) => Either::Left(tcp.into_std()?),
                Either::Right(local) => Either::Right(local.into_std()?),
            }),
            (Some(Held::ByWatcher(bare)), false) => Held::ByRuntime(match bare {
                Either::Left(tcp) => Either::Left(TcpStream::from_std(tcp)?),
                Either::Right(local) => Either::Right(LocalStream::from_std(local)?),
            }),
            (Some(held), _) => held,
            (None, _) => return Err(lost()),
        };
        Ok(self.held.insert(held))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let sight = self.sight.clone();
        // First, so that no report from the watcher is missed from here on.
        sight.register(context.waker());
        let bare = match self.held()? {
            Held::ByRuntime(transport) => return Pin::new(transport).poll_read(context, buffer),
            Held::ByWatcher(bare) => bare,
        };
        if sight.is_drained() {
            return Poll::Pending;
        }
        let room = buffer.initialize_unfilled();
        let read = ready!(at_once(|| match bare {
            Either::Left(tcp) => tcp.read(room),
            Either::Right(local) => local.read(room),
        }))?;
        // A read that did not fill its buffer has taken everything: the next read would get nothing.
        sight.set_drained(read > 0 && read < room.len());
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if let Held::ByWatcher(bare) = self.held()? {
            match at_once(|| match bare {
                Either::Left(tcp) => tcp.write_vectored(parts),
                Either::Right(local) => local.write_vectored(parts),
            }) {
                Poll::Ready(written) => return Poll::Ready(written),
                Poll::Pending => self.is_full = true,
            }
        }
        let Held::ByRuntime(transport) = self.held()? else { return Poll::Ready(Err(lost())) };
        let written = Pin::new(transport).poll_write_vectored(context, parts);
        self.is_full = written.is_pending();
        written
    }

    /// In one call. Otherwise a server that refuses the first TLS record of a handshake would close the connection on
    /// the second, and its reason would be lost in an EPIPE.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.held()? {
            Held::ByRuntime(transport) => Pin::new(transport).poll_flush(context),
            Held::ByWatcher(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.held()? {
            Held::ByRuntime(transport) => Pin::new(transport).poll_shutdown(context),
            Held::ByWatcher(bare) => Poll::Ready(match socket(bare).shutdown(Shutdown::Write) {
                Err(error) if error.kind() != ErrorKind::NotConnected => Err(error),
                _ => Ok(()),
            }),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.sight.set_gone();
        // Otherwise the server would not see the end of the connection while the watcher has its descriptor.
        let _ = match &self.held {
            Some(Held::ByRuntime(Either::Left(tcp))) => SockRef::from(tcp).shutdown(Shutdown::Both),
            Some(Held::ByRuntime(Either::Right(local))) => SockRef::from(local).shutdown(Shutdown::Both),
            Some(Held::ByWatcher(bare)) => socket(bare).shutdown(Shutdown::Both),
            None => Ok(()),
        };
    }
}

fn socket(bare: &Bare) -> SockRef<'_> {
    match bare {
        Either::Left(tcp) => SockRef::from(tcp),
        Either::Right(local) => SockRef::from(local),
    }
}

/// Pending if the socket is not ready; no wake-up follows when it is.
fn at_once(mut attempt: impl FnMut() -> Result<usize>) -> Poll<Result<usize>> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            done => return Poll::Ready(done),
        }
    }
}

fn lost() -> Error {
    Error::other("the connection was lost between two event loops")
}
