//! What all adapters built on one pool share: its connections, its requests, and everything that is queued for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::batching::isolation::Isolation;
use crate::engine::batching::lost_sessions::LostSessions;
use crate::engine::batching::owed::Owed;
use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::key_scheduler::{Accesses, KeyScheduler};
use crate::engine::batching::scheduling::ready::Ready;
use crate::engine::batching::stats::Traffic;
use crate::engine::connection::description::PoolSettings;
use crate::engine::connection::executor::Executor;
use crate::engine::connection::io_mode::{Io, IoMode, Readiness};
use crate::engine::connection::pool::{Application, Pool};
use crate::engine::error::Error;
use crate::engine::notifications::listening;
use crate::engine::notifications::notifier::{Notifier, Subscription};
use crate::sync::{Thread, lock};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Pipelines that start at once. Measured on two cores: one or two pipelines that fill their batches are faster than
/// ten that do not, because each statement then carries many calls. More pipelines start only while these are blocked
/// (see `pipeline`).
pub(crate) const EAGER_PIPELINES: usize = 2;

/// One native pool and everything that is queued for it: what all adapters built on one `pg.Pool` share.
pub struct Engine {
    pub(crate) pool: Pool,
    pub(crate) state: Mutex<State>,
    pub(crate) max_pipelines: usize,
    pub(crate) connection_timeout: Option<Duration>,
    /// Set when the server (that is, a transaction pooler) has shown that it forgets prepared statements.
    pub(crate) unnamed_only: AtomicBool,
    pub(crate) shares_sessions: AtomicBool,
    pub(crate) runtime: Handle,
    pub(crate) io: Io,
    /// The thread that makes the calls, and may also carry them.
    pub(crate) home: Thread,
    pub(crate) is_flushed: AtomicBool,
    pub(crate) submitted: Mutex<Vec<Request>>,
    pub(crate) may_run_on_loop: AtomicBool,
    pub(crate) max_on_loop: usize,
    /// Work has been left for the next [`poll`](Self::poll).
    pub(crate) wants_poll: AtomicBool,
    /// The home thread carries calls, and will report the outcomes to the callers when it has.
    pub(crate) reports_next: AtomicBool,
    pub(crate) traffic: Traffic,
    pub(crate) idle: Notify,
    pub(crate) pipeline_ended: Notify,
    pub(crate) owed: Arc<Owed>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) lost_sessions: LostSessions,
    pub(crate) isolation: Isolation,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) key_scheduler: KeyScheduler,
    pub(crate) ready: Ready,
    pub(crate) pipelines: usize,
    /// Whether a pipeline has been started that has not taken its first batch yet.
    pub(crate) is_starting: bool,
    pub(crate) blocked_pipelines: usize,
    /// Whether a task watches how long `ready` requests wait.
    pub(crate) is_watched: bool,
    /// How many pipelines there may be, and until when, after one got no connection.
    pub(crate) pipeline_limit: Option<(usize, Instant)>,
    /// Calls with a waiting caller. Owed work is counted separately.
    pub(crate) in_flight: usize,
    /// New calls are refused. Owed work is still accepted, until the engine is closed.
    pub(crate) is_closing: bool,
    pub(crate) closed: bool,
}

impl Engine {
    /// An engine with no connection yet. `application` is asked for each connection anew, as `pg` builds a client for
    /// each.
    pub fn new(settings: PoolSettings, application: Arc<dyn Application>, runtime: Handle) -> Arc<Self> {
        let max_pipelines = settings.max.max(1);
        let connection_timeout = settings.connection_timeout();
        let io = Io { executor: Executor::start(&runtime), mode: Arc::new(IoMode::default()) };
        let engine = Arc::new(Self {
            pool: Pool::new(settings, application, io.clone()),
            state: Mutex::new(State { ready: Ready::of_pipelines(max_pipelines), ..State::default() }),
            max_pipelines,
            connection_timeout,
            unnamed_only: AtomicBool::new(false),
            shares_sessions: AtomicBool::new(false),
            runtime,
            io,
            home: Thread::current(),
            is_flushed: AtomicBool::new(false),
            submitted: Mutex::default(),
            may_run_on_loop: AtomicBool::new(false),
            max_on_loop: crate::engine::connection::io_mode::max_on_loop(),
            wants_poll: AtomicBool::new(false),
            reports_next: AtomicBool::new(false),
            traffic: Traffic::default(),
            idle: Notify::new(),
            pipeline_ended: Notify::new(),
            owed: Arc::default(),
            notifier: Arc::default(),
            lost_sessions: LostSessions::default(),
            isolation: Isolation::of_pool(max_pipelines),
        });
        engine.pool.close_idle_connections(&engine.runtime);
        engine
    }

    /// Accepts a request. Its place among the calls on the same keys is decided here, before this returns.
    ///
    /// If the thread that made the engine has announced a [`flush`](Self::flush), its requests start with the next one.
    /// The calls of one moment then share statements from the first.
    pub fn submit(self: &Arc<Self>, request: Request) {
        if self.is_flushed.load(Ordering::Relaxed) && Thread::current() == self.home {
            return lock(&self.submitted).push(request);
        }
        self.enter([request]);
    }

