//! `connectionTimeoutMillis` for calls that find all of the pool's connections busy: pg-pool gives up the wait for one
//! after that time. Only calls that nothing but the lack of a connection keeps waiting count; one that waits behind
//! another on its own key would, through pg, be waiting in the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::{Error, Job, Link, State};

/// Sees to it that somebody watches the wait of ready jobs, while there are any and a limit.
pub(super) fn watch(link: &Arc<Link>, state: &mut State) {
    let Some(limit) = link.connection_timeout else { return };
    if state.ready.is_empty() || std::mem::replace(&mut state.is_watched, true) {
        return;
    }
    let watched = Arc::downgrade(link);
    link.runtime.spawn(async move {
        while let Some(next) = watched.upgrade().and_then(|link| refuse_overdue(&link, limit)) {
            sleep_until(next.into()).await;
        }
    });
}

/// Refuses whoever has waited too long, and says when to look again; not at all, where nobody waits.
fn refuse_overdue(link: &Link, limit: Duration) -> Option<Instant> {
    let now = Instant::now();
    let mut overdue = Vec::new();
    let next = {
        let mut state = link.state();
        let due = |since: Option<Instant>| since.unwrap_or(now) + limit;
        // Not simply from the front: a lane that found no connection puts its jobs back there.
        let is_late = |job: &Job| due(job.ready_since) <= now && !job.is_patient();
        let (late, waiting): (Vec<Job>, Vec<Job>) = state.ready.take_all().partition(is_late);
        state.ready.give_back(waiting);
        overdue.extend(late);
        // Looking costs a walk over all that wait, so not at each one's own time.
        let next =
            state.ready.iter().map(|job| due(job.ready_since)).min().map(|next| next.max(now + limit / 10));
        state.is_watched = next.is_some();
        next
    };
    for job in overdue {
        job.settle(Err(Error::QueueTimeout));
    }
    next
}
