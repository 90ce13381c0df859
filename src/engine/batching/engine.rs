//! What all adapters built on one pool share: its connections, its requests, and everything that is queued for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use crate::engine::batching::lost_sessions::LostSessions;
use crate::engine::batching::owed::Owed;
use crate::engine::batching::request::{Register, Request};
use crate::engine::batching::scheduling::access::Accesses;
use crate::engine::batching::scheduling::events::{Decision, Event};
use crate::engine::batching::scheduling::scheduler::Scheduler;
use crate::engine::batching::timer::{self, Alarm, Sleeper};
use crate::engine::batching::traffic::Traffic;
use crate::engine::connection::application::Application;
use crate::engine::connection::description::PoolSettings;
use crate::engine::connection::executor::Executor;
use crate::engine::connection::io_mode::{Io, IoMode};
use crate::engine::connection::pool::Pool;
use crate::engine::error::Error;
use crate::engine::notifications::listening;
use crate::engine::notifications::notifier::{Notifier, Subscription};
use crate::sync::{Thread, lock};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// One native pool and everything that is queued for it: what all adapters built on one `pg.Pool` share.
pub struct Engine {
    pub(crate) pool: Pool,
    pub(crate) state: Mutex<State>,
    pub(crate) dispatch: Box<dyn Dispatch>,
    alarm_changed: Arc<Notify>,
    /// Set when the server (that is, a transaction pooler) has shown that it forgets prepared statements.
    pub(crate) unnamed_only: AtomicBool,
    pub(crate) shares_sessions: AtomicBool,
    pub(crate) runtime: Handle,
    pub(crate) io: Io,
    /// The thread that makes the calls, and may also carry them.
    pub(crate) home: Thread,
    pub(crate) is_flushed: AtomicBool,
    pub(crate) submitted: Mutex<Vec<Request>>,
    /// The home thread carries calls, and will report the outcomes to the callers when it has.
    pub(crate) reports_next: AtomicBool,
    pub(crate) traffic: Traffic,
    pub(crate) idle: Notify,
    pub(crate) owed: Arc<Owed>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) lost_sessions: LostSessions,
    /// How many blocked requests wait for a connection.
    pub(crate) blocked_wanting: AtomicUsize,
}

/// What carries out the decisions of an engine's scheduler.
pub(crate) trait Dispatch: Send + Sync {
    /// Any but a refusal.
    fn carry_out(&self, engine: &Arc<Engine>, decision: Decision<Request>);
    /// A pipeline has panicked.
    fn replace_pipeline(&self, engine: &Arc<Engine>, pipeline: usize);
}

pub(crate) struct State {
    pub(crate) scheduler: Scheduler<Request>,
    pub(crate) alarm: Alarm,
}

