//! The connection of a further lane: one that starts while another carries calls.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::pool::Lease;
use super::{Error, Link};

/// Waits for a connection, or until another lane has ended. In that case there may be no work left, or its connection
/// may be free.
///
/// Opening a connection may take long, and needs JavaScript, whose thread may be busy or blocked. So no ready job
/// waits for it: this lane has taken no calls yet, and the other lanes take them. A connection that is opened too
/// late stays idle in the pool.
///
/// # Errors
///
/// No connection is available.
pub(super) async fn connection(link: &Arc<Link>) -> Result<Option<Lease>, Error> {
    let ended = link.lane_ended.notified();
    tokio::pin!(ended);
    // Enabled from here on, so that no lane can end unnoticed between the check for work and the wait.
    ended.as_mut().enable();
    if !link.state().ready.has_work() {
        return Ok(None);
    }
    if link.pool.figures().idle > 0 {
        return link.pool.lease().await.map(Some);
    }
    let (sender, opened) = oneshot::channel();
    let opening = link.clone();
    link.way.drive.spawn(async move {
        // If there is no receiver, the connection goes back to the pool.
        let _ = sender.send(opening.pool.lease().await);
    });
    tokio::select! {
        opened = opened => opened.unwrap_or(Err(Error::Closed)).map(Some),
        () = ended => Ok(None),
    }
}
