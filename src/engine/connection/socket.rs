//! A stream whose readiness comes from its poller while it is [on the loop](Readiness::is_on_loop), and from the runtime
//! otherwise.
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

use crate::engine::connection::readiness::Readiness;
use crate::engine::connection::stream::{BareLocalStream, LocalStream, Stream};

type Bare = Either<std::net::TcpStream, BareLocalStream>;

pub(crate) struct Socket {
    /// None only while ownership changes.
    held: Option<Held>,
    /// The server does not read, and only the runtime waits for room to write.
    is_full: bool,
    readiness: Arc<Readiness>,
}

enum Held {
    ByRuntime(Stream),
    ByPoller(Bare),
}

impl Socket {
    pub(crate) fn new(stream: Stream, readiness: &Arc<Readiness>) -> Self {
        Self { held: Some(Held::ByRuntime(stream)), is_full: false, readiness: readiness.clone() }
    }

    /// The stream, held by the side that must hold it now.
    fn held(&mut self) -> Result<&mut Held> {
        let held = match (self.held.take(), self.readiness.is_on_loop() && !self.is_full) {
            (Some(Held::ByRuntime(stream)), true) => Held::ByPoller(match stream {
                Either::Left(tcp) => Either::Left(tcp.into_std()?),
                Either::Right(local) => Either::Right(local.into_std()?),
            }),
            (Some(Held::ByPoller(bare)), false) => Held::ByRuntime(match bare {
                Either::Left(tcp) => Either::Left(TcpStream::from_std(tcp)?),
                Either::Right(local) => Either::Right(LocalStream::from_std(local)?),
            }),
            (Some(held), _) => held,
            (None, _) => return Err(lost()),
        };
        Ok(self.held.insert(held))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let readiness = self.readiness.clone();
        // First, so that no report from the poller is missed from here on.
        readiness.watching().set_reader(context.waker());
        let bare = match self.held()? {
            Held::ByRuntime(stream) => return Pin::new(stream).poll_read(context, buffer),
            Held::ByPoller(bare) => bare,
        };
        if readiness.watching().is_drained() {
            return Poll::Pending;
        }
        let room = buffer.initialize_unfilled();
        let read = ready!(at_once(|| match bare {
            Either::Left(tcp) => tcp.read(room),
            Either::Right(local) => local.read(room),
        }))?;
        // A read that did not fill its buffer has taken everything: the next read would get nothing.
        readiness.watching().set_drained(read > 0 && read < room.len());
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if let Held::ByPoller(bare) = self.held()? {
            match at_once(|| match bare {
                Either::Left(tcp) => tcp.write_vectored(parts),
                Either::Right(local) => local.write_vectored(parts),
            }) {
                Poll::Ready(written) => return Poll::Ready(written),
                Poll::Pending => self.is_full = true,
            }
        }
        let Held::ByRuntime(stream) = self.held()? else { return Poll::Ready(Err(lost())) };
        let written = Pin::new(stream).poll_write_vectored(context, parts);
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
            Held::ByRuntime(stream) => Pin::new(stream).poll_flush(context),
            Held::ByPoller(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.held()? {
            Held::ByRuntime(stream) => Pin::new(stream).poll_shutdown(context),
            Held::ByPoller(bare) => Poll::Ready(match socket(bare).shutdown(Shutdown::Write) {
                Err(error) if error.kind() != ErrorKind::NotConnected => Err(error),
                _ => Ok(()),
            }),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.readiness.set_gone();
        // Otherwise the server would not see the end of the connection while the poller has its descriptor.
        let _ = match &self.held {
            Some(Held::ByRuntime(Either::Left(tcp))) => SockRef::from(tcp).shutdown(Shutdown::Both),
            Some(Held::ByRuntime(Either::Right(local))) => SockRef::from(local).shutdown(Shutdown::Both),
            Some(Held::ByPoller(bare)) => socket(bare).shutdown(Shutdown::Both),
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