impl Engine {
    /// See `Engine::new`.
    pub(crate) fn with(
        settings: PoolSettings,
        application: Arc<dyn Application>,
        runtime: Handle,
        dispatch: Box<dyn Dispatch>,
    ) -> Arc<Self> {
        let scheduler = Scheduler::new(settings.max.max(1), settings.connection_timeout());
        let io = Io { executor: Executor::start(&runtime), mode: Arc::new(IoMode::default()) };
        let engine = Arc::new(Self {
            pool: Pool::new(settings, application, io.clone()),
            state: Mutex::new(State { scheduler, alarm: Alarm::default() }),
            dispatch,
            alarm_changed: Arc::default(),
            unnamed_only: AtomicBool::new(false),
            shares_sessions: AtomicBool::new(false),
            runtime,
            io,
            home: Thread::current(),
            is_flushed: AtomicBool::new(false),
            submitted: Mutex::default(),
            reports_next: AtomicBool::new(false),
            traffic: Traffic::default(),
            idle: Notify::new(),
            owed: Arc::default(),
            notifier: Arc::default(),
            lost_sessions: LostSessions::default(),
            blocked_wanting: AtomicUsize::new(0),
        });
        engine.runtime.spawn(timer::run(Arc::downgrade(&engine), engine.alarm_changed.clone()));
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
        self.enter(vec![request]);
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

    fn enter(self: &Arc<Self>, mut requests: Vec<Request>) {
        let engine: Weak<Self> = Arc::downgrade(self);
        for request in &mut requests {
            request.enlist(engine.clone());
        }
        let decisions = {
            let mut state = self.state();
            let others = self.active_calls(&state);
            let decisions = self.decide_in(&mut state, Event::Submitted(requests));
            self.begin_calls(others, &state);
            decisions
        };
        self.carry_out_all(decisions);
    }

    /// Has the scheduler decide on what has happened, and carries that out.
    pub(crate) fn on(self: &Arc<Self>, event: Event<Request>) {
        let decisions = self.decide(event);
        self.carry_out_all(decisions);
    }

    /// As [`on`](Self::on), for a caller that carries out the decisions itself.
    pub(crate) fn decide(&self, event: Event<Request>) -> Vec<Decision<Request>> {
        self.decide_in(&mut self.state(), event)
    }

    fn decide_in(&self, state: &mut State, event: Event<Request>) -> Vec<Decision<Request>> {
        let decisions = state.scheduler.on(event, Instant::now());
        if state.alarm.set(state.scheduler.next_wake()) {
            self.alarm_changed.notify_one();
        }
        decisions
    }

    /// Without the lock on the state: a request that is dropped takes it.
    fn carry_out_all(self: &Arc<Self>, decisions: Vec<Decision<Request>>) {
        if decisions.is_empty() {
            return;
        }
        // The pipelines then run in the next poll, which this thread makes.
        if self.io.mode.is_on_loop() && Thread::current() == self.home {
            self.io.mode.want_poll();
            self.io.executor.without_waking(|| decisions.into_iter().for_each(|each| self.carry_out(each)));
        } else {
            decisions.into_iter().for_each(|decision| self.carry_out(decision));
        }
    }

    pub(crate) fn carry_out(self: &Arc<Self>, decision: Decision<Request>) {
        match decision {
            Decision::RefuseOverdue(requests) => refuse(requests, &Error::QueueTimeout),
            Decision::RefuseClosed(mut requests) => {
                requests.iter_mut().for_each(Request::delist);
                refuse(requests, &Error::Closed);
            }
            Decision::RefuseUnconnected(_) => unreachable!("the pipeline that reports it carries it out"),
            decision => self.dispatch.carry_out(self, decision),
        }
    }

    /// Subscribes to topics of the notifications that other processes send. The first subscriber has a connection
    /// opened for that.
    pub fn listen(self: &Arc<Self>, topics: Vec<String>) -> Subscription {
        let (subscription, is_first) = self.notifier.subscribe(topics);
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

    /// The answered callers have their outcome, and their next calls have been flushed. There may be work for
    /// [`poll`](Self::poll) now.
    pub fn callers_were_answered(self: &Arc<Self>) {
        self.on(Event::CallersAnswered);
    }

    /// Runs work that belongs to no call, such as giving back a lock whose caller has already got a failure.
    pub fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.state().scheduler.is_open()
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

impl Register for Engine {
    fn leave(self: Arc<Self>, settled: Vec<(Accesses, usize)>) {
        let (decisions, is_idle) = {
            let mut state = self.state();
            let decisions = self.decide_in(&mut state, Event::Settled(settled));
            self.calls_are_active(&state);
            (decisions, state.scheduler.in_flight() == 0)
        };
        if is_idle {
            self.idle.notify_waiters();
        }
        self.carry_out_all(decisions);
    }

    fn leave_later(self: Arc<Self>, settled: Vec<(Accesses, usize)>) {
        let engine = self.clone();
        self.in_background(async move { engine.leave(settled) });
    }
}

impl Sleeper for Engine {
    fn due(&self) -> Option<Instant> {
        self.state().alarm.due()
    }

    fn wake(self: Arc<Self>) {
        self.state().alarm = Alarm::default();
        self.on(Event::Woken);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.notifier.end();
        self.alarm_changed.notify_one();
        self.io.executor.end();
    }
}

fn refuse(requests: Vec<Request>, error: &Error) {
    requests.into_iter().for_each(|request| request.fail(error.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batching::scheduling::access::{Access, AccessMode};
    use crate::engine::connection::connect::Connection;
    use crate::engine::connection::description::Description;
    use crate::engine::connection::key_operations::{Answered, KeyOperations, ToSign};
    use crate::engine::connection::verifier::Proof;

    struct NoApplication;

    impl Application for NoApplication {
        fn describe(&self, _: u32, _: bool) -> Answered<'_, Description> {
            unreachable!("nothing polls the pipelines")
        }
        fn run_connect_hook<'a>(&'a self, _: &'a Connection) -> Answered<'a, ()> {
            unreachable!("nothing polls the pipelines")
        }
    }

    impl KeyOperations for NoApplication {
        fn check(&self, _: Proof) -> Answered<'_, bool> {
            unreachable!("nothing polls the pipelines")
        }
        fn sign(&self, _: ToSign) -> Answered<'_, String> {
            unreachable!("nothing polls the pipelines")
        }
    }

    fn engine(max: usize) -> (tokio::runtime::Runtime, Arc<Engine>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let settings = serde_json::from_str(&format!(r#"{{"max": {max}}}"#)).expect("settings");
        let engine = Engine::new(settings, Arc::new(NoApplication), runtime.handle().clone());
        (runtime, engine)
    }

    #[test]
    fn a_panic_under_the_lock_freezes_nothing() {
        let (runtime, engine) = engine(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut request = Request::for_test(0, Accesses::new(&[]));
            request.enlist(Arc::downgrade(&engine) as _);
            let mut state = engine.state();
            let decisions = engine.decide_in(&mut state, Event::Submitted(vec![request]));
            // Dropped before the lock is released.
            assert!(decisions.is_empty(), "a panic on purpose");
        }));
        assert!(panicked.is_err());
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(engine.state().scheduler.in_flight(), 0);
    }

    #[test]
    fn the_home_thread_polls_again_even_if_a_pipeline_that_runs_takes_the_call() {
        let (_runtime, engine) = engine(2);
        engine.allow_on_loop();
        let request = |resource| {
            let access = Access { resource, mode: AccessMode::Exclusive };
            Request::for_test(0, Accesses::new(&[access]))
        };
        engine.submit(request(1));
        assert!(engine.io.mode.is_on_loop() && engine.wants_poll());
    }
}
