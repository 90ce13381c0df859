//! The class of the checkpoints.

use std::sync::Arc;

use napi_derive::napi;

use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::store;

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

    /// The same provider, whose calls run on a connection of the application.
    #[napi(catch_unwind)]
    pub fn within(&self, client: &Client) -> Self {
        Self { store: self.store.within(&client.client), calls: self.calls.clone() }
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
        let checkpoint = store::GivenCheckpoint {
            id,
            task_id,
            sequence,
            timestamp,
            progress,
            data,
            estimated_time_remaining,
        };
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
