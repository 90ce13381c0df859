//! A connection that is being set up: until it serves calls, its socket closes as soon as it is given up.
//!
//! A dropped client sends Terminate only when the server has answered everything that is under way. A connect hook's
//! query may take long, and a COPY that waits for data takes for ever. Until then the socket, the server's session
//! and a pooler's server connection would be in use, and none of them counts for `max` any more.

use std::sync::Mutex;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::engine::connection::handshake::Carrier;
use crate::sync::lock;

/// Held by a connection. If it is dropped before [`finish`](Self::finish), [`carry`] closes the socket.
pub(crate) struct SetUp(Mutex<Option<oneshot::Sender<()>>>);

impl SetUp {
    pub(crate) fn begin() -> (Self, oneshot::Receiver<()>) {
        let (finished, outcome) = oneshot::channel();
        (Self(Mutex::new(Some(finished))), outcome)
    }

    /// The connection serves calls from here on. When it is dropped, the work under way is still carried out.
    pub(crate) fn finish(&self) {
        if let Some(finished) = lock(&self.0).take() {
            let _ = finished.send(());
        }
    }
}

/// Carries a session's messages until it ends, or until its set-up is given up.
pub(crate) async fn carry(
    mut carrier: Carrier,
    set_up: oneshot::Receiver<()>,
) -> Result<(), tokio_postgres::Error> {
    tokio::select! {
        biased;
        ended = &mut carrier => return ended,
        finished = set_up => if finished.is_err() {
            // Polled once more, for the Terminate of a session in which nothing is under way.
            return carrier.now_or_never().unwrap_or(Ok(()));
        }
    }
    carrier.await
}
