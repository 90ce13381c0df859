//! Waiting until a lock is free, without taking it.

use super::changes::Changes;
use super::holders::HeldLease;
use super::provider::Locks;
use crate::engine::{Error, Reply};
use crate::tuning::leases;

impl Locks {
    /// Waits until a lock is free, without taking it, or until that is given up.
    pub fn until_free(
        &self,
        key: String,
        retries: bool,
        given_up: impl Future<Output = ()> + Send + 'static,
        reply: Reply<()>,
    ) {
        let locks = self.clone();
        self.place.engine.in_background(async move {
            reply.settle(until_free(&locks, &key, retries, given_up).await);
        });
    }
}

/// Waits until a lock is free, or another owner holds it than at first: then the first holder is done. Ends without a
/// failure if the wait is given up. `retries`: once the lock has been seen, a read that fails is retried.
/// Otherwise its failure ends the wait.
async fn until_free(
    locks: &Locks,
    key: &str,
    retries: bool,
    given_up: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::select! {
        () = given_up => Ok(()),
        free = until_another_holder(locks, key, retries) => free,
    }
}

/// With `retries`, it waits as `lock()` does: the first read fails as any call does, later reads retry transient
/// failures.
async fn until_another_holder(locks: &Locks, key: &str, retries: bool) -> Result<(), Error> {
    let mut changes = Changes::new(locks.listen(key));
    let mut first = None;
    let mut retry_time = None;
    while let Some(HeldLease { owner, left }) = locks.await_release(key, true, retry_time).await? {
        if *first.get_or_insert_with(|| owner.clone()) != owner {
            break;
        }
        retry_time = retries.then_some(leases::MAX_RETRY_TIME);
        changes.wait(left).await?;
    }
    Ok(())
}
