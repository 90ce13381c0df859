//! The connection of a further pipeline: one that starts while another carries calls.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::engine::batching::engine::Engine;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;

/// Waits for a connection, or until another pipeline has ended. In that case there may be no work left, or its
/// connection may be free.
///
/// Opening a connection may take long, and needs JavaScript, whose thread may be busy or blocked. So no ready request
/// waits for it: this pipeline has taken no calls yet, and the other pipelines take them. A connection that is opened
/// too late stays idle in the pool.
///
/// # Errors
///
/// No connection is available.
pub(crate) async fn connection(engine: &Arc<Engine>) -> Result<Option<Checkout>, Error> {
    let ended = engine.pipeline_ended.notified();
    tokio::pin!(ended);
    // Enabled from here on, so that no pipeline can end unnoticed between the check for work and the wait.
    ended.as_mut().enable();
    if !engine.state().ready.has_work() {
        return Ok(None);
    }
    if engine.pool.stats().idle > 0 {
        return engine.pool.check_out().await.map(Some);
    }
    let (sender, opened) = oneshot::channel();
    let opening = engine.clone();
    engine.io.executor.spawn(async move {
        // If there is no receiver, the connection goes back to the pool.
        let _ = sender.send(opening.pool.check_out().await);
    });
    tokio::select! {
        opened = opened => opened.unwrap_or(Err(Error::Closed)).map(Some),
        () = ended => Ok(None),
    }
}
