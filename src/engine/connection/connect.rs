//! One connection: opened, watched, and closed with a proper Terminate.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use futures_util::future::{join, join3};
use tokio::sync::mpsc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, SimpleQueryMessage, Statement as Prepared};

use crate::engine::connection::description::{Description, TargetSession};
use crate::engine::connection::handshake::{
    Failure, Handshake, ISOLATION, Payloads, session_statements, shake_hands,
};
use crate::engine::connection::io_mode::Io;
use crate::engine::connection::key_operations::KeyOperations;
use crate::engine::connection::lock_wait::{LockTimeout, LockWait, USERS_LIMITS, UsersLimits};
use crate::engine::connection::readiness::{OnWorker, Readiness};
use crate::engine::connection::routing::to_primary;
use crate::engine::connection::session::{Backend, Mark, Session};
use crate::engine::connection::set_up::{SetUp, carry};
use crate::engine::connection::sql::Sql;
use crate::engine::connection::transaction::BEGIN;
use crate::engine::error::{Error, is_of_copy};
use crate::engine::sqlstate::IN_FAILED_TRANSACTION;
use crate::sync::lock;

/// A client with what it has prepared, and why its connection broke, once it has.
pub struct Connection {
    /// With the statements that are prepared here.
    client: ClientWrapper,
    failure: Arc<OnceLock<Error>>,
    /// The statements that have run here, by the hash of their text.
    has_run: Mutex<HashSet<u64>>,
    session: Session,
    /// After `client`, which must be dropped first.
    set_up: SetUp,
    readiness: Arc<Readiness>,
    /// Kept while the connection is set up.
    on_worker: Mutex<Option<OnWorker>>,
    /// A connect hook has begun a COPY that nothing here can carry.
    has_copied: AtomicBool,
    lock_timeout: LockTimeout,
    uses: AtomicU64,
    /// Set when the server's answer shows that this connection must not be used again.
    is_broken: AtomicBool,
    query_timeout: Option<Duration>,
    opened: Instant,
    /// When a statement was last sent, in milliseconds after `opened`.
    last_sent: AtomicU64,
}

impl Connection {
    /// Opens a connection to one host. The connection holds `open` until it has sent its Terminate to the server, so
    /// that a pool can wait for that. It holds `payloads`, if notifications are to be received, until it has ended.
    /// Without a mark, none of our settings are requested at start-up, and the session counts as shared. If the
    /// connection is dropped before [`serve`](Self::serve) has been called, it closes its socket at once.
    pub(crate) async fn open(
        description: &Description,
        keys: &Arc<dyn KeyOperations>,
        wanted: TargetSession,
        io: &Io,
        mark: Option<&Mark>,
        open: mpsc::Sender<()>,
        payloads: Option<Payloads>,
    ) -> Result<Self, Failure> {
        // Before the client, which must be dropped first.
        let (set_up, outcome) = SetUp::begin();
        let Handshake { client, carrier, on_worker } =
            shake_hands(description, keys, &io.mode, mark, payloads).await?;
        let failure = Arc::new(OnceLock::new());
        let watch = failure.clone();
        io.executor.spawn(async move {
            if let Err(error) = carry(carrier, outcome).await {
                let _ = watch.set(Error::from_protocol(&error));
            }
            drop(open);
        });
        let failed = |error| match error {
            Error::Terminated => Failure::of_session(failure.get().cloned().unwrap_or(error)),
            other => Failure::of_session(other),
        };
        // The executor polls the connection. So there is no task that the wrapper could abort: it gets one that ends.
        let client = ClientWrapper::new(client, tokio::spawn(async {}));
        let query_timeout = description.query_timeout();
        let session = in_time(query_timeout, Session::identify(&client, mark)).await.map_err(failed)?;
        session.check(wanted).map_err(failed)?;
        let connection = Self {
            client,
            failure,
            has_run: Mutex::default(),
            lock_timeout: LockTimeout::of_session(session.limits),
            session,
            set_up,
            readiness: on_worker.readiness().clone(),
            on_worker: Mutex::new(Some(on_worker)),
            has_copied: AtomicBool::new(false),
            uses: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
            query_timeout,
            opened: Instant::now(),
            last_sent: AtomicU64::new(0),
        };
        if connection.is_own() && connection.session.has_other_isolation {
            connection.execute(ISOLATION).await.map_err(Failure::of_session)?;
        }
        Ok(connection)
    }

    /// The connection is set up, and serves calls from here on.
    pub(crate) fn serve(&self) {
        self.set_up.finish();
        lock(&self.on_worker).take();
    }

