//! A byte stream to the server, over TCP or a Unix socket.

use tokio::net::TcpStream;
use tokio_util::either::Either;

use super::description::{Address, Description};
use super::error::Error;

#[cfg(unix)]
pub(super) type LocalStream = tokio::net::UnixStream;
#[cfg(unix)]
pub(super) type BareLocalStream = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
pub(super) type LocalStream = TcpStream;
#[cfg(not(unix))]
pub(super) type BareLocalStream = std::net::TcpStream;

pub(super) type Transport = Either<TcpStream, LocalStream>;

/// Opens the first address that accepts.
pub(super) async fn reach(description: &Description) -> Result<Transport, Error> {
    let mut failures = Vec::new();
    for address in &description.addresses {
        match reach_one(address, description).await {
            Ok(transport) => return Ok(transport),
            Err(error) => failures.push(error),
        }
    }
    Err(Error::all_of(failures))
}

async fn reach_one(address: &Address, description: &Description) -> Result<Transport, Error> {
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
                if let Some(delay) = description.keep_alive_initial_delay() {
                    keepalive = keepalive.with_time(delay);
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
