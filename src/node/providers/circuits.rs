//! The class of the circuit breakers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use napi::Error as NapiError;
use napi::bindgen_prelude::Result;
use napi_derive::napi;

use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;
use crate::sync::lock;

#[napi(custom_finalize)]
pub struct Circuits {
    pub(super) store: store::Circuits,
    calls: Arc<Calls>,
    subscriptions: Mutex<HashMap<u32, store::CircuitSubscription>>,
}

#[napi]
impl Circuits {
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: String, create_tables: bool) -> Self {
        Self {
            store: store::Circuits::new(&pool.engine, &key_prefix, create_tables),
            calls: pool.calls.clone(),
            subscriptions: Mutex::default(),
        }
    }

    /// The same provider, whose calls run on a connection of the application.
    #[napi(catch_unwind)]
    pub fn within(&self, client: &Client) -> Self {
        Self {
            store: self.store.within(&client.client),
            calls: self.calls.clone(),
            subscriptions: Mutex::default(),
        }
    }

    #[napi(catch_unwind)]
    pub fn get_state(&self, slot: u32, key: String) {
        self.store.get_state(key, self.calls.reply(slot, Operation::GetState));
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // a plain call across the bridge: no object is walked through Node-API
    pub fn set_state(
        &self,
        slot: u32,
        key: String,
        state: String,
        failure_count: i64,
        last_failure_time: Option<f64>,
        last_success_time: Option<f64>,
    ) -> Result<()> {
        let state = store::CircuitState::named(&state)
            .ok_or_else(|| NapiError::from_reason(format!("'{state}' is no state of a circuit breaker")))?;
        let circuit = store::Circuit { state, failure_count, last_failure_time, last_success_time };
        self.store.set_state(key, circuit, self.calls.reply(slot, Operation::SetState));
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn record_failure(&self, slot: u32, key: String, max_failures: f64) {
        self.store.record_failure(key, max_failures, self.calls.reply(slot, Operation::RecordFailure));
    }

    #[napi(catch_unwind)]
    pub fn record_failure_while_closed(&self, slot: u32, key: String, max_failures: f64) {
        let reply = self.calls.reply(slot, Operation::RecordFailure);
        self.store.record_failure_while_closed(key, max_failures, reply);
    }

    #[napi(catch_unwind)]
    pub fn record_success_while_closed(&self, slot: u32, key: String) {
        self.store.record_success_while_closed(key, self.calls.reply(slot, Operation::RecordSuccess));
    }

    #[napi(catch_unwind)]
    pub fn grant_probe(&self, slot: u32, key: String, reset_timeout: f64) {
        self.store.grant_probe(key, reset_timeout, self.calls.reply(slot, Operation::TryProbe));
    }

    #[napi(catch_unwind)]
    pub fn end_probe(&self, slot: u32, key: String, probe: String, has_succeeded: bool) {
        let operation = if has_succeeded { Operation::RecordSuccess } else { Operation::RecordFailure };
        self.store.end_probe(key, probe, has_succeeded, self.calls.reply(slot, operation));
    }

    #[napi(catch_unwind)]
    pub fn record_success(&self, slot: u32, key: String) {
        self.store.record_success(key, self.calls.reply(slot, Operation::RecordSuccess));
    }

    #[napi(catch_unwind)]
    pub fn try_probe(&self, slot: u32, key: String, reset_timeout: f64) {
        self.store.try_probe(key, reset_timeout, self.calls.reply(slot, Operation::TryProbe));
    }

    /// Has JavaScript notified of the breaker's state under this number after each change.
    #[napi(catch_unwind)]
    pub fn subscribe(&self, subscription: u32, key: String) {
        // A weak reference: the environment's end does not wait for a subscription that may still have a
        // notification.
        let queue = Arc::downgrade(&self.calls.queue);
        let notify = move |circuit| {
            if let Some(queue) = queue.upgrade() {
                queue.notify(subscription, circuit);
            }
        };
        lock(&self.subscriptions).insert(subscription, self.store.subscribe(key, notify));
    }

    #[napi(catch_unwind)]
    pub fn unsubscribe(&self, subscription: u32) {
        lock(&self.subscriptions).remove(&subscription);
    }
}