    /// Has the runtime watch the socket, for as long as the returned value is kept: for what no limit of time reports
    /// as blocked.
    pub(crate) fn keep_on_worker(&self) -> OnWorker {
        OnWorker::new(&self.readiness)
    }

    /// Runs a statement, and waits for its answer no longer than the configuration allows.
    pub(crate) async fn run(
        &self,
        sql: &Sql,
        params: &[&(dyn ToSql + Sync)],
        unnamed_only: bool,
        wait: LockWait,
    ) -> Result<Vec<Row>, Error> {
        in_time(self.query_timeout, self.ask(sql, params, unnamed_only, wait)).await
    }

    async fn ask(
        &self,
        sql: &Sql,
        params: &[&(dyn ToSql + Sync)],
        unnamed_only: bool,
        wait: LockWait,
    ) -> Result<Vec<Row>, Error> {
        self.last_sent.store(self.age().as_millis() as u64, Ordering::Relaxed);
        if self.client.is_closed() {
            return Err(Error::Unsent);
        }
        // Preparing waits for the table's lock, so it needs the limit, too.
        let prepared = self.limited(wait, self.prepared(sql, unnamed_only)).await?;
        let query = async {
            match &prepared {
                Some(prepared) => self.client.query(prepared, params).await,
                None => {
                    let typed: Vec<_> = params.iter().copied().zip(sql.params.iter().cloned()).collect();
                    self.client.query_typed(&sql.text, &typed).await
                }
            }
        };
        self.waiting(wait, query).await.map_err(|error| self.explain(&error))
    }

    /// Runs a statement with a limit to its waits for locks, in a session of our own. Its first poll sends it. The
    /// limit is a setting. It is changed only if the last statement had another one, by a message sent at the same
    /// moment, before the statement.
    async fn limited<T>(&self, wait: LockWait, statement: impl Future<Output = T>) -> T {
        match self.is_own().then(|| self.lock_timeout.change(wait)).flatten() {
            Some(set) => join(self.client.batch_execute(&set), statement).await.1,
            None => statement.await,
        }
    }

    /// Runs a query with a limit to its waits for locks.
    ///
    /// * In a session of our own: see [`limited`](Self::limited).
    /// * In a shared session the limit must end with the query: three statements in a row and in one round trip, of
    ///   which the last commits, or rolls back if the query failed.
    async fn waiting(
        &self,
        wait: LockWait,
        query: impl Future<Output = Result<Vec<Row>, tokio_postgres::Error>>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.is_own() {
            return self.limited(wait, query).await;
        }
        if wait == LockWait::Users {
            return query.await;
        }
        let begin = format!("{BEGIN}; {}", self.lock_timeout.local(wait));
        let (begin, commit) = (self.client.batch_execute(&begin), self.client.batch_execute("COMMIT"));
        let (began, rows, committed) = join3(begin, query, commit).await;
        // A pooler that refuses transactions reports that at BEGIN, and closes the connection. The query then finds
        // it closed.
        let rows = rows.map_err(|error| began.err().unwrap_or(error))?;
        committed?;
        Ok(rows)
    }

    /// The statements that follow wait for locks as long as the user allows.
    pub(crate) async fn wait_as_users(&self) -> Result<(), Error> {
        match self.is_own().then(|| self.lock_timeout.change(LockWait::Users)).flatten() {
            Some(set) => self.execute(&set).await,
            None => Ok(()),
        }
    }

    pub(crate) fn lock_timeout(&self) -> &LockTimeout {
        &self.lock_timeout
    }

    /// A statement's first run here is unnamed, which takes one round trip. From the second run on it is prepared:
    /// that takes one more round trip once, and saves parsing and planning at every later run.
    async fn prepared(&self, sql: &Sql, unnamed_only: bool) -> Result<Option<Prepared>, Error> {
        // Behind a pooler that shares sessions, a prepared statement could be another client's under the same name:
        // tokio-postgres numbers them in each process from 0.
        if lock(&self.has_run).insert(sql.id) || unnamed_only || !self.is_own() {
            return Ok(None);
        }
        let prepared = self.client.prepare_typed_cached(&sql.text, &sql.params).await;
        prepared.map(Some).map_err(|error| self.explain(&error).before_sending())
    }

    /// Whether this connection alone uses its server session.
    pub fn is_own(&self) -> bool {
        self.session.is_own
    }

