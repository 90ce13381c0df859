//! Renewing leases: the option `renew` of `lock()`.
//!
//! A task of the runtime extends the lease every third of its length, whatever the event loop does. It
//! stops when the lease is released or lost. A lease is lost if the server says so, or if its time is over before an
//! extension has succeeded.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep_until;

use super::leases::{Lease, LeaseState};
use super::provider::Locks;
use crate::engine::{Error, Reply};
use crate::time::millis;
use crate::tuning::leases;

/// From here on the lease's end is known under its number. With `lost` it is renewed, and that is called when it is lost.
pub(super) fn keep(locks: &Locks, number: u32, lease: Lease, lost: Option<impl FnOnce() + Send + 'static>) {
    let lease = Arc::new(lease);
    locks.leases().keep(number, lease.clone());
    if let Some(lost) = lost {
        let locks = locks.clone();
        locks.engine().clone().in_background(async move {
            if renew(&locks, &lease).await {
                lost();
            }
        });
    }
}

/// Extends a lease until it is over, and returns whether it was lost.
///
/// The holder may extend the lease at any time, also while a renewal is under way. So the end is set where the
/// server's answers are read, in the order in which the server gave them. It is checked again after each wait. If the
/// holder changes the length while a renewal is on its way, another renewal with the new length follows at once.
async fn renew(locks: &Locks, lease: &Arc<Lease>) -> bool {
    let mut not_before = Instant::now();
    loop {
        let LeaseState { end, ttl, is_over } = lease.state();
        if is_over {
            return false;
        }
        let third = millis(ttl) / 3;
        let due = end.checked_sub(third * 2).unwrap_or(not_before).max(not_before);
        tokio::select! {
            () = sleep_until(due.into()) => {}
            () = lease.changed.notified() => continue,
        }
        let (reply, outcome) = Reply::awaited();
        let sent = Instant::now();
        let renewed = {
            let lease = lease.clone();
            move || lease.renewed(sent, ttl)
        };
        let retry_time = end.saturating_duration_since(sent);
        let submit = || locks.renew(lease.key.clone(), &lease.grant, ttl, retry_time, renewed, reply);
        if !lease.submit_renewal(ttl, submit) {
            continue;
        }
        let outcome = tokio::select! {
            outcome = outcome => Some(outcome),
            // No answer in time. The request may still succeed, but no code can rely on that.
            () = sleep_until(end.into()) => None,
        };
        match outcome {
            Some(Ok(true)) | None => {}
            Some(Ok(false)) => return !lease.state().is_over,
            Some(Err(Error::Closed)) => {
                tokio::select! {
                    () = sleep_until(end.into()) => {}
                    () = lease.changed.notified() => {}
                }
            }
            Some(Err(_)) => not_before = Instant::now() + leases::EXTEND_AGAIN,
        }
        if lease.has_ended() {
            return !lease.state().is_over;
        }
    }
}
