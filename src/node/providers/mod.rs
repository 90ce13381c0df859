//! One class per provider. Each method passes its plain arguments to the store, with the slot that waits for the
//! answer.

mod cache;
mod checkpoints;
mod circuits;
mod connect;
mod idempotency;
mod locks;
mod page;

pub(super) use cache::Cache;
pub(super) use checkpoints::Checkpoints;
pub(super) use circuits::Circuits;
pub(super) use idempotency::Idempotency;
pub(super) use locks::Locks;
