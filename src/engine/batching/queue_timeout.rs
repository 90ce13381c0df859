//! `connectionTimeoutMillis` for calls that find all of the pool's connections busy: pg-pool gives up the wait for a
//! connection after that time. Only calls that wait for nothing but a connection count. A call that waits behind
//! another on its own key would, through pg, be waiting in the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::engine::batching::engine::{Engine, State};
use crate::engine::batching::request::Request;
use crate::engine::error::Error;

/// Ensures that a task watches the wait of ready requests, while there are any and there is a limit.
pub(crate) fn watch(engine: &Arc<Engine>, state: &mut State) {
    let Some(limit) = engine.connection_timeout else { return };
    if state.ready.is_empty() || std::mem::replace(&mut state.is_watched, true) {
        return;
    }
    let watched = Arc::downgrade(engine);
    engine.runtime.spawn(async move {
        while let Some(next) = watched.upgrade().and_then(|engine| refuse_overdue(&engine, limit)) {
            sleep_until(next.into()).await;
        }
    });
}

/// Refuses the requests that have waited too long, and returns when to check again; none if no request waits.
fn refuse_overdue(engine: &Engine, limit: Duration) -> Option<Instant> {
    let now = Instant::now();
    let mut overdue = Vec::new();
    let next = {
        let mut state = engine.state();
        let due = |since: Option<Instant>| since.unwrap_or(now) + limit;
        // Not simply from the front: a pipeline that got no connection puts its requests back there.
        let is_late = |request: &Request| due(request.ready_since) <= now && !request.can_retry();
        let (late, waiting): (Vec<Request>, Vec<Request>) = state.ready.take_all().partition(is_late);
        state.ready.give_back(waiting);
        overdue.extend(late);
        // A check goes over all requests that wait, so there is not one for each request's own time.
        let next = state
            .ready
            .iter()
            .map(|request| due(request.ready_since))
            .min()
            .map(|next| next.max(now + limit / 10));
        state.is_watched = next.is_some();
        next
    };
    for request in overdue {
        request.settle(Err(Error::QueueTimeout));
    }
    next
}
