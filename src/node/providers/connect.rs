//! The start of a pool's adapters.

use napi_derive::napi;

use super::cache::Cache;
use super::checkpoints::Checkpoints;
use super::circuits::Circuits;
use super::idempotency::Idempotency;
use super::locks::Locks;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;

#[napi]
impl Pool {
    /// Creates what is missing of the tables of these providers.
    #[napi(catch_unwind)]
    pub fn connect(
        &self,
        slot: u32,
        locks: Option<&Locks>,
        circuits: Option<&Circuits>,
        cache: Option<&Cache>,
        checkpoints: Option<&Checkpoints>,
        idempotency: Option<&Idempotency>,
    ) {
        let tables = [
            locks.map(|provider| provider.store.table()),
            circuits.map(|provider| provider.store.table()),
            cache.map(|provider| provider.store.table()),
            checkpoints.map(|provider| provider.store.table()),
            idempotency.map(|provider| provider.store.table()),
        ];
        store::connect(
            &self.engine,
            tables.into_iter().flatten().collect(),
            self.calls.reply(slot, Operation::Connect),
        );
    }
}
