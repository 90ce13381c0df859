//! Calls on a connection of the application, inside whatever transaction is open there.
//!
//! Nothing here knows how SQL gets to the connection. The owner of the client asks for the [`next`](Client::next) query
//! and reports what came of it.
//!
//! * Calls run one after the other, in the order in which they were made: a driver need not accept a second query before
//!   it has answered the first.
//! * Nothing is retried, and no expired row is removed: a failure belongs to the application's transaction, and so does
//!   every row lock.
//! * Reads that wait, and the items of one call, share a statement as they do in a batch. Other writes do not: without a
//!   transaction, one that the server refuses would undo the others.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use crate::engine::batching::prepare::Prepare;
use crate::engine::batching::reply::Completions;
use crate::engine::batching::request::{Answered, Request};
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::statement::{Arg, Statement, deal};
use crate::engine::error::Error;
use crate::engine::row::Row;
use crate::engine::sqlstate::{self, Recovery};
use crate::sync::lock;
use crate::tuning::batches;

#[derive(Default)]
pub struct Client {
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Request>,
    /// Those that the query under way carries.
    running: Vec<Request>,
}

/// SQL to run, and its parameters, all of them text.
pub struct ClientQuery {
    pub text: String,
    pub params: Vec<Option<String>>,
}

impl Client {
    pub fn submit(&self, request: Request) {
        lock(&self.line).waiting.extend(request.items_by_themselves());
    }

    /// What must be prepared before the next query can be made.
    pub fn unprepared(&self) -> Option<Arc<dyn Prepare>> {
        let line = lock(&self.line);
        let prepare = &line.waiting.front()?.prepare;
        (!prepare.is_prepared()).then(|| prepare.clone())
    }

    /// The next query to run; none if no call waits. Its outcome must be reported before the next one is asked for.
    pub fn next(&self) -> Option<ClientQuery> {
        let mut line = lock(&self.line);
        debug_assert!(line.running.is_empty(), "one query at a time");
        let mut request = line.waiting.pop_front()?;
        let Some(statement) = request.bind() else {
            drop(line);
            settle(vec![(request, &[][..])]);
            return self.next();
        };
        let mut group = Group::new(&statement, request);
        while line.waiting.front_mut().is_some_and(|next| group.may_take(next)) {
            group.requests.extend(line.waiting.pop_front());
        }
        let (text, params) = statement.for_client(&group.args());
        line.running = group.requests;
        Some(ClientQuery { text, params })
    }

    /// The rows of the query under way.
    pub fn answer(&self, rows: &[Row]) {
        let requests = std::mem::take(&mut lock(&self.line).running);
        let args: Vec<_> = requests.iter().map(Request::args).collect();
        let dealt = deal(rows, &args);
        let again = settle(requests.into_iter().zip(dealt).collect());
        let mut line = lock(&self.line);
        again.into_iter().rev().for_each(|request| line.waiting.push_front(request));
    }

    /// The query under way has failed. `code` is the server's, if the driver has reported one.
    pub fn fail(&self, error: &Error, code: Option<&str>) {
        let requests = std::mem::take(&mut lock(&self.line).running);
        for request in requests {
            if code.map(sqlstate::recovery) == Some(Recovery::PrepareAgain) {
                request.prepare.invalidate();
            }
            request.fail(error.clone());
        }
    }

    /// The first call in line cannot be prepared.
    pub fn refuse(&self, error: Error) {
        let first = lock(&self.line).waiting.pop_front();
        if let Some(request) = first {
            request.fail(error);
        }
    }
}

/// Reports to the callers what their rows say. Returns the requests that need another query, such as one that sets an
/// expiry again.
fn settle(answered: Vec<(Request, &[Row])>) -> Vec<Request> {
    let mut completions = Completions::default();
    let again = |(request, rows): (Request, &[Row])| match request.answer(&[rows], &mut completions) {
        Answered::Done(_) => None,
        Answered::Again(request) => Some(request),
    };
    answered.into_iter().filter_map(again).collect()
}

/// The requests that one query carries.
struct Group {
    statement: Arc<Statement>,
    requests: Vec<Request>,
    keys: HashSet<String>,
    bytes: usize,
}

impl Group {
    fn new(statement: &Arc<Statement>, first: Request) -> Self {
        let keys = first.key().map(str::to_owned).into_iter().collect();
        let bytes = first.bytes();
        Self { statement: statement.clone(), requests: vec![first], keys, bytes }
    }

    /// Whether the next request in line may share the query. If so, it must be added.
    fn may_take(&mut self, next: &mut Request) -> bool {
        let first = &self.requests[0];
        let are_of_one_call = first.item_of().is_some() && first.item_of() == next.item_of();
        let is_like = !first.writes() && !next.writes() || are_of_one_call;
        if !self.statement.is_shareable() || !is_like || !next.prepare.is_prepared() {
            return false;
        }
        let Some(statement) = next.bind() else { return false };
        let bytes = self.bytes + next.bytes();
        let fits = statement.is_same(&self.statement)
            && statement.agree(first.args(), next.args())
            && bytes <= batches::MAX_BYTES
            // A statement writes each row once.
            && next.key().is_some_and(|key| self.keys.insert(key.to_owned()));
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    fn args(&self) -> Vec<&[Arg]> {
        self.requests.iter().map(Request::args).collect()
    }
}
