//! The leases that `lock()` has taken, as far as this process knows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::grant::Grant;
use crate::sync::lock;
use crate::time::millis;

/// The waits and leases of an adapter, by the numbers that their callers use for them.
#[derive(Default)]
pub(super) struct Leases {
    waiting: Mutex<HashMap<u32, Arc<Notify>>>,
    held: Mutex<HashMap<u32, Arc<Lease>>>,
}

/// A lease, as far as this process knows it.
pub(super) struct Lease {
    pub(super) key: String,
    pub(super) grant: Grant,
    state: Mutex<LeaseState>,
    /// Notified when the holder has extended the lease, or when it is no longer to be renewed.
    pub(super) changed: Notify,
}

#[derive(Clone, Copy)]
pub(super) struct LeaseState {
    /// The earliest time at which it ends: its length, counted from before the request was sent.
    pub(super) end: Instant,
    pub(super) ttl: f64,
    pub(super) is_over: bool,
}

impl Lease {
    /// It was requested at `sent`, for `ttl`.
    pub(super) fn new(key: String, grant: Grant, sent: Instant, ttl: f64) -> Self {
        let state = LeaseState { end: end_of(sent, ttl), ttl, is_over: false };
        Self { key, grant, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> LeaseState {
        *lock(&self.state)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().end <= Instant::now()
    }

    /// Submits a renewal, unless the lease is over, or its length is no longer `ttl`. The code that ends the lease
    /// takes the same mutex before it submits its own statement. So each renewal is either ahead of a release, and of
    /// all that follows it, in the order of calls on this key, or is never submitted.
    pub(super) fn submit_renewal(&self, ttl: f64, submit: impl FnOnce()) -> bool {
        let state = lock(&self.state);
        let is_due = !state.is_over && state.ttl == ttl;
        if is_due {
            submit();
        }
        is_due
    }

    /// The holder has extended it. It now lasts for `ttl` from `sent`, and each later renewal for `ttl` from its own
    /// sending.
    fn extended(&self, sent: Instant, ttl: f64) {
        let mut state = lock(&self.state);
        state.end = end_of(sent, ttl);
        state.ttl = ttl;
    }

    /// It was renewed for `ttl` from `sent`. If the holder has asked for another length since then, that length
    /// stays.
    pub(super) fn renewed(&self, sent: Instant, ttl: f64) {
        lock(&self.state).end = end_of(sent, ttl);
    }
}

impl Leases {
    /// Begins a wait. Returns what is notified when the caller no longer wants the lock.
    pub(super) fn begin_wait(&self, number: u32) -> Arc<Notify> {
        let given_up = Arc::new(Notify::new());
        lock(&self.waiting).insert(number, given_up.clone());
        given_up
    }

    pub(super) fn end_wait(&self, number: u32) {
        lock(&self.waiting).remove(&number);
    }

    /// From here on the lease's end is known under its number.
    pub(super) fn keep(&self, number: u32, lease: Arc<Lease>) {
        lock(&self.held).insert(number, lease);
    }

    /// The remaining time of a lease, in milliseconds, if it is known.
    pub(super) fn left(&self, number: u32) -> Option<f64> {
        let end = lock(&self.held).get(&number)?.state().end;
        let now = Instant::now();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Some(if end >= now { ms(end - now) } else { -ms(now - end) })
    }

    /// Stops renewing the lease, and forgets it.
    pub(super) fn forget(&self, number: u32) {
        let lease = lock(&self.held).remove(&number);
        if let Some(lease) = lease {
            lock(&lease.state).is_over = true;
            lease.changed.notify_one();
        }
    }

    pub(super) fn forget_all(&self) {
        for (_, lease) in lock(&self.held).drain() {
            lock(&lease.state).is_over = true;
            lease.changed.notify_one();
        }
    }

    /// The holder has extended it.
    pub(super) fn prolong(&self, number: u32, sent: Instant, ttl: f64) {
        let lease = lock(&self.held).get(&number).cloned();
        if let Some(lease) = lease {
            lease.extended(sent, ttl);
            lease.changed.notify_one();
        }
    }

    /// The caller no longer wants the lock.
    pub(super) fn give_up(&self, number: u32) {
        if let Some(given_up) = lock(&self.waiting).get(&number) {
            given_up.notify_one();
        }
    }
}

fn end_of(sent: Instant, ttl: f64) -> Instant {
    sent + millis(ttl)
}
