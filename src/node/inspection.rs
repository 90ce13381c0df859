//! Reads for the command `goscope-postgres`.

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
        let source = store::Source { table: &table, key_prefix: &key_prefix, namespace: &namespace };
        self.store.stored_key(&source, key, self.queue.reply(slot));
    }

    /// `{ isOwn, takesTransactions }`
    #[napi(catch_unwind)]
    pub fn session(&self, slot: u32) {
        self.store.session(self.queue.reply(slot));
    }
}

/// What stands before the keys of a prefix in a table, and before digests in a narrow column.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn stored_prefixes(key_prefix: String, namespace: String) -> Vec<String> {
    store::stored_prefixes(&key_prefix, &namespace).into()
}

/// Conditions in SQL that the adapters' own statements have, too.
#[napi(object)]
#[allow(unreachable_pub)] // exported to JavaScript
pub struct SharedConditions {
    pub is_trusted_owner: String,
    pub is_superuser: String,
    pub is_spread: String,
}

#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn shared_conditions() -> SharedConditions {
    SharedConditions {
        is_trusted_owner: store::IS_TRUSTED_OWNER.to_owned(),
        is_superuser: store::IS_SUPERUSER.to_owned(),
        is_spread: store::IS_SPREAD.to_owned(),
    }
}

/// What the user of the command may do about an error with this SQLSTATE.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn advice_for_sqlstate(code: String) -> Option<&'static str> {
    engine::advice(&code)
}
