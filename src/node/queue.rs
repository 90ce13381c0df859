//! The queue out of native code: what JavaScript gets with its next drain, and how it is woken for that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use napi::bindgen_prelude::{Env, Function, Result};
use napi::sys;

use super::completions::Completions;
use super::messages::Message;
use super::outputs::Output;
use super::questions::{Question, Questions};
use super::waits::Waits;
use super::wake::Wake;
use crate::engine::{Caller, Engine, Error, Outcome, Reply, ReplySink};
use crate::sync::lock;
use crate::tuning::threads;

/// V8's strings end at 2^29 - 24 characters; some are reserved for what a drain adds.
const LONGEST_ANSWER: usize = (1 << 29) - (threads::DRAIN_BYTES + 1024);

/// Wakes JavaScript, or returns false if it cannot.
type Ring = Box<dyn Fn() -> bool + Send + Sync>;

pub(super) struct Queue {
    completions: Completions<Message>,
    wake: Wake,
    /// Wakes JavaScript instead of `wake`, if it is set.
    wakeup: OnceLock<Ring>,
    engines: Mutex<Vec<Weak<Engine>>>,
    started: Instant,
    /// When the first call since the last flush was made; 0 if there was none.
    moment: AtomicU64,
    pub(super) questions: Questions,
    pub(super) waits: Arc<Waits>,
}

impl Queue {
    /// `wake` wakes JavaScript.
    pub(super) fn new(env: Env, wake: &Function<'_, (), ()>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            completions: Completions::new(),
            wake: Wake::new(env, wake)?,
            wakeup: OnceLock::new(),
            engines: Mutex::default(),
            started: Instant::now(),
            moment: AtomicU64::new(0),
            questions: Questions::default(),
            waits: Arc::default(),
        }))
    }

    fn push(&self, more: impl IntoIterator<Item = Message>) {
        if self.completions.push(more) {
            self.wake();
        }
    }

    /// Runs `poll`, which may push messages, on the thread that drains. That thread handles them afterwards without
    /// being woken.
    pub(super) fn while_polling(&self, poll: impl FnOnce()) {
        self.completions.while_polling(poll);
    }

    /// Has JavaScript drain the messages that have come, from its event loop.
    pub(super) fn deliver(&self, env: sys::napi_env) {
        if !self.completions.is_empty() {
            self.wake.call_back(env);
        }
    }

    pub(super) fn wake_if_any(&self) {
        if !self.completions.is_empty() {
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.wakeup.get().is_some_and(|ring| ring()) {
            self.wake.call();
        }
    }

    /// Has `ring` wake JavaScript for as long as it can.
    pub(super) fn set_wakeup(&self, ring: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.wakeup.set(Box::new(ring));
    }

    /// The messages of the next drain. If there are more, JavaScript is woken once more.
    pub(super) fn take(&self) -> Vec<Message> {
        let mut bytes = 0;
        let is_full = |(number, message): (usize, &Message)| {
            bytes += message.bytes();
            bytes > threads::DRAIN_BYTES || number + 1 >= threads::DRAIN_MESSAGES
        };
        let (messages, are_more) = self.completions.take(|waiting| {
            waiting.iter().enumerate().position(is_full).map_or(waiting.len(), |last| last + 1)
        });
        if are_more {
            self.wake();
        }
        messages
    }

    /// See [`Wake`].
    pub(super) fn hold(&self, env: Env) -> Result<()> {
        self.wake.hold(env)
    }

    pub(super) fn let_go(&self, env: Env) -> Result<()> {
        self.wake.let_go(env)
    }

    /// Registers an engine whose calls must be flushed.
    pub(super) fn add(&self, engine: &Arc<Engine>) {
        let mut engines = lock(&self.engines);
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(engine));
    }

    pub(super) fn engines(&self) -> Vec<Arc<Engine>> {
        lock(&self.engines).iter().filter_map(Weak::upgrade).collect()
    }

    /// Reports the outcome to the caller in `slot`.
    pub(super) fn reply<T: Output>(self: &Arc<Self>, slot: u32) -> Reply<T> {
        Reply::to(self.clone(), Caller { slot, operation: 0, since: 0 }, T::json)
    }

    /// The current time, in nanoseconds since the queue was made.
    pub(super) fn now(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// When the calls of this moment were made. They are flushed together, and share one reading of the clock.
    pub(super) fn moment(&self) -> u64 {
        match self.moment.load(Ordering::Relaxed) {
            0 => {
                let now = self.now().max(1);
                self.moment.store(now, Ordering::Relaxed);
                now
            }
            moment => moment,
        }
    }

    /// The calls of this moment are flushed.
    pub(super) fn end_moment(&self) {
        self.moment.store(0, Ordering::Relaxed);
    }

    pub(super) fn notify(&self, subscription: u32, notification: impl Output) {
        self.push([Message::Notified { subscription, json: notification.json() }]);
    }

    pub(super) fn ask(&self, id: u32, question: Question) {
        self.push([Message::Asked { id, question }]);
    }
}

impl ReplySink for Queue {
    fn complete(&self, outcomes: Vec<(Caller, Outcome)>) {
        self.push(outcomes.into_iter().map(|(Caller { slot, .. }, outcome)| match outcome {
            Ok(json) if json.len() > LONGEST_ANSWER => {
                let message = "the answer is longer than a JavaScript string can be".to_owned();
                Message::Rejected { slot, error: Error::Other { message } }
            }
            Ok(json) => Message::Resolved { slot, json },
            Err(error) => Message::Rejected { slot, error },
        }));
    }
}
