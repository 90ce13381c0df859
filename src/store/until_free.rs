//! Waiting until a lock is free, without taking it.

use super::leases::Changes;
use super::locks::Locks;
use crate::engine::Error;
use crate::tuning::leases;

/// Waits until a lock is free, or another owner holds it than at first: then the first holder is done. Ends without a
/// failure if the wait is given up. `retries`: once the lock has been seen, a read that fails is retried.
/// Otherwise its failure ends the wait.
pub(super) async fn until_free(
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
    while let Some((holder, left)) = locks.await_release(key, true, retry_time).await? {
        if *first.get_or_insert_with(|| holder.clone()) != holder {
            break;
        }
        retry_time = retries.then_some(leases::MAX_RETRY_TIME);
        changes.wait(left).await?;
    }
    Ok(())
}
