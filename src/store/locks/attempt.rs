//! An attempt to take a lock that is under way.

use std::time::Instant;

use super::grant::Grant;
use super::provider::Locks;
use super::release::give_back;
use crate::engine::FutureOutcome;

pub(super) struct Attempt {
    pub(super) sent: Instant,
    pub(super) outcome: FutureOutcome<Option<Grant>>,
    /// Whether it is the release of a lock that is handed over. Then its failure is for the caller of the release, and the
    /// waiter tries by itself.
    pub(super) is_hand_over: bool,
}

impl Attempt {
    /// Its caller does not want the lock any more. If the attempt takes it, it is released.
    pub(super) fn abandon(self, locks: &Locks, key: &str, ttl: f64) {
        let (locks, key, outcome) = (locks.clone(), key.to_owned(), self.outcome);
        locks.engine().clone().owe(async move {
            if let Ok(Some(grant)) = outcome.await {
                give_back(&locks, grant.key(&key), grant.owner, ttl, None);
            }
        });
    }
}
