//! One class per provider. Each method passes its plain arguments to the store, with the slot that waits for the
//! answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use napi_derive::napi;

use super::calls::Calls;
use super::operation::Operation;
use super::pool::Pool;
use crate::store;
use crate::sync::lock;

#[napi(custom_finalize)]
pub struct Locks {
    pub(super) store: store::Locks,
    calls: Arc<Calls>,
}

#[napi]
impl Locks {
    /// `namespace` stands between prefix and key; if absent, the namespace of the application's own locks.
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: String, create_tables: bool, namespace: Option<String>) -> Self {
        let namespace = namespace.unwrap_or_else(|| "lock:".into());
        let store = store::Locks::new(&pool.engine, &key_prefix, &namespace, create_tables);
        Self { store, calls: pool.calls.clone() }
    }

    /// `retries`: transient failures are retried. Otherwise the wait fails when the server cannot be reached.
    #[napi(catch_unwind)]
    pub fn until_free(&self, slot: u32, key: String, retries: bool) {
        let (given_up, reply) = self.calls.wait(slot, Operation::Lock);
        self.store.until_free(key, retries, given_up, reply);
    }

    #[napi(catch_unwind)]
    pub fn acquire(&self, slot: u32, key: String, ttl: f64, owner: Option<String>) {
        self.store.acquire(key, ttl, owner, self.calls.reply(slot, Operation::Acquire));
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn extend(
        &self,
        slot: u32,
        key: String,
        ttl: f64,
        owner: String,
        retry_time: Option<f64>,
        lease: Option<u32>,
        token: Option<String>,
    ) {
        let reply = self.calls.reply(slot, Operation::Extend);
        self.store.extend(key, ttl, owner, retry_time, lease, token.as_deref(), reply);
    }

    /// Acquires a lock when it is free. `lease` is the number that identifies this wait and the lease that results
    /// from it. JavaScript is notified if a renewed lease is lost.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn lock(
        &self,
        slot: u32,
        lease: u32,
        key: String,
        ttl: f64,
        owner: Option<String>,
        wait: Option<f64>,
        renew: bool,
    ) {
        let wanted = store::Wanted { key, ttl, owner, wait, renew };
        // A weak reference: the environment's end does not wait for a lease that may still have a notification.
        let queue = Arc::downgrade(&self.calls.queue);
        let lost = move || {
            if let Some(queue) = queue.upgrade() {
                queue.notify(lease, "null".into());
            }
        };
        self.store.lock(lease, wanted, lost, self.calls.reply(slot, Operation::Lock));
    }

    #[napi(catch_unwind)]
    pub fn give_up(&self, lease: u32) {
        self.store.give_up(lease);
    }

    /// How many milliseconds are left of a lease, by this process's own clock.
    #[napi(catch_unwind)]
    pub fn left(&self, lease: u32) -> Option<f64> {
        self.store.left(lease)
    }

    /// Ends the renewal of a lease.
    #[napi(catch_unwind)]
    pub fn forget(&self, lease: u32) {
        self.store.forget(lease);
    }

    #[napi(catch_unwind)]
    pub fn release(&self, slot: u32, key: String, owner: String, token: Option<String>) {
        self.store.release(key, owner, token.as_deref(), self.calls.reply(slot, Operation::Release));
    }

    /// Releases a lock that is not used any more, also while the pool is being ended. From now on the release is
    /// owed, so this is answered at once; see `Bridge::let_go`.
    #[napi(catch_unwind)]
    pub fn give_back(&self, slot: u32, key: String, owner: String, ttl: f64) {
        self.store.give_back(key, owner, ttl, Some(self.calls.only_counted(Operation::Release)));
        self.calls.queue.reply(slot).settle(Ok("null".into()));
    }

    /// Whether the lock still belonged to the owner.
    #[napi(catch_unwind)]
    pub fn release_one(&self, slot: u32, key: String, owner: String) {
        self.store.release_one(key, owner, self.calls.reply(slot, Operation::Release));
    }

    #[napi(catch_unwind)]
    pub fn is_valid(&self, slot: u32, key: String, owner: String) {
        self.store.is_valid(key, owner, self.calls.reply(slot, Operation::IsValid));
    }

    #[napi(catch_unwind)]
    pub fn holder(&self, slot: u32, key: String) {
        self.store.holder(key, self.calls.reply(slot, Operation::Holder));
    }

    #[napi(catch_unwind)]
    pub fn force_release(&self, slot: u32, key: String) {
        self.store.force_release(key, self.calls.reply(slot, Operation::ForceRelease));
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        self.store.forget_all();
    }
}

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
    ) {
        let circuit = store::Circuit { state, failure_count, last_failure_time, last_success_time };
        self.store.set_state(key, circuit, self.calls.reply(slot, Operation::SetState));
    }

    #[napi(catch_unwind)]
    pub fn record_failure(&self, slot: u32, key: String, max_failures: f64) {
        self.store.record_failure(key, max_failures, self.calls.reply(slot, Operation::RecordFailure));
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
        let notify = move |state| {
            if let Some(queue) = queue.upgrade() {
                queue.notify(subscription, state);
            }
        };
        lock(&self.subscriptions).insert(subscription, self.store.subscribe(key, notify));
    }

    #[napi(catch_unwind)]
    pub fn unsubscribe(&self, subscription: u32) {
        lock(&self.subscriptions).remove(&subscription);
    }
}

