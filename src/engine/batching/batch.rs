//! One batch: the statements that a pipeline sends together, and the outcomes of their calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use crate::engine::batching::attending;
use crate::engine::batching::engine::Engine;
use crate::engine::batching::prepare::Prepare;
use crate::engine::batching::reply::Completions;
use crate::engine::batching::request::{Answered, Register, Request};
use crate::engine::batching::retrying::{can_retry, may_be_under_way, runs_again};
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::slot::Slot;
use crate::engine::batching::statement::{Arg, Statement, deal};
use crate::engine::connection::lock_wait::LockWait;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;
use crate::engine::row::Row;
use crate::engine::sqlstate::LOCK_NOT_AVAILABLE;
use crate::tuning::{batches, lock_waits, retries};

/// The requests that a batch has not settled.
#[derive(Default)]
pub(crate) struct Unsettled {
    /// To run again.
    pub(crate) again: Vec<Request>,
    /// Another transaction blocks these, for longer than the batch may wait.
    pub(crate) blocked: Vec<(Request, Error)>,
}

impl Unsettled {
    fn add(&mut self, other: Self) {
        self.again.extend(other.again);
        self.blocked.extend(other.blocked);
    }

    fn again(again: impl IntoIterator<Item = Request>) -> Self {
        Self { again: again.into_iter().collect(), blocked: Vec::new() }
    }
}

/// Where a batch runs, and for whom.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) checkout: &'a Checkout,
    pub(crate) carrier: Carrier,
}

/// What runs a batch.
#[derive(Clone, Copy)]
pub(crate) enum Carrier {
    /// Its statements wait for locks as statements do that share a connection.
    Pipeline(usize),
    /// The requests are isolated: the server has reported that other transactions block them. Their statements may wait
    /// for this long.
    Isolated(LockWait),
}

/// Sends the statements of these requests and settles their calls.
pub(crate) async fn run_batch(run: &Run<'_>, requests: Vec<Request>) -> Unsettled {
    let Run { engine, checkout, .. } = run;
    let mut left = Unsettled::default();
    let mut groups: Vec<Group> = Vec::new();
    let requests = engine.lost_sessions.without_blocked(requests);
    if !checkout.is_own() {
        engine.shares_sessions.store(true, Ordering::Relaxed);
    }
    engine.traffic.count_batch();
    // The connection has not answered what prepares for one of them. The others would wait as long, one after the other.
    let mut silence = None;
    for mut request in requests {
        if !request.prepare.is_prepared() {
            let preparation = request.prepare.clone();
            let prepared = match silence.clone() {
                Some(error) => Err(error),
                None => run.prepare(&*preparation).await,
            };
            if let Err(error) = prepared {
                if matches!(error, Error::QueryTimeout) {
                    silence = Some(error.clone());
                }
                left.again.extend(run.not_prepared(request, error));
                continue;
            }
        }
        match request.bind() {
            Some(statement) => Group::add(&mut groups, statement, request),
            None => left.again.extend(run.answer_all(vec![(request, vec![&[]])])),
        }
    }
    if silence.is_some() {
        let unsent = groups.into_iter().flat_map(|group| group.requests);
        left.again.extend(unsent.filter_map(|request| run.failed(request, &Error::Unsent)));
        return left;
    }
    // Most batches are of one kind.
    if let [_] = groups.as_slice() {
        left.add(groups.remove(0).run(run, 1).await);
        return left;
    }
    let statements = groups.len();
    let runs = groups.into_iter().map(|group| group.run(run, statements));
    join_all(runs).await.into_iter().for_each(|each| left.add(each));
    left
}

/// The calls of a batch that one statement carries.
struct Group {
    statement: Arc<Statement>,
    requests: Vec<Request>,
    bytes: usize,
}

impl Group {
    fn add(groups: &mut Vec<Group>, statement: Arc<Statement>, request: Request) {
        let bytes = request.bytes();
        let shares = |group: &&mut Group| {
            statement.is_shareable()
                && group.statement.is_same(&statement)
                && statement.agree(group.requests[0].args_of_first(), request.args_of_first())
                && group.bytes + bytes <= batches::MAX_BYTES
                // A request that failed before runs by itself: it may be the one that made its statement fail.
                && request.failures == 0
                && group.requests[0].failures == 0
        };
        match groups.iter_mut().rev().find(shares) {
            Some(group) => {
                group.requests.push(request);
                group.bytes += bytes;
            }
            None => groups.push(Group { statement, requests: vec![request], bytes }),
        }
    }

