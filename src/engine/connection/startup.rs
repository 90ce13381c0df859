//! The start-up packet with parameters of its own, such as `statement_timeout`. tokio-postgres sends a fixed set of
//! them, so the stream adds the others to the first message that it carries (inside TLS, if there is TLS).
//!
//! Settings could travel in `options` as well. But poolers know the parameters that drivers send by name: PgBouncer
//! can be configured to ignore `statement_timeout`, and it refuses `options`.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustls::CertificateError;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::engine::connection::key_operations::KeyOperations;
use crate::engine::connection::verifier::Unchecked;
use crate::sync::lock;

/// The parameters that one start-up adds, and their outcome.
#[derive(Clone, Default)]
pub(crate) struct StartUp {
    pub(crate) parameters: Vec<(String, String)>,
    /// Set when the client has sent more than the start-up packet: its answer to the server's request for a password.
    answered: Arc<AtomicBool>,
}

impl StartUp {
    pub(crate) fn new(parameters: Vec<(String, String)>) -> Self {
        Self { parameters, answered: Arc::default() }
    }

    pub(crate) fn was_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn over<S>(&self, stream: S) -> Starting<S> {
        Starting { stream, state: State::Unsent(self.clone()) }
    }
}

/// A stream that completes its first message.
pub(crate) struct Starting<S> {
    stream: S,
    state: State,
}

enum State {
    Unsent(StartUp),
    /// `packet` stands for the `given` bytes that were handed in; `sent` of its bytes have been written.
    Sending {
        packet: Vec<u8>,
        sent: usize,
        given: usize,
        start: StartUp,
    },
    Sent(StartUp),
    Over,
}

impl<S: AsyncWrite + Unpin> Starting<S> {
    /// None once the start-up packet has been sent.
    fn poll_start(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<Result<usize>>> {
        loop {
            match &mut self.state {
                State::Over => return None,
                State::Sent(start) => {
                    start.answered.store(true, Ordering::Relaxed);
                    self.state = State::Over;
                }
                State::Unsent(start) => {
                    let Some(packet) = complete(bytes, &start.parameters) else {
                        return Some(Poll::Ready(Err(Error::other("the start-up packet came in parts"))));
                    };
                    self.state =
                        State::Sending { packet, sent: 0, given: bytes.len(), start: std::mem::take(start) };
                }
                State::Sending { packet, sent, given, start } => {
                    while *sent < packet.len() {
                        match Pin::new(&mut self.stream).poll_write(context, &packet[*sent..]) {
                            Poll::Ready(Ok(0)) => {
                                return Some(Poll::Ready(Err(ErrorKind::WriteZero.into())));
                            }
                            Poll::Ready(Ok(written)) => *sent += written,
                            other => return Some(other),
                        }
                    }
                    let given = *given;
                    self.state = State::Sent(std::mem::take(start));
                    return Some(Poll::Ready(Ok(given)));
                }
            }
        }
    }
}

/// The packet is its length, the protocol's version, names and values that each end with a zero, and another zero.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
fn complete(packet: &[u8], parameters: &[(String, String)]) -> Option<Vec<u8>> {
    let (length, _) = packet.split_first_chunk::<4>()?;
    let (0, body) = packet.split_last()? else { return None };
    if u32::from_be_bytes(*length) as usize != packet.len() {
        return None;
    }
    let mut whole = body.to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        // A zero would end it early, and the bytes after it would be another parameter.
        whole.extend(text.bytes().filter(|byte| *byte != 0));
        whole.push(0);
    }
    whole.push(0);
    let length = u32::try_from(whole.len()).ok()?;
    whole[..4].copy_from_slice(&length.to_be_bytes());
    Some(whole)
}

impl<S: AsyncRead + Unpin> AsyncRead for Starting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Starting<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match self.poll_start(context, bytes) {
            Some(started) => started,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        match self.poll_start(context, first) {
            Some(started) => started,
            None => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Starting<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// As `tls`, with the start-up packet completed inside it. The server's signature is checked before any data of a
/// session is sent.
pub(crate) struct StartingTls<C> {
    pub(crate) tls: C,
    pub(crate) start: StartUp,
    pub(crate) unchecked: Unchecked,
    pub(crate) keys: Arc<dyn KeyOperations>,
    /// Whether the handshake waits for JavaScript. Then it may run neither on JavaScript's thread nor on one that
    /// others need.
    pub(crate) waits_for_node: bool,
}

impl<S, C> TlsConnect<S> for StartingTls<C>
where
    C: TlsConnect<S, Error = Error>,
    C::Future: Send + 'static,
    C::Stream: Send + 'static,
{
    type Stream = Starting<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self { tls, start, unchecked, keys, waits_for_node } = self;
        let connected = tls.connect(stream);
        Box::pin(async move {
            let stream = if waits_for_node {
                let runtime = Handle::current();
                // Otherwise that thread would continue a handshake that is given up here, for as long as the server
                // sends nothing.
                let (_wanted, given_up) = oneshot::channel::<()>();
                let handshake = async move {
                    tokio::select! {
                        connected = connected => connected,
                        _ = given_up => Err(ErrorKind::TimedOut.into()),
                    }
                };
                tokio::task::spawn_blocking(move || runtime.block_on(handshake))
                    .await
                    .map_err(Error::other)??
            } else {
                connected.await?
            };
            let proof = lock(&unchecked).take();
            if let Some(proof) = proof
                && !keys.check(proof).await.unwrap_or(false)
            {
                return Err(Error::other(rustls::Error::from(CertificateError::BadSignature)));
            }
            Ok(start.over(stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_before_the_end_of_the_packet() {
        let packet = b"\0\0\0\x11\0\x03\0\0user\0me\0\0";
        let added = [("lock_timeout".to_owned(), "x\0y".to_owned())];
        let whole = complete(packet, &added).expect("a packet");
        assert_eq!(whole, b"\0\0\0\x21\0\x03\0\0user\0me\0lock_timeout\0xy\0\0");
        assert_eq!(complete(packet, &[]).as_deref(), Some(&packet[..]));
        assert_eq!(complete(&packet[..9], &added), None);
    }
}