#[napi(custom_finalize)]
pub struct Cache {
    pub(super) store: store::Cache,
    calls: Arc<Calls>,
}

#[napi]
impl Cache {
    /// `durability` is "full", "async" or "unlogged"; `table_name` in its parts for a table of its own, absent for the
    /// adapter's.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        pool: &Pool,
        key_prefix: String,
        create_tables: bool,
        durability: String,
        table_name: Option<Vec<String>>,
    ) -> Self {
        let durability = match durability.as_str() {
            "async" => store::Durability::Async,
            "unlogged" => store::Durability::Unlogged,
            _ => store::Durability::Full,
        };
        let store = match table_name {
            Some(name) => store::Cache::of_table(&pool.engine, &name, &key_prefix, create_tables, durability),
            None => store::Cache::of_adapter(&pool.engine, &key_prefix, create_tables, durability),
        };
        Self { store, calls: pool.calls.clone() }
    }

    #[napi(catch_unwind)]
    pub fn get(&self, slot: u32, key: String) {
        self.store.get(key, self.calls.reply(slot, Operation::CacheGet));
    }

    #[napi(catch_unwind)]
    pub fn set(&self, slot: u32, key: String, value: String, ttl: Option<f64>) {
        self.store.set(key, value, ttl, self.calls.reply(slot, Operation::CacheSet));
    }

    #[napi(catch_unwind)]
    pub fn delete(&self, slot: u32, key: String) {
        self.store.delete(key, self.calls.reply(slot, Operation::CacheDelete));
    }

    /// `[value, isStale]`, or nothing.
    #[napi(catch_unwind)]
    pub fn look(&self, slot: u32, key: String, stale_ttl: f64) {
        self.store.look(key, stale_ttl, self.calls.reply(slot, Operation::CacheGet));
    }

    /// The version of the entry that a computation will replace, or nothing if there is a live entry.
    #[napi(catch_unwind)]
    pub fn begin_computing(&self, slot: u32, key: String) {
        self.store.begin_computing(key, self.calls.reply(slot, Operation::CacheGet));
    }

    /// `[value, isStale, version]`, or nothing.
    #[napi(catch_unwind)]
    pub fn observe(&self, slot: u32, key: String, stale_ttl: f64) {
        self.store.observe(key, stale_ttl, self.calls.queue.reply(slot));
    }

    /// Whether it was stored.
    #[napi(catch_unwind)]
    pub fn store_computed(&self, slot: u32, key: String, value: String, ttl: Option<f64>, version: String) {
        let reply = self.calls.reply(slot, Operation::CacheSet);
        self.store.store_computed(key, value, ttl, version, reply);
    }

    #[napi(catch_unwind)]
    pub fn withdraw(&self, slot: u32, key: String, version: String) {
        self.store.withdraw(key, version, self.calls.queue.reply(slot));
    }

    #[napi(catch_unwind)]
    pub fn get_many(&self, slot: u32, keys: Vec<String>) {
        self.store.get_many(keys, self.calls.reply(slot, Operation::CacheGetMany));
    }

    /// The entries' keys, values and TTLs, each of its own array.
    #[napi(catch_unwind)]
    pub fn set_many(&self, slot: u32, keys: Vec<String>, values: Vec<String>, ttls: Vec<Option<f64>>) {
        let entries = keys.into_iter().zip(values).zip(ttls).map(|((key, value), ttl)| (key, value, ttl));
        self.store.set_many(entries.collect(), self.calls.reply(slot, Operation::CacheSetMany));
    }

    #[napi(catch_unwind)]
    pub fn delete_many(&self, slot: u32, keys: Vec<String>) {
        self.store.delete_many(keys, self.calls.reply(slot, Operation::CacheDeleteMany));
    }

    #[napi(catch_unwind)]
    pub fn increment(&self, slot: u32, key: String, by: String, ttl: Option<f64>) {
        self.store.increment(key, by, ttl, self.calls.reply(slot, Operation::CacheIncrement));
    }

    #[napi(catch_unwind)]
    pub fn compare_and_set(
        &self,
        slot: u32,
        key: String,
        expected: Option<String>,
        value: String,
        ttl: Option<f64>,
    ) {
        self.store.compare_and_set(
            key,
            expected,
            value,
            ttl,
            self.calls.reply(slot, Operation::CacheCompareAndSet),
        );
    }

    #[napi(catch_unwind)]
    pub fn logged_table(&self) -> Option<String> {
        self.store.logged_table()
    }

    #[napi(catch_unwind)]
    pub fn has(&self, slot: u32, key: String) {
        self.store.has(key, self.calls.reply(slot, Operation::CacheHas));
    }

    #[napi(catch_unwind)]
    pub fn clear(&self, slot: u32) {
        self.store.clear(self.calls.reply(slot, Operation::CacheClear));
    }

    #[napi(catch_unwind)]
    pub fn keys(&self, slot: u32, pattern: Option<String>) {
        self.store.keys(pattern, self.calls.reply(slot, Operation::CacheKeys));
    }

    #[napi(catch_unwind)]
    pub fn size(&self, slot: u32) {
        self.store.size(self.calls.reply(slot, Operation::CacheStats));
    }

    #[napi(catch_unwind)]
    pub fn prune(&self, slot: u32) {
        self.store.prune(self.calls.reply(slot, Operation::CachePrune));
    }
}

