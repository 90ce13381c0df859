//! The class of the idempotency keys.

use std::sync::Arc;

use napi_derive::napi;

use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;

#[napi(custom_finalize)]
pub struct Idempotency {
    pub(super) store: store::Idempotency,
    calls: Arc<Calls>,
}

#[napi]
impl Idempotency {
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: String, create_tables: bool) -> Self {
        Self {
            store: store::Idempotency::new(&pool.engine, &key_prefix, create_tables),
            calls: pool.calls.clone(),
        }
    }

    /// The transaction that is open on the application's connection.
    #[napi(catch_unwind)]
    pub fn transaction(&self, slot: u32) {
        self.store.transaction(self.calls.queue.reply(slot));
    }

    /// The same provider, whose calls run on a connection of the application.
    #[napi(catch_unwind)]
    pub fn within(&self, client: &Client) -> Self {
        Self { store: self.store.within(&client.client), calls: self.calls.clone() }
    }

    #[napi(catch_unwind)]
    pub fn get(&self, slot: u32, key: String) {
        self.store.get(key, self.calls.reply(slot, Operation::ResultGet));
    }

    #[napi(catch_unwind)]
    pub fn set(&self, slot: u32, key: String, value: String, ttl: Option<f64>) {
        self.store.set(key, value, ttl, self.calls.reply(slot, Operation::ResultSet));
    }

    /// `{ value, fingerprint? }`, or nothing.
    #[napi(catch_unwind)]
    pub fn recall(&self, slot: u32, key: String, before_work: bool) {
        self.store.recall(key, before_work, self.calls.reply(slot, Operation::ResultGet));
    }

    /// Whether this was the first to be stored.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn remember(
        &self,
        slot: u32,
        key: String,
        value: String,
        ttl: Option<f64>,
        fingerprint: Option<String>,
        retry_time: f64,
    ) {
        self.store.remember(
            key,
            value,
            ttl,
            fingerprint,
            retry_time,
            self.calls.reply(slot, Operation::ResultSet),
        );
    }

    /// Whether the table, which has been looked at, keeps fingerprints.
    #[napi(catch_unwind)]
    pub fn keeps_fingerprints(&self) -> bool {
        self.store.keeps_fingerprints()
    }

    #[napi(catch_unwind)]
    pub fn delete(&self, slot: u32, key: String) {
        self.store.delete(key, self.calls.reply(slot, Operation::ResultDelete));
    }
}
