//! Sessions whose connection was lost while writes were under way.
//!
//! The bytes of a statement may still be on their way to the server. Or its backend may be stalled, or wait for a row
//! lock. Such a statement would take effect *after* its own retry, and after later calls on the same key: an old
//! value would replace a newer one, an old extension would shorten a lease. So:
//!
//! 1. If a lost session may still change a key, that key is held: no write or read that conflicts with the change is
//!    sent before the session is known to be gone.
//! 2. The server is asked to terminate the session, over another connection. The session is gone when the server no
//!    longer lists it. Its transaction has ended by then, since a backend aborts or commits before it leaves the
//!    list. Bytes that arrive for it later find no reader. One statement serves all sessions that are lost at that
//!    moment.
//! 3. A call whose outcome is unknown is retried, or rejected, after that. So when it rejects, its statement is no
//!    longer under way. If the server cannot be reached, or does not end the session within [`lost_sessions::LONGEST_DELAY`](crate::tuning::lost_sessions::LONGEST_DELAY), the
//!    call rejects in any case, and only 1. remains.
//!
//! A session is identified by its process id and start time, since process ids are reused. Sessions that a pooler
//! shares cannot be terminated, because they serve other clients. For those no key is held.

use std::mem::replace;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::{ToSql, Type};

use crate::engine::batching::batch::{is_hopeful, pause};
use crate::engine::batching::engine::Engine;
use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::access::Access;
use crate::engine::batching::scheduling::events::Event;
use crate::engine::connection::connect::Connection;
use crate::engine::connection::session::{Backend, STARTED};
use crate::engine::error::Error;
use crate::engine::sqlstate::INSUFFICIENT_PRIVILEGE;
use crate::sync::lock;
use crate::tuning::lost_sessions;

/// Terminates the lost sessions that the server still has, and returns them. A role may end the sessions that it has
/// logged in.
const TERMINATE: &str = "lost.number, pg_terminate_backend(lost.pid)";

/// As [`TERMINATE`], for a role that may not call that function.
const LOOK: &str = "lost.number";

/// A start time that is unknown, or not visible, counts as that of the lost session.
fn listed(columns: &str) -> String {
    format!(
        "SELECT {columns}
           FROM unnest($1, $2) WITH ORDINALITY AS lost (pid, started, number)
          CROSS JOIN LATERAL pg_stat_get_activity(lost.pid)
          WHERE lost.started = '' OR coalesce({STARTED} = lost.started, true)"
    )
}

#[derive(Default)]
pub(crate) struct LostSessions {
    state: Mutex<State>,
    /// Whether there are any. Each batch checks this.
    is_any: AtomicBool,
    /// A call has come that waits for the end of a lost session.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    sessions: Vec<LostSession>,
    /// Whether a task is attending to their end.
    is_attended: bool,
}

struct LostSession {
    backend: Backend,
    /// How long a call may wait for an answer, as the application has configured it.
    query_timeout: Option<Duration>,
    /// What its statements may still do, and to which keys.
    accesses: Vec<Access>,
    waiting: Vec<Waiting>,
}

/// A call that waits for the end of a session.
struct Waiting {
    request: Request,
    /// The error with which it ends then; none if it is sent then.
    outcome: Option<Error>,
    since: Instant,
    /// From when on an unreachable server counts as another failure of the call.
    due: Instant,
}

impl Waiting {
    fn new(request: Request, outcome: Option<Error>) -> Self {
        let now = Instant::now();
        Self { request, outcome, since: now, due: now }
    }
}

impl LostSession {
    /// The calls that have waited long enough.
    fn take_late(&mut self) -> Vec<Waiting> {
        let limit = self.query_timeout;
        let is_late = |waiting: &mut Waiting| match waiting.outcome {
            Some(_) => waiting.since.elapsed() >= lost_sessions::LONGEST_DELAY,
            None => {
                limit.is_some_and(|limit| waiting.since.elapsed() >= limit) && !waiting.request.can_retry()
            }
        };
        self.waiting.extract_if(.., is_late).collect()
    }
}