    /// Sends the statement and answers its calls.
    async fn run(self, run: &Run<'_>, statements: usize) -> Unsettled {
        let (wait, _slot) = match run.carrier {
            Carrier::Isolated(wait) => (wait, None),
            Carrier::Pipeline(_) => self.shared_wait(run, statements),
        };
        let Group { statement, requests, .. } = self;
        let calls: Vec<&[Arg]> = requests.iter().flat_map(Request::args_of_items).collect();
        run.engine.traffic.count_statement(requests.iter().map(Request::calls).sum());
        let error = match run.send(&statement, &calls, wait).await {
            Ok(rows) => {
                let mut dealt = deal(&rows, &calls).into_iter();
                let with_rows = |request: Request| {
                    let rows = dealt.by_ref().take(request.items()).collect();
                    (request, rows)
                };
                return Unsettled::again(run.answer_all(requests.into_iter().map(with_rows).collect()));
            }
            Err(error) => error,
        };
        let is_blocked = run.is_blocked(&error, wait);
        if calls.len() == 1 && is_blocked {
            return Unsettled {
                blocked: requests.into_iter().map(|request| (request, error.clone())).collect(),
                again: vec![],
            };
        }
        // One bad call must not fail those that share its statement, and a blocked call must not delay it. The server
        // did none of it. So each call runs by itself, and all are sent at once. So does each key of a read of several: it
        // must not hold back later calls on the others.
        if matches!(error, Error::Server(_)) && calls.len() > 1 && !error.ends_connection() {
            let wait = if is_blocked { LockWait::AtMost(lock_waits::PROBE) } else { wait };
            let mut left = Unsettled::default();
            let items = requests.into_iter().flat_map(Request::items_by_themselves);
            let alone = items.map(|request| run.run_by_itself(&statement, request, wait));
            join_all(alone).await.into_iter().for_each(|each| left.add(each));
            return left;
        }
        Unsettled::again(requests.into_iter().filter_map(|request| run.failed(request, &error)))
    }

    /// How long it may wait for locks. Others depend on it if it has several calls, or if other statements follow it.
    /// In a session of our own the limit costs nothing. In a shared one it takes a transaction of three statements.
    /// So a write that is alone there has no limit, as long as that leaves connections for the others.
    fn shared_wait(&self, run: &Run<'_>, statements: usize) -> (LockWait, Option<Slot>) {
        let calls: usize = self.requests.iter().map(Request::items).sum();
        let is_many = statements > lock_waits::FEW_STATEMENTS || calls > lock_waits::FEW_CALLS;
        let shared = if is_many {
            LockWait::AtMost(lock_waits::SHARED_BY_MANY)
        } else {
            LockWait::AtMost(lock_waits::SHARED)
        };
        if run.checkout.is_own() {
            return (shared, None);
        }
        if !self.requests.iter().any(Request::writes) {
            return (LockWait::Users, None);
        }
        let is_alone = statements == 1 && self.requests.len() == 1;
        match is_alone.then(|| Slot::take(run.engine)).flatten() {
            Some(slot) => (LockWait::Users, Some(slot)),
            None => (shared, None),
        }
    }
}

