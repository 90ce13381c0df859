//! The queries of the command `goscope-postgres`.

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
    /// Without a `key_prefix`, for every prefix. `cache_table` is the name of a table of its own, in its parts.
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool, key_prefix: Option<String>, cache_table: Option<Vec<String>>) -> Self {
        Self {
            store: store::Inspection::new(&pool.engine, key_prefix.as_deref(), cache_table.as_deref()),
            queue: pool.calls.queue.clone(),
        }
    }

    #[napi(catch_unwind)]
    pub fn look(&self, slot: u32, what: String, args: Vec<Option<String>>) {
        self.store.look(&what, args, self.queue.reply(slot));
    }

    #[napi(catch_unwind)]
    pub fn lock(&self, slot: u32, key: String) {
        self.store.lock(key, self.queue.reply(slot));
    }
}

/// What the user of the command may do about an error with this SQLSTATE.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn advice_for_sqlstate(code: String) -> Option<&'static str> {
    engine::advice(&code)
}