impl LostSessions {
    /// Holds a call whose write may be under way in a lost session until the session is gone.
    pub(crate) fn hold(
        &self,
        engine: &Arc<Engine>,
        lost: &Connection,
        request: Request,
        outcome: Option<Error>,
    ) {
        let Some(backend) = lost.backend() else { return };
        let mut state = lock(&self.state);
        let known = state.sessions.iter().position(|session| session.backend == *backend);
        let at = known.unwrap_or_else(|| {
            let (backend, query_timeout) = (backend.clone(), lost.query_timeout());
            state.sessions.push(LostSession { backend, query_timeout, accesses: vec![], waiting: vec![] });
            state.sessions.len() - 1
        });
        let session = &mut state.sessions[at];
        session.accesses.extend(request.accesses.iter());
        session.waiting.push(Waiting::new(request, outcome));
        self.is_any.store(true, Ordering::Release);
        if !replace(&mut state.is_attended, true) {
            engine.runtime.spawn(attend(Arc::downgrade(engine)));
        }
    }

    /// The requests that conflict with no lost session. The others wait for its end.
    ///
    /// A request cannot become blocked between this and its statement. A session that is lost meanwhile had requests of
    /// its own under way, whose accesses conflict with none of these.
    pub(crate) fn without_blocked(&self, requests: Vec<Request>) -> Vec<Request> {
        if !self.is_any.load(Ordering::Acquire) {
            return requests;
        }
        let mut state = lock(&self.state);
        let mut free = Vec::with_capacity(requests.len());
        for request in requests {
            let blocking = |session: &&mut LostSession| request.accesses.conflict_with(&session.accesses);
            match state.sessions.iter_mut().find(blocking) {
                Some(session) => session.waiting.push(Waiting::new(request, None)),
                None => free.push(request),
            }
        }
        self.wanted.notify_one();
        free
    }

    /// Returns when no session is lost any more.
    pub(crate) async fn all_gone(&self) {
        while self.is_any.load(Ordering::Acquire) {
            self.wanted.notify_one();
            sleep(lost_sessions::FIRST_PAUSE_UNREACHABLE).await;
        }
    }

    /// The sessions to ask about. If there are none, the asking task ends.
    fn backends(&self) -> Vec<Backend> {
        let mut state = lock(&self.state);
        state.is_attended = !state.sessions.is_empty();
        self.is_any.store(state.is_attended, Ordering::Release);
        state.sessions.iter().map(|session| session.backend.clone()).collect()
    }

    /// The server has answered: `gone` are the sessions that it no longer lists.
    fn settle(&self, engine: &Arc<Engine>, gone: &[Backend]) {
        let is_gone = |session: &mut LostSession| gone.contains(&session.backend);
        let (ended, late) = {
            let mut state = lock(&self.state);
            let ended: Vec<_> = state.sessions.extract_if(.., is_gone).collect();
            let late: Vec<_> = state.sessions.iter_mut().flat_map(LostSession::take_late).collect();
            (ended, late)
        };
        // Without the lock: a settled request admits the next one, which may need the lock.
        for Waiting { request, outcome, .. } in late {
            request.fail(outcome.unwrap_or(Error::QueryTimeout));
        }
        let mut again = Vec::new();
        for Waiting { request, outcome, .. } in ended.into_iter().flat_map(|session| session.waiting) {
            match outcome {
                Some(error) => request.fail(error),
                None => again.push(request),
            }
        }
        if !again.is_empty() {
            engine.on(Event::Resumed(again));
        }
    }

    /// The server could not be asked. Each call fails with the reason, as it would if it tried by itself.
    fn refuse(&self, engine: &Arc<Engine>, error: &Error) {
        let now = Instant::now();
        let gives_up = |waiting: &mut Waiting| {
            if waiting.outcome.is_some() || !is_hopeful(engine, &waiting.request, error) {
                return true;
            }
            if waiting.due <= now {
                waiting.request.failures += 1;
                waiting.due = now + pause(&waiting.request);
            }
            false
        };
        let refused: Vec<_> = {
            let mut state = lock(&self.state);
            let waiting = state.sessions.iter_mut();
            waiting.flat_map(|session| session.waiting.extract_if(.., gives_up)).collect()
        };
        for Waiting { request, outcome, .. } in refused {
            request.fail(outcome.unwrap_or_else(|| error.clone()));
        }
    }
}

