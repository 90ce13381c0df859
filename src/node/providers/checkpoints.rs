//! The class of the checkpoints.

use std::sync::Arc;

use napi_derive::napi;

use crate::node::calls::Calls;
use crate::node::client::Client;
use crate::node::operation::Operation;
use crate::node::pool::Pool;
use crate::node::providers::page::page_request;
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

    /// The checkpoints' fields, each of its own array.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)] // as in `Circuits::set_state`
    pub fn save_many(
        &self,
        slot: u32,
        ids: Vec<String>,
        task_ids: Vec<String>,
        sequences: Vec<i64>,
        timestamps: Vec<i64>,
        progress: Vec<f64>,
        data: Vec<String>,
        estimated_times_remaining: Vec<Option<i64>>,
    ) {
        let numbers = sequences.into_iter().zip(timestamps).zip(progress).zip(estimated_times_remaining);
        let checkpoints = ids.into_iter().zip(task_ids).zip(data).zip(numbers);
        let checkpoint = |(((id, task_id), data), (((sequence, timestamp), progress), estimated))| {
            let estimated_time_remaining = estimated;
            store::GivenCheckpoint {
                id,
                task_id,
                sequence,
                timestamp,
                progress,
                data,
                estimated_time_remaining,
            }
        };
        let reply = self.calls.reply(slot, Operation::SaveMany);
        self.store.save_many(checkpoints.map(checkpoint).collect(), reply);
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

    /// The first ones in one direction, of those with a sequence before a given one.
    #[napi(catch_unwind)]
    pub fn list_part(
        &self,
        slot: u32,
        task_id: String,
        limit: Option<i64>,
        before: Option<i64>,
        newest_first: bool,
    ) {
        let request = store::ListRequest { limit, before, newest_first };
        self.store.list_part(task_id, request, self.calls.reply(slot, Operation::List));
    }

    /// `{ keys, end? }`. A page begins after a task, or after the end of the page before.
    #[napi(catch_unwind)]
    pub fn tasks_page(
        &self,
        slot: u32,
        prefix: String,
        limit: Option<i64>,
        after: Option<String>,
        end: Option<String>,
    ) {
        let request = page_request(prefix, limit, after, end);
        self.store.tasks_page(request, self.calls.reply(slot, Operation::ListTasks));
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
