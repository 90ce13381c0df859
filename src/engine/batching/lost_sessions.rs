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
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::access::Access;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::connection::connect::Connection;
use crate::engine::connection::session::Backend;
use crate::engine::error::Error;
use crate::sync::lock;
use crate::tuning::lost_sessions;

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
pub(crate) struct Waiting {
    pub(crate) request: Request,
    /// The error with which it ends then; none if it is sent then.
    pub(crate) outcome: Option<Error>,
    since: Instant,
    /// From when on an unreachable server counts as another failure of the call.
    pub(crate) due: Instant,
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
    /// Holds a call whose write may be under way in a lost session until the session is gone. Returns whether a task
    /// must begin to attend to that.
    pub(crate) fn hold(&self, lost: &Connection, request: Request, outcome: Option<Error>) -> bool {
        let Some(backend) = lost.backend() else { return false };
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
        !replace(&mut state.is_attended, true)
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
        // A read of several keys that waited as one would hold back writes of the keys that no session blocks.
        for request in requests.into_iter().flat_map(Request::items_by_themselves) {
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
    pub(crate) fn backends(&self) -> Vec<Backend> {
        let mut state = lock(&self.state);
        state.is_attended = !state.sessions.is_empty();
        self.is_any.store(state.is_attended, Ordering::Release);
        state.sessions.iter().map(|session| session.backend.clone()).collect()
    }

    /// The calls that waited for these sessions, which are gone, and the calls that have waited long enough.
    pub(crate) fn take_settled(&self, gone: &[Backend]) -> (Vec<Waiting>, Vec<Waiting>) {
        let is_gone = |session: &mut LostSession| gone.contains(&session.backend);
        let mut state = lock(&self.state);
        let ended = state.sessions.extract_if(.., is_gone).flat_map(|session| session.waiting).collect();
        let late = state.sessions.iter_mut().flat_map(LostSession::take_late).collect();
        (ended, late)
    }

    /// The calls that this function chooses.
    pub(crate) fn take(&self, mut is_taken: impl FnMut(&mut Waiting) -> bool) -> Vec<Waiting> {
        let mut state = lock(&self.state);
        let mut taken = Vec::new();
        for session in &mut state.sessions {
            taken.extend(session.waiting.extract_if(.., &mut is_taken));
        }
        taken
    }

    /// A call has come that waits for the end of a lost session.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