    /// The server process that serves this connection and no other.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        self.session.backend.as_ref()
    }

    /// The process id of [`Self::backend`].
    pub fn process_id(&self) -> Option<i32> {
        self.backend().map(|backend| backend.pid)
    }

    /// Runs a query of the preparation phase: unnamed, one round trip.
    pub async fn look(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
        let sql = to_primary(sql);
        self.explained(self.client.query_typed(&sql, params)).await
    }

    /// As [`look`](Self::look), with the rights of the role that has logged in: a connect hook, or a setting of that
    /// role, may have changed the role of the session. Sent in one round trip. The caller limits the wait.
    pub(crate) async fn look_as_login(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let begin = self.client.batch_execute("BEGIN; SET LOCAL ROLE NONE");
        let sql = to_primary(sql);
        let look = self.client.query_typed(&sql, params);
        let (_, rows, _) = join3(begin, look, self.client.batch_execute("COMMIT")).await;
        rows.map_err(|error| self.explain(&error))
    }

    /// Runs statements that take no parameters and whose rows are not needed.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.explained(self.client.batch_execute(&to_primary(sql))).await
    }

    /// As [`execute`](Self::execute), for a statement that may take any time, and must not be given up.
    pub async fn execute_without_limit(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(&to_primary(sql)).await.map_err(|error| self.explain(&error))
    }

    /// The answer, awaited no longer than the configuration allows, or the reason why there is none.
    async fn explained<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        in_time(self.query_timeout, async { answer.await.map_err(|error| self.explain(&error)) }).await
    }

    /// Runs the application's own statements, as text: those that its `connect` hooks request. After a COPY to or
    /// from the client nothing else runs: the server may wait for data, and treats any other message as an error.
    pub async fn run_hook_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        if self.has_copied.load(Ordering::Relaxed) {
            return Err(Error::CopyInHook);
        }
        let answer = async {
            self.client.simple_query(sql).await.map_err(|error| match self.explain(&error) {
                Error::Other { .. } if is_of_copy(&error) => {
                    self.has_copied.store(true, Ordering::Relaxed);
                    Error::CopyInHook
                }
                other => other,
            })
        };
        in_time(self.query_timeout, answer).await
    }

    /// Refuses a session in which the application's hooks have left a transaction open: each call would be part of
    /// it, and no call would be committed.
    ///
    /// * A simple query outside of a transaction begins its own, at its own time.
    /// * 25P02: the transaction has failed, and the server runs nothing before its end.
    pub(crate) async fn refuse_open_transaction(&self) -> Result<(), Error> {
        let messages = self.run_hook_query(&to_primary("SELECT now() <> statement_timestamp()")).await;
        let is_open = match messages {
            Ok(messages) => messages
                .iter()
                .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"))),
            Err(error) if error.sqlstate() == Some(IN_FAILED_TRANSACTION) => true,
            Err(error) => return Err(error),
        };
        if is_open { Err(Error::OpenTransaction) } else { Ok(()) }
    }

    /// Sets again the settings that our statements rely on, which the application's hooks may have changed. Never on
    /// a shared session: other applications use it, too.
    pub(crate) async fn restore_session(&self) -> Result<(), Error> {
        if !self.is_own() {
            return Ok(());
        }
        self.execute(&session_statements()).await?;
        // A hook may have set limits. Those then count as the user's.
        let rows = self.look(&format!("SELECT {USERS_LIMITS}"), &[]).await?;
        if let Some(row) = rows.first() {
            self.lock_timeout.set_users(UsersLimits::of_row(row, 0));
        }
        Ok(())
    }

    pub(crate) fn query_timeout(&self) -> Option<Duration> {
        self.query_timeout
    }

    pub(crate) fn forget_statements(&self) {
        self.client.statement_cache.clear();
        lock(&self.has_run).clear();
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed) && !self.client.is_closed()
    }

    pub(crate) fn mark_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// deadpool would count from the start of the last checkout. Under load that may be long ago.
    pub(crate) fn idle(&self) -> Duration {
        self.age().saturating_sub(Duration::from_millis(self.last_sent.load(Ordering::Relaxed)))
    }

    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// A client only learns that its connection is gone. The connection may know the reason (57P01, ECONNRESET).
    fn explain(&self, error: &tokio_postgres::Error) -> Error {
        match Error::from_protocol(error) {
            Error::Terminated => self.failure.get().cloned().unwrap_or(Error::Terminated),
            other => other,
        }
    }
}

/// The server's answer, awaited no longer than `query_timeout` allows.
async fn in_time<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, answer).await.unwrap_or(Err(Error::QueryTimeout)),
        None => answer.await,
    }
}
