//! A byte stream to the server, over TCP or a Unix socket.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::either::Either;

use crate::engine::connection::description::{Address, Description};
use crate::engine::error::Error;

#[cfg(unix)]
pub(crate) type LocalStream = tokio::net::UnixStream;
#[cfg(unix)]
pub(crate) type BareLocalStream = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
pub(crate) type LocalStream = TcpStream;
#[cfg(not(unix))]
pub(crate) type BareLocalStream = std::net::TcpStream;

pub(crate) type Stream = Either<TcpStream, LocalStream>;

/// Linux's limit (`MAX_TCP_KEEPIDLE`); other systems take it as well.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(32_767);

/// Opens the first address that accepts.
///
/// As Node's `net.connect` does: one address after the other, with a time limit for each attempt but the last.
/// Without that, an address that drops packets, such as one of an address family that does not work here, would keep
/// the next from being tried.
pub(crate) async fn open(description: &Description) -> Result<Stream, Error> {
    let mut failures = Vec::new();
    for (left, address) in description.addresses.iter().rev().enumerate().rev() {
        let attempt = open_one(address, description);
        let reached = match description.attempt_timeout().filter(|_| left > 0) {
            Some(limit) => timeout(limit, attempt).await.unwrap_or_else(|_| Err(address.timed_out())),
            None => attempt.await,
        };
        match reached {
            Ok(stream) => return Ok(stream),
            Err(error) => failures.push(error),
        }
    }
    Err(Error::all_of(failures))
}

async fn open_one(address: &Address, description: &Description) -> Result<Stream, Error> {
    match address {
        Address::Tcp { ip, port } => {
            let refused = |error: std::io::Error| {
                Error::from_io(&error, "connect", Some((&ip.to_string(), Some(*port))))
            };
            let stream = TcpStream::connect((*ip, *port)).await.map_err(refused)?;
            // As Node's sockets for pg: small messages must not wait for an acknowledgement.
            stream.set_nodelay(true).map_err(refused)?;
            if description.keep_alive {
                let mut keepalive = socket2::TcpKeepalive::new();
                // The system takes whole seconds, and refuses values that are out of its bounds.
                if let Some(delay) =
                    description.keep_alive_initial_delay().filter(|delay| delay.as_secs() > 0)
                {
                    keepalive = keepalive.with_time(delay.min(LONGEST_KEEP_ALIVE));
                }
                socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(refused)?;
            }
            Ok(Either::Left(stream))
        }
        #[cfg(unix)]
        Address::Unix { path } => match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => Ok(Either::Right(stream)),
            Err(error) => Err(Error::from_io(&error, "connect", Some((&path.to_string_lossy(), None)))),
        },
        #[cfg(not(unix))]
        Address::Unix { .. } => Err(Error::other("Unix sockets are not to be had on this platform")),
    }
}

impl Address {
    fn timed_out(&self) -> Error {
        let error = std::io::ErrorKind::TimedOut.into();
        match self {
            Self::Tcp { ip, port } => Error::from_io(&error, "connect", Some((&ip.to_string(), Some(*port)))),
            Self::Unix { path } => Error::from_io(&error, "connect", Some((&path.to_string_lossy(), None))),
        }
    }
}
