//! The questions of native code to JavaScript, and how the answers come back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::SimpleQueryMessage;

use crate::engine::{Description, Error, Reply};
use crate::sync::lock;

pub(super) enum Question {
    /// How is a connection to `host` of this pool made? `verify_again`: the server shows a certificate that is not
    /// known yet.
    Describe { pool: u32, host: u32, verify_again: bool },
    /// A new session of this pool. `process_id`: of its backend, if no pooler shares that.
    ConnectHook { pool: u32, process_id: Option<i32> },
    /// Check or make a signature that native code cannot.
    Crypto { task: &'static str, of: Value },
}

impl Question {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Describe { pool, host, verify_again } => {
                json!({ "pool": pool, "host": host, "verifyAgain": verify_again })
            }
            Self::ConnectHook { pool, process_id } => {
                json!({ "pool": pool, "hooks": true, "processID": process_id })
            }
            Self::Crypto { task, of } => json!({ *task: of }),
        }
    }
}

/// Where the answer to a question goes.
pub(super) enum Answer {
    Describe(oneshot::Sender<Result<Description, Error>>),
    Crypto(oneshot::Sender<Result<String, Error>>),
    ConnectHook { done: oneshot::Sender<Result<(), Error>>, statements: mpsc::UnboundedSender<Asked> },
}

/// A hook's query. If it is given up with its connection, it fails as if the connection was terminated.
pub(super) struct Asked {
    pub(super) sql: String,
    reply: Option<Reply<Value>>,
}

impl Asked {
    pub(super) fn answer(mut self, answer: Result<Vec<SimpleQueryMessage>, Error>) {
        if let Some(reply) = self.reply.take() {
            reply.settle(answer.map(|messages| results(&messages)));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            reply.settle(Err(Error::Terminated));
        }
    }
}

/// The questions that wait for JavaScript.
pub(super) struct Questions {
    /// None once the environment is gone, and no answer can come.
    waiting: Mutex<Option<HashMap<u32, Answer>>>,
    next: AtomicU32,
}

impl Default for Questions {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(HashMap::new())), next: AtomicU32::new(0) }
    }
}

impl Questions {
    pub(super) fn enter(&self, answer: Answer) -> Result<u32, Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, answer),
            None => return Err(Error::Closed),
        };
        Ok(id)
    }

    pub(super) fn leave(&self, id: u32) -> Option<Answer> {
        lock(&self.waiting).as_mut()?.remove(&id)
    }

    pub(super) fn describe(&self, id: u32, description: Result<Description, Error>) {
        if let Some(Answer::Describe(sender)) = self.leave(id) {
            let _ = sender.send(description);
        }
    }

    pub(super) fn crypto(&self, id: u32, result: String) {
        if let Some(Answer::Crypto(sender)) = self.leave(id) {
            let _ = sender.send(Ok(result));
        }
    }

    pub(super) fn hooks_done(&self, id: u32) {
        if let Some(Answer::ConnectHook { done, .. }) = self.leave(id) {
            let _ = done.send(Ok(()));
        }
    }

    pub(super) fn refuse(&self, id: u32, error: Error) {
        match self.leave(id) {
            Some(Answer::Describe(sender)) => drop(sender.send(Err(error))),
            Some(Answer::Crypto(sender)) => drop(sender.send(Err(error))),
            Some(Answer::ConnectHook { done, .. }) => drop(done.send(Err(error))),
            None => {}
        }
    }

    pub(super) fn run_hook_query(&self, id: u32, sql: String, reply: Reply<Value>) {
        let statements = match lock(&self.waiting).as_ref().and_then(|waiting| waiting.get(&id)) {
            Some(Answer::ConnectHook { statements, .. }) => statements.clone(),
            _ => {
                return reply
                    .settle(Err(Error::other("the session is no longer the application's to query")));
            }
        };
        // A query that is not accepted is dropped, which makes it fail.
        let _ = statements.send(Asked { sql, reply: Some(reply) });
    }

    pub(super) fn close(&self) {
        lock(&self.waiting).take();
    }
}

/// The results of a text of statements: `[{ fields, rows, rowCount }]`, all values as the server's text.
fn results(messages: &[SimpleQueryMessage]) -> Value {
    let mut results = Vec::new();
    let (mut fields, mut rows) = (Vec::new(), Vec::new());
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                fields = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect::<Vec<_>>());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                let (fields, rows) = (std::mem::take(&mut fields), std::mem::take(&mut rows));
                results.push(json!({ "fields": fields, "rows": rows, "rowCount": count }));
            }
            _ => {}
        }
    }
    Value::Array(results)
}
