//! The connection of a further lane: one that starts while another carries calls.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::pool::Lease;
use super::{Error, Link};

/// Waits for a connection, or until another lane has ended: then there may be no work left, or its connection may be free.
///
/// To open a connection may take long, and needs JavaScript, whose thread may be busy or blocked. So nothing that is ready
/// waits for it: the lane has taken no calls yet, the other lanes take them, and what is opened too late is idle in the pool.
///
/// # Errors
///
/// There is no connection to be had.
pub(super) async fn connection(link: &Arc<Link>) -> Result<Option<Lease>, Error> {
    let ended = link.lane_ended.notified();
    tokio::pin!(ended);
    // From here on, so that no lane ends unseen between the look at the work and the wait.
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
        // Without a receiver the connection goes back to the pool.
        let _ = sender.send(opening.pool.lease().await);
    });
    tokio::select! {
        opened = opened => opened.unwrap_or(Err(Error::Closed)).map(Some),
        () = ended => Ok(None),
    }
}
