//! A connection of the application, on which the calls of some providers run. JavaScript carries them there.

use std::sync::Arc;

use napi_derive::napi;

use super::calls::Calls;
use super::pool::Pool;
use crate::engine::{self, Engine, Error, Record, Reply, Request, Row};

const NO_RECORD: &str =
    "the client's answer has rows without the column `record`, or with something else in it";

#[napi(custom_finalize)]
pub struct Client {
    pub(super) client: Arc<engine::Client>,
    engine: Arc<Engine>,
    calls: Arc<Calls>,
}

/// What the application's driver is to run. All values are text.
#[napi(object)]
pub struct ClientQuery {
    pub text: String,
    pub values: Vec<Option<String>>,
}

#[napi]
impl Client {
    #[napi(constructor, catch_unwind)]
    pub fn new(pool: &Pool) -> Self {
        Self { client: Arc::default(), engine: pool.engine.clone(), calls: pool.calls.clone() }
    }

    /// Whether [`prepare`](Self::prepare) must be called before [`next`](Self::next).
    #[napi(catch_unwind)]
    pub fn must_prepare(&self) -> bool {
        self.client.unprepared().is_some()
    }

    /// Prepares the table of the first call in line, on a connection of the pool. Answers when there is no more to do. If
    /// it fails, so does that call.
    #[napi(catch_unwind)]
    pub fn prepare(&self, slot: u32) {
        let reply = self.calls.queue.reply(slot);
        let Some(prepare) = self.client.unprepared() else { return reply.settle(Ok(())) };
        let client = self.client.clone();
        let prepared = Reply::new(move |outcome: Result<(), Error>| {
            if let Err(error) = outcome {
                client.refuse(error);
            }
            reply.settle(Ok(()));
        });
        self.engine.submit(Request::preparation(prepare, prepared));
    }

    /// The next query; null if no call waits. [`answer`](Self::answer) or [`fail`](Self::fail) must follow.
    #[napi(catch_unwind)]
    pub fn next(&self) -> Option<ClientQuery> {
        self.client.next().map(|query| ClientQuery { text: query.text, values: query.params })
    }

    /// The rows of the query under way, by their column `record`.
    #[napi(catch_unwind)]
    pub fn answer(&self, records: Vec<String>) {
        let rows = records.iter().map(|record| Record::from_hex(record).map(Row::Record));
        match rows.collect::<Option<Vec<_>>>() {
            Some(rows) => self.client.answer(&rows),
            None => self.client.fail(&Error::other(NO_RECORD), None),
        }
    }

    /// The query under way has failed, with an error that JavaScript keeps under `error_id`.
    #[napi(catch_unwind)]
    pub fn fail(&self, error_id: u32, code: Option<String>) {
        let error = Error::Application { id: error_id, code: code.clone().map(Into::into) };
        self.client.fail(&error, code.as_deref());
    }
}
