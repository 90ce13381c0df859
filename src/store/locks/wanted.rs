//! What a caller of `lock()` wants, and what it gets.

use super::grant::Grant;
use super::provider::Locks;
use super::successor::{HandOver, Successor};

/// The options of a call of `lock()`, or for a semaphore's permit.
pub struct Wanted {
    /// The lock's, or the semaphore's.
    pub key: String,
    /// How many permits the semaphore has; none for a lock.
    pub permits: Option<u32>,
    pub ttl: f64,
    pub owner: Option<String>,
    /// How long to wait, in milliseconds; without a limit if it is absent.
    pub wait: Option<f64>,
    pub renew: bool,
}

/// How a wait for a lock has ended.
pub enum WaitEnd {
    Granted(Grant),
    /// The time is up. `holder`: the last one that was seen, if any was.
    TimedOut {
        holder: Option<String>,
    },
    GivenUp,
}

impl Wanted {
    /// How a lock is handed over to this waiter. The permits of a semaphore are taken by number. An owner who is named may hold the
    /// lock already, by another call: it takes the lock by itself.
    pub(super) fn successor(&self, locks: &Locks) -> Option<(Successor, HandOver)> {
        let Self { key, ttl, owner, permits, .. } = self;
        (permits.is_none() && owner.is_none()).then(|| Successor::new(locks.clone(), key.clone(), *ttl))
    }
}