#[napi(custom_finalize)]
pub struct Checkpoints {
    pub(super) store: store::Checkpoints,
    calls: Arc<Calls>,
}

#[napi]
impl Checkpoints {
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: String, create_tables: bool) -> Self {
        Self {
            store: store::Checkpoints::new(&pool.engine, &key_prefix, create_tables),
            calls: pool.calls.clone(),
        }
    }

    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn save(
        &self,
        slot: u32,
        id: String,
        task_id: String,
        sequence: i64,
        timestamp: i64,
        progress: f64,
        data: String,
        estimated_time_remaining: Option<i64>,
    ) {
        let checkpoint =
            store::Checkpoint { id, task_id, sequence, timestamp, progress, data, estimated_time_remaining };
        self.store.save(checkpoint, self.calls.reply(slot, Operation::Save));
    }

    #[napi(catch_unwind)]
    pub fn load(&self, slot: u32, id: String) {
        self.store.load(id, self.calls.reply(slot, Operation::Load));
    }

    #[napi(catch_unwind)]
    pub fn load_latest(&self, slot: u32, task_id: String) {
        self.store.load_latest(task_id, self.calls.reply(slot, Operation::LoadLatest));
    }

    #[napi(catch_unwind)]
    pub fn list(&self, slot: u32, task_id: String) {
        self.store.list(task_id, self.calls.reply(slot, Operation::List));
    }

    #[napi(catch_unwind)]
    pub fn cleanup(&self, slot: u32, task_id: String, keep: i64) {
        self.store.cleanup(task_id, keep, self.calls.reply(slot, Operation::Cleanup));
    }

    #[napi(catch_unwind)]
    pub fn delete_all(&self, slot: u32, task_id: String) {
        self.store.delete_all(task_id, self.calls.reply(slot, Operation::DeleteAll));
    }
}

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