impl Run<'_> {
    /// Creating a table waits for another process that creates it. That takes longer than a statement may wait.
    async fn prepare(&self, preparation: &dyn Prepare) -> Result<(), Error> {
        let Self { engine, checkout, .. } = self;
        let prepared = async {
            checkout.wait_as_users().await?;
            preparation.prepare(checkout).await
        };
        let Some(limit) = preparation.limit() else { return prepared.await };
        timeout(limit, prepared).await.unwrap_or_else(|_| {
            // What has silenced this connection may have silenced those that are idle, too. Otherwise each of them
            // would cost such a wait.
            engine.pool.close_idle();
            Err(Error::QueryTimeout)
        })
    }

    async fn run_by_itself(&self, statement: &Statement, request: Request, wait: LockWait) -> Unsettled {
        request.note_retry();
        self.engine.traffic.count_statement(request.calls());
        match self.send(statement, &[request.args()], wait).await {
            Ok(rows) => Unsettled::again(self.answer_all(vec![(request, vec![&rows])])),
            Err(error) if self.is_blocked(&error, wait) => {
                Unsettled { blocked: vec![(request, error)], again: Vec::new() }
            }
            Err(error) => Unsettled::again(self.failed(request, &error)),
        }
    }

    async fn send(&self, statement: &Statement, calls: &[&[Arg]], wait: LockWait) -> Result<Vec<Row>, Error> {
        let (sql, params) = statement.run(calls);
        let params: Vec<&(dyn ToSql + Sync)> =
            params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
        let rows = self.checkout.run(sql, &params, self.engine.unnamed_only(), wait).await?;
        Ok(rows.into_iter().map(Row::from).collect())
    }

    /// Whether a wait was cut short by a limit of ours: the server has undone the statement.
    fn is_blocked(&self, error: &Error, wait: LockWait) -> bool {
        error.sqlstate() == Some(LOCK_NOT_AVAILABLE) && self.checkout.lock_timeout().is_ours(wait)
    }

    /// Reports to the callers what their rows say, those of each item by itself. Then it ends the accesses. Returns the
    /// requests that want another run.
    fn answer_all(&self, answered: Vec<(Request, Vec<&[Row]>)>) -> Vec<Request> {
        let mut again = Vec::new();
        let mut done = Vec::with_capacity(answered.len());
        let mut completions = Completions::default();
        for (request, rows) in answered {
            // A row that cannot be read (a hand-made table with an unexpected NULL) fails its own call, not the batch.
            match catch_unwind(AssertUnwindSafe(|| request.answer(&rows, &mut completions))) {
                Ok(Answered::Done(request)) => done.push(request.retire()),
                Ok(Answered::Again(request)) => {
                    request.note_retry();
                    again.push(request);
                }
                Err(_) => {}
            }
        }
        let items = done.iter().map(|(accesses, _)| accesses.items()).sum();
        let calls = done.iter().map(|(_, calls)| calls).sum();
        self.before_answering(items, calls);
        let _answered = self.engine.io.mode.answer(calls);
        // First the callers, then the next in line: see `Request::fail`.
        drop(completions);
        self.engine.clone().leave(done);
        again
    }

    /// A caller may call again on another thread before this one goes on.
    fn before_answering(&self, items: usize, calls: usize) {
        if let Carrier::Pipeline(pipeline) = self.carrier {
            self.engine.state().scheduler.expect_answers(pipeline, items, calls, Instant::now());
        }
    }

    /// As [`failed`](Self::failed), if the call's own statement was not sent.
    fn not_prepared(&self, mut request: Request, error: Error) -> Option<Request> {
        if !matches!(error, Error::QueryTimeout) {
            return self.failed(request, &error.before_sending());
        }
        // What prepares may still run, and its session may keep locks that every other preparation waits for.
        self.checkout.mark_broken();
        let runs_again = count_failure(&mut request, |request| can_retry(self.engine, request));
        self.wait_for_end_of_session(request, &error, runs_again)
    }

    /// Settles the call with its failure, or returns the request to run again. A write that may still be under way
    /// waits for the end of its session first: neither a retry nor a later call on its keys may overtake it.
    fn failed(&self, mut request: Request, error: &Error) -> Option<Request> {
        let Run { engine, checkout, .. } = self;
        let runs_again = count_failure(&mut request, |request| {
            runs_again(engine, checkout, request, error)
                && (request.failures < retries::MAX_FAILURES || can_retry(engine, request))
        });
        if may_be_under_way(error) && request.writes() {
            return self.wait_for_end_of_session(request, error, runs_again);
        }
        self.end(request, error, runs_again)
    }

    /// Not behind a pooler that shares its sessions, where none can be ended.
    fn wait_for_end_of_session(&self, request: Request, error: &Error, runs_again: bool) -> Option<Request> {
        if self.checkout.backend().is_none() {
            return self.end(request, error, runs_again);
        }
        attending::hold(self.engine, self.checkout, request, (!runs_again).then(|| error.clone()));
        None
    }

    fn end(&self, request: Request, error: &Error, runs_again: bool) -> Option<Request> {
        if runs_again {
            return Some(request);
        }
        self.before_answering(request.items(), request.calls_under_way());
        request.fail(error.clone());
        None
    }
}

/// Whether the request runs once more, after a further failure.
fn count_failure(request: &mut Request, runs_again: impl FnOnce(&mut Request) -> bool) -> bool {
    request.failures += 1;
    let runs_again = runs_again(request);
    if runs_again {
        request.note_retry();
    }
    runs_again
}
