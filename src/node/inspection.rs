//! Reads for the command `goscope-postgres`.

#![allow(unreachable_pub, dead_code)] // exported to JavaScript

use std::sync::Arc;

use napi_derive::napi;

use super::pool::Pool;
use super::queue::Queue;
use crate::engine;
use crate::store;

#[napi(custom_finalize)]
pub struct Inspection {
    store: store::Inspection,
    queue: Arc<Queue>,
}

#[napi]
impl Inspection {
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool) -> Self {
        Self { store: store::Inspection::new(&pool.engine), queue: pool.calls.queue.clone() }
    }

    /// The rows of one SELECT, as objects. `as_application`: in the form of another application's read.
    #[napi(catch_unwind)]
    pub fn query(&self, slot: u32, sql: String, params: Vec<Option<String>>, as_application: Option<bool>) {
        self.store.query(&sql, params, as_application.unwrap_or(false), self.queue.reply(slot));
    }

    /// The name, in SQL, of the table that the adapters use under this name, which is given in its parts.
    #[napi(catch_unwind)]
    pub fn table(&self, slot: u32, name: Vec<String>) {
        self.store.table(&name, self.queue.reply(slot));
    }

    /// A key as the adapters store it in the column `key` of this table.
    #[napi(catch_unwind)]
    pub fn stored_key(
        &self,
        slot: u32,
        table: Vec<String>,
        key_prefix: String,
        namespace: String,
        key: String,
    ) {
        self.store.stored_key(&table, &key_prefix, &namespace, key, self.queue.reply(slot));
    }

    /// Whether a pooler has shared sessions of the calls so far.
    #[napi(catch_unwind)]
    pub fn shares_sessions(&self) -> bool {
        self.store.shares_sessions()
    }
}

/// What stands before the keys of a prefix in a table, and before digests in a narrow column.
#[napi(catch_unwind)]
pub fn stored_prefixes(key_prefix: String, namespace: String) -> Vec<String> {
    store::stored_prefixes(&key_prefix, &namespace).into()
}

/// Conditions in SQL that the adapters' own statements have, too.
#[napi]
pub const IS_TRUSTED_OWNER: &str = store::IS_TRUSTED_OWNER;
#[napi]
pub const IS_SUPERUSER: &str = store::IS_SUPERUSER;
#[napi]
pub const IS_SPREAD: &str = store::IS_SPREAD;

/// What the user of the command may do about an error with this SQLSTATE.
#[napi(catch_unwind)]
pub fn advice_for_sqlstate(code: String) -> Option<&'static str> {
    engine::advice(&code)
}