    /// Starts the requests that this thread has submitted since its last flush.
    pub fn flush(self: &Arc<Self>) {
        let submitted = std::mem::take(&mut *lock(&self.submitted));
        if !submitted.is_empty() {
            self.enter(submitted);
        }
    }

    /// Has submitted requests wait for [`flush`](Self::flush), which must follow.
    pub fn will_flush(&self) {
        self.is_flushed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn enter(self: &Arc<Self>, requests: impl IntoIterator<Item = Request>) {
        let mut state = self.state();
        let was_idle = state.in_flight == 0;
        let State { key_scheduler, ready, in_flight, is_closing, closed, .. } = &mut *state;
        let mut refused = Vec::new();
        for mut request in requests {
            if *closed || *is_closing && !request.is_owed() {
                refused.push(request);
                continue;
            }
            *in_flight += request.calls_under_way();
            request.enlist(self);
            key_scheduler.enter(request, ready.incoming());
        }
        ready.sort();
        ready.stop_lingering();
        self.choose_io_mode(was_idle, state.in_flight);
        self.start_pipeline(&mut state);
        drop(state);
        refused.into_iter().for_each(|request| request.settle(Err(Error::Closed)));
    }

    /// Subscribes to a topic of the notifications that other processes send. The first subscriber has a connection
    /// opened for that.
    pub fn listen(self: &Arc<Self>, topic: String) -> Subscription {
        let (subscription, is_first) = self.notifier.subscribe(topic);
        if is_first {
            let engine = Arc::downgrade(self);
            let open = move |io, payloads| {
                let engine = engine.clone();
                async move {
                    match engine.upgrade() {
                        Some(engine) => engine.pool.open_for_notifications(&io, payloads).await,
                        None => Err(Error::Closed),
                    }
                }
            };
            self.runtime.spawn(listening::run(self.runtime.clone(), self.notifier.clone(), open));
        }
        subscription
    }

    /// Allows this thread, which made the engine and makes its calls, to carry them as well, while they are few. It
    /// must then [`poll`](Self::poll) when [`wants_poll`](Self::wants_poll) returns true, and watch the
    /// [`sockets`](Self::sockets).
    pub fn allow_on_loop(&self) {
        self.may_run_on_loop.store(true, Ordering::Release);
    }

    /// Whether there is work that waits for a [`poll`](Self::poll). The question resets it.
    pub fn wants_poll(&self) -> bool {
        self.wants_poll.swap(false, Ordering::AcqRel)
    }

    /// Does on this thread what can be done at once.
    pub fn poll(&self) {
        let _context = self.runtime.enter();
        self.io.executor.poll(|| ());
    }

    /// As [`poll`](Self::poll), after something has come from the server. This thread then reports to the callers who
    /// were answered, and confirms that with [`callers_were_answered`](Self::callers_were_answered).
    pub fn poll_from(&self, readiness: &Readiness) {
        let _context = self.runtime.enter();
        self.reports_next.store(true, Ordering::Relaxed);
        self.io.executor.poll(|| readiness.read_again());
        self.reports_next.store(false, Ordering::Relaxed);
    }

    /// The answered callers have had their access, and their next calls have been flushed. There may be work for
    /// [`poll`](Self::poll) now.
    pub fn callers_were_answered(self: &Arc<Self>) {
        let mut state = self.state();
        if state.ready.end_turn() {
            self.start_pipeline(&mut state);
        }
    }

    /// Whether answered callers get their outcome as soon as this thread returns from polling.
    pub(crate) fn reports_next(&self) -> bool {
        self.reports_next.load(Ordering::Relaxed) && Thread::current() == self.home
    }

    /// The sockets of the connections that are open.
    pub fn sockets(&self) -> Vec<Arc<Readiness>> {
        self.io.mode.sockets()
    }

    pub(crate) fn choose_io_mode(&self, was_idle: bool, in_flight: usize) {
        if in_flight > self.max_on_loop {
            self.io.mode.leave_loop();
        } else if was_idle
            && self.may_run_on_loop.load(Ordering::Acquire)
            && Thread::current() == self.home
            && self.io.mode.enter_loop()
        {
            // The sockets must be watched again, even if no pipeline is to start: a pipeline that is ending may take
            // the call.
            self.wants_poll.store(true, Ordering::Release);
        }
    }

    /// Runs work that belongs to no call, such as giving back a lock whose caller has already got a failure.
    pub fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub(crate) fn start_pipeline(self: &Arc<Self>, state: &mut State) {
        let carrying = state.pipelines - state.blocked_pipelines;
        let limit = match state.pipeline_limit {
            // A limit does not outlive the pipelines that it leaves the work to.
            Some((limit, until)) if carrying > 0 && Instant::now() < until => limit.min(self.max_pipelines),
            _ => self.max_pipelines,
        };
        // One at a time: it may leave no work for the next.
        if state.ready.has_work()
            && !state.is_starting
            && carrying < EAGER_PIPELINES
            && state.pipelines < limit
        {
            state.pipelines += 1;
            state.is_starting = true;
            // Boxed at once: it is large, and each of the wrappers that follow would move it.
            let pipeline = Box::pin(crate::engine::batching::pipeline::run(self.clone()));
            if self.io.mode.is_on_loop() && Thread::current() == self.home {
                self.io.executor.spawn_quietly(pipeline);
                self.wants_poll.store(true, Ordering::Release);
            } else {
                self.io.executor.spawn(pipeline);
            }
        }
        if state.ready.wants_watch() {
            self.watch_writes();
        }
        crate::engine::batching::queue_timeout::watch(self, state);
    }

    /// Limits how long the writes wait that wait behind others.
    pub(crate) fn watch_writes(self: &Arc<Self>) {
        let watched = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(crate::engine::batching::scheduling::ready::MAX_LINGER).await;
            if let Some(engine) = watched.upgrade() {
                let mut state = engine.state();
                state.ready.let_writes_go();
                engine.start_pipeline(&mut state);
            }
        });
    }

    /// Called once for each request that has entered, whatever its outcome, with the number of calls that it stood for.
    pub(crate) fn leave(self: &Arc<Self>, requests: impl IntoIterator<Item = (Accesses, usize)>) {
        let mut state = self.state();
        let State { key_scheduler, ready, in_flight, .. } = &mut *state;
        for (accesses, calls) in requests {
            *in_flight -= calls;
            key_scheduler.leave(&accesses, ready.incoming());
        }
        ready.sort();
        if state.in_flight == 0 {
            self.idle.notify_waiters();
        }
        self.start_pipeline(&mut state);
    }

    /// Takes back requests that had to wait for something other than a connection. They go in front of what has become
    /// ready since.
    pub(crate) fn resume(self: &Arc<Self>, mut requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        for request in &mut requests {
            request.ready_since = Some(Instant::now());
        }
        let mut state = self.state();
        state.ready.give_back(requests);
        self.start_pipeline(&mut state);
    }

    pub(crate) fn is_closed(&self) -> bool {
        let state = self.state();
        state.is_closing || state.closed
    }

    /// Whether a pooler has been seen to share sessions among its clients.
    pub fn shares_sessions(&self) -> bool {
        self.shares_sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn unnamed_only(&self) -> bool {
        self.unnamed_only.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.notifier.end();
        self.io.executor.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batching::scheduling::key_scheduler::{Access, AccessMode};
    use crate::engine::connection::connect::Connection;
    use crate::engine::connection::description::Description;
    use crate::engine::connection::pool::Answered;
    use crate::engine::connection::signing::ToSign;
    use crate::engine::connection::verifier::Proof;

    struct NoApplication;

    impl Application for NoApplication {
        fn describe(&self, _: u32, _: bool) -> Answered<'_, Description> {
            unreachable!("nothing polls the pipelines")
        }
        fn run_connect_hook<'a>(&'a self, _: &'a Connection) -> Answered<'a, ()> {
            unreachable!("nothing polls the pipelines")
        }
        fn check(&self, _: Proof) -> Answered<'_, bool> {
            unreachable!("nothing polls the pipelines")
        }
        fn sign(&self, _: ToSign) -> Answered<'_, String> {
            unreachable!("nothing polls the pipelines")
        }
    }

    #[test]
    fn a_panic_under_the_lock_freezes_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let settings = serde_json::from_str(r#"{"max": 1}"#).expect("settings");
        let engine = Engine::new(settings, Arc::new(NoApplication), runtime.handle().clone());
        engine.state().pipelines = 1;
        engine.enter([Request::for_test(0, Accesses::new(&[]), None)]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut state = engine.state();
            // Dropped before the lock is released.
            let requests: Vec<_> = state.ready.take_all().collect();
            assert!(requests.is_empty(), "a panic on purpose");
        }));
        assert!(panicked.is_err());
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(engine.state().in_flight, 0);
    }

    #[test]
    fn the_home_thread_looks_at_the_sockets_again_though_a_pipeline_on_its_way_out_may_take_the_call() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let settings = serde_json::from_str(r#"{"max": 2}"#).expect("settings");
        let engine = Engine::new(settings, Arc::new(NoApplication), runtime.handle().clone());
        engine.allow_on_loop();
        let request = |resource| {
            let access = Access { resource, mode: AccessMode::Exclusive };
            Request::for_test(0, Accesses::new(&[access]), None)
        };

        // Its callers have got their outcome.
        engine.state().pipelines = 1;
        engine.state().ready.begin(crate::engine::batching::scheduling::ready::BatchKind::Writes);
        engine.enter([request(1)]);
        assert!(engine.io.mode.is_on_loop() && engine.wants_poll());
        engine.enter([request(2)]);
        assert!(!engine.wants_poll(), "they are watched");
        // In a statement of its own: a request that is dropped takes the lock to leave.
        let requests: Vec<_> = engine.state().ready.take_all().collect();
        drop(requests);
    }
}
