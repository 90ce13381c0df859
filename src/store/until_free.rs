//! Waiting until a lock is free, without taking it.

use super::leases::Changes;
use super::locks::{Locks, MAX_PATIENCE};
use crate::engine::Error;

/// Waits until a lock is free, or another owner holds it than at first: then the first holder is done. Ends without a
/// failure if the wait is given up. `is_patient`: once the lock has been seen, a read that fails is retried.
/// Otherwise its failure ends the wait.
pub(super) async fn until_free(
    locks: &Locks,
    key: &str,
    is_patient: bool,
    given_up: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::select! {
        () = given_up => Ok(()),
        free = until_another_holder(locks, key, is_patient) => free,
    }
}

/// If it is patient, it waits as `lock()` does: the first read fails as any call does, later reads retry transient
/// failures.
async fn until_another_holder(locks: &Locks, key: &str, is_patient: bool) -> Result<(), Error> {
    let mut changes = Changes::new(locks.listen(key));
    let mut first = None;
    let mut patience = None;
    while let Some((holder, left)) = locks.await_release(key, true, patience).await? {
        if *first.get_or_insert_with(|| holder.clone()) != holder {
            break;
        }
        patience = is_patient.then_some(MAX_PATIENCE);
        changes.wait(left).await?;
    }
    Ok(())
}