/// Asks the server to end the lost sessions, until it has.
async fn attend(engine: Weak<Engine>) {
    let mut pause = lost_sessions::FIRST_PAUSE;
    let mut limit = lost_sessions::FIRST_LIMIT;
    let mut is_fresh = false;
    loop {
        let Some(engine) = engine.upgrade() else { return };
        let lost = engine.lost_sessions.backends();
        if lost.is_empty() {
            return;
        }
        let asked = {
            let asked = terminate(&engine, &lost, is_fresh, limit);
            tokio::pin!(asked);
            loop {
                match timeout(lost_sessions::LONGEST_DELAY / 4, &mut asked).await {
                    Ok(asked) => break asked,
                    // However long the question takes, no call waits longer than it should.
                    Err(_) => engine.lost_sessions.settle(&engine, &[]),
                }
            }
        };
        is_fresh = !matches!(asked, Asked::Gone(_));
        match asked {
            Asked::Gone(gone) => {
                pause = if gone.is_empty() {
                    (pause * 2).min(lost_sessions::LAST_PAUSE)
                } else {
                    lost_sessions::FIRST_PAUSE
                };
                limit = lost_sessions::FIRST_LIMIT;
                engine.lost_sessions.settle(&engine, &gone);
                drop(engine);
                sleep(pause).await;
            }
            Asked::Lost => {
                limit = (limit * 2).min(lost_sessions::LAST_LIMIT);
                engine.lost_sessions.settle(&engine, &[]);
                drop(engine);
                sleep(lost_sessions::FIRST_PAUSE_UNREACHABLE).await;
            }
            Asked::Refused(error) => {
                pause = (pause * 2)
                    .clamp(lost_sessions::FIRST_PAUSE_UNREACHABLE, lost_sessions::LAST_PAUSE_UNREACHABLE);
                engine.lost_sessions.refuse(&engine, &error);
                sleep(lost_sessions::FIRST_PAUSE_UNREACHABLE).await;
                // A call that comes now tries at once.
                let _ = timeout(pause, engine.lost_sessions.wanted.notified()).await;
            }
        }
    }
}

enum Asked {
    /// The sessions that the server no longer lists.
    Gone(Vec<Backend>),
    /// This connection was lost as well, or the time limit has passed.
    Lost,
    /// No connection is available, or the server does not allow the question.
    Refused(Error),
}

/// Asks once. `is_fresh`: over a new connection. `limit`: how long to open that may take, and how long the answer.
async fn terminate(engine: &Engine, lost: &[Backend], is_fresh: bool, limit: Duration) -> Asked {
    let connection = match timeout(limit, engine.pool.spare(&engine.io, is_fresh)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Asked::Refused(error),
        Err(_) => return Asked::Lost,
    };
    // JavaScript's thread may be busy, and these calls must not wait for it.
    let _on_worker = connection.keep_on_worker();
    let pids: Vec<i32> = lost.iter().map(|backend| backend.pid).collect();
    let starts: Vec<&str> = lost.iter().map(|backend| backend.started.as_str()).collect();
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(&pids, Type::INT4_ARRAY), (&starts, Type::TEXT_ARRAY)];
    let asked = async {
        match connection.look_as_login(&listed(TERMINATE), &params).await {
            Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => {
                connection.look_as_login(&listed(LOOK), &params).await
            }
            asked => asked,
        }
    };
    let limit = connection.query_timeout().unwrap_or(limit).min(limit);
    let rows = match timeout(limit, asked).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) if !error.ends_connection() => return Asked::Refused(error),
        _ => {
            connection.mark_broken();
            return Asked::Lost;
        }
    };
    let listed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let is_gone = |(number, _): &(i64, &Backend)| !listed.contains(number);
    Asked::Gone((1..).zip(lost).filter(is_gone).map(|(_, backend)| backend.clone()).collect())
}
