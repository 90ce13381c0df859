//! Whether the server answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::prepare::Prepare;
use crate::engine::batching::reply::Reply;
use crate::engine::batching::request::Request;
use crate::engine::connection::connect::Connection;
use crate::engine::error::Error;

/// A query that needs no table. It runs as a preparation: by itself, before the statements of its batch, so its time is
/// that of its own answer.
struct Ping {
    limit: Option<Duration>,
}

impl Engine {
    /// Asks the server for an answer. A connection that does not give one within `limit` is not used again: a router
    /// may have dropped it without a word, and the system may take a quarter of an hour to notice.
    pub fn ping(self: &Arc<Self>, limit: Option<Duration>, reply: Reply<()>) {
        self.submit(Request::preparation(Arc::new(Ping { limit }), reply));
    }
}

impl Prepare for Ping {
    fn is_prepared(&self) -> bool {
        false
    }

    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async move { connection.look("SELECT 1", &[]).await.map(drop) })
    }

    fn limit(&self) -> Option<Duration> {
        self.limit
    }

    fn invalidate(&self) -> bool {
        false
    }
}
