//! The class of the caches.

use std::sync::Arc;

use napi_derive::napi;

use super::page::page_request;
use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;

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

    /// The same provider, whose calls run on a connection of the application.
    #[napi(catch_unwind)]
    pub fn within(&self, client: &Client) -> Self {
        Self { store: self.store.within(&client.client), calls: self.calls.clone() }
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

    /// The value, or nothing.
    #[napi(catch_unwind)]
    pub fn take(&self, slot: u32, key: String) {
        self.store.take(key, self.calls.reply(slot, Operation::CacheTake));
    }

    /// Whether there was a live entry, in the order of the keys.
    #[napi(catch_unwind)]
    pub fn delete_many(&self, slot: u32, keys: Vec<String>) {
        self.store.delete_many(keys, self.calls.reply(slot, Operation::CacheDeleteMany));
    }

    #[napi(catch_unwind)]
    pub fn increment(&self, slot: u32, key: String, by: String, ttl: Option<f64>) {
        self.store.increment(key, by, ttl, self.calls.reply(slot, Operation::CacheIncrement));
    }

    /// `{ value, expiresAt? }`, or nothing.
    #[napi(catch_unwind)]
    pub fn increment_entry(&self, slot: u32, key: String, by: String, ttl: Option<f64>) {
        self.store.increment_entry(key, by, ttl, self.calls.reply(slot, Operation::CacheIncrementEntry));
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

    /// Whether there was a live entry.
    #[napi(catch_unwind)]
    pub fn touch(&self, slot: u32, key: String, ttl: Option<f64>) {
        self.store.touch(key, ttl, self.calls.reply(slot, Operation::CacheTouch));
    }

    #[napi(catch_unwind)]
    pub fn logged_table(&self) -> Option<String> {
        self.store.logged_table()
    }

    /// `{ value, expiresAt? }`, or nothing.
    #[napi(catch_unwind)]
    pub fn get_entry(&self, slot: u32, key: String) {
        self.store.get_entry(key, self.calls.reply(slot, Operation::CacheGetEntry));
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

    /// `{ keys, end? }`. A page begins after a key, or after the end of the page before.
    #[napi(catch_unwind)]
    pub fn keys_page(
        &self,
        slot: u32,
        prefix: String,
        limit: Option<i64>,
        after: Option<String>,
        end: Option<String>,
    ) {
        let request = page_request(prefix, limit, after, end);
        self.store.keys_page(request, self.calls.reply(slot, Operation::CacheKeys));
    }

    /// The end of the page that was deleted, or nothing if it was the last.
    #[napi(catch_unwind)]
    pub fn clear_page(&self, slot: u32, prefix: String, limit: i64, end: Option<String>) {
        let request = page_request(prefix, Some(limit), None, end);
        self.store.clear_page(request, self.calls.reply(slot, Operation::CacheClear));
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
