//! One queue out of native code, one weak threadsafe function that wakes JavaScript to drain it.
//!
//! * The push that finds the queue empty wakes JavaScript. The pushes that follow until it drains cost one lock each.
//! * JavaScript drains the queue as one JSON text: one string crosses and one parse makes the values of all calls.
//! * The part of a message that comes from a row is JSON (see `store/cells.rs`). If it is invalid, JavaScript splits
//!   the messages of that drain and parses each by itself ([`Bridge::ends`]). So one call fails, and not all of them.
//! * A drain takes a bounded number, and the event loop runs one iteration before the next.
//! * The threadsafe function is weak, so an idle adapter lets the process exit. JavaScript holds it while calls are
//!   under way ([`Bridge::hold`]), so that a pending call keeps the process alive.
//! * Native code asks JavaScript how to connect, and shows it new sessions, through the same queue (see `questions`).
//!
//! One bridge belongs to one loaded copy of the package in one environment. (Worker threads have an environment each;
//! jest loads a copy per test file into one environment.) No global variable holds any of it.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

use napi::bindgen_prelude::{Env, Function, Result};
use napi::{Error as NapiError, JsString, sys};
use napi_derive::napi;

use super::completions::Completions;
use super::outputs::Output;
use super::poller::Poller;
use super::questions::{Question, Questions};
use super::runtime::SharedRuntime;
use super::waits::{Wait, Waits};
use super::wake::Wake;
use crate::engine::{Caller, Engine, Error, Outcome, Reply, ReplySink, know_names};
use crate::sync::lock;
use crate::time::millis;
use crate::tuning::threads;

/// V8's strings end at 2^29 - 24 characters; some are reserved for what a drain adds.
const LONGEST_ANSWER: usize = (1 << 29) - (threads::DRAIN_BYTES + 1024);

/// What JavaScript receives from a drain.
enum Message {
    /// `[0, slot, value]`: a call has succeeded; `[3, slot, 0]`: without a value.
    Resolved { slot: u32, json: String },
    /// `[1, slot, error]`: a call has failed.
    Rejected { slot: u32, error: Error },
    /// `[2, id, question]`: describe how to connect, or look at a new session.
    Asked { id: u32, question: Question },
    /// `[4, subscription, value]`: there is a notification for the subscriber.
    Notified { subscription: u32, json: String },
}

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
    pub(super) waits: Waits,
}

impl Queue {
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

    /// Registers an engine whose calls must be flushed.
    pub(super) fn add(&self, engine: &Arc<Engine>) {
        let mut engines = lock(&self.engines);
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(engine));
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

#[napi(custom_finalize)]
pub struct Bridge {
    queue: Arc<Queue>,
    pub(super) runtime: Arc<SharedRuntime>,
    poller: Option<Poller>,
    /// Where each message of the last drain ends in its text, in bytes.
    ends: Mutex<Vec<u32>>,
}

#[napi]
impl Bridge {
    /// `wake` is called when the queue is no longer empty. It is held while calls are under way, and is weak
    /// otherwise. `is_node`: whether the event loop is libuv's, and can poller sockets. `errors`: JSON, the system's
    /// errors by number.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, wake: Function<'_, (), ()>, is_node: bool, errors: String) -> Result<Self> {
        know_names(serde_json::from_str(&errors).unwrap_or_default());
        let queue = Arc::new(Queue {
            completions: Completions::new(),
            wake: Wake::new(env, &wake)?,
            wakeup: OnceLock::new(),
            engines: Mutex::default(),
            started: Instant::now(),
            moment: AtomicU64::new(0),
            questions: Questions::default(),
            waits: Waits::default(),
        });
        let runtime = SharedRuntime::get()
            .map_err(|error| NapiError::from_reason(format!("the native runtime did not start: {error}")))?;
        let poller = is_node.then(|| Poller::new(env, &queue)).flatten();
        Ok(Self { queue, runtime, poller, ends: Mutex::default() })
    }

    /// Starts the calls that have been made since the last flush. It must follow each call before the event loop
    /// continues.
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        self.queue.moment.store(0, Ordering::Relaxed);
        let engines: Vec<_> = lock(&self.queue.engines).iter().filter_map(Weak::upgrade).collect();
        for engine in &engines {
            engine.flush();
            if let Some(poller) = &self.poller {
                poller.poll(engine);
            }
        }
    }

    pub(super) fn polls_sockets(&self) -> bool {
        self.poller.is_some()
    }

    /// The messages that have come since the last drain, as one flat JSON array: the number of messages, then three
    /// items for each; null if there is none. JavaScript is woken once more if these are not all.
    #[napi(catch_unwind)]
    pub fn drain<'env>(&self, env: &'env Env) -> Result<Option<JsString<'env>>> {
        let mut bytes = 0;
        let is_full = |(number, message): (usize, &Message)| {
            bytes += message.bytes();
            bytes > threads::DRAIN_BYTES || number + 1 >= threads::DRAIN_MESSAGES
        };
        let (messages, are_more) = self.queue.completions.take(|waiting| {
            waiting.iter().enumerate().position(is_full).map_or(waiting.len(), |last| last + 1)
        });
        if are_more {
            self.queue.wake();
        }
        if messages.is_empty() {
            return Ok(None);
        }
        let mut text = String::with_capacity(messages.iter().map(Message::bytes).sum());
        let _ = write!(text, "[{}", messages.len());
        let mut ends = lock(&self.ends);
        ends.clear();
        ends.push(text.len() as u32);
        for message in &messages {
            text.push(',');
            message.write(&mut text);
            ends.push(text.len() as u32);
        }
        text.push(']');
        // Copied as it is; UTF-8 would have to be decoded.
        match text.is_ascii() {
            true => env.create_string_latin1(&text),
            false => env.create_string(&text),
        }
        .map(Some)
    }

    /// Where the messages of the last drain end in its text, in bytes of UTF-8. The first message begins after the
    /// first of these positions, which is behind the number of messages, and after a comma.
    #[napi(catch_unwind)]
    pub fn ends(&self) -> Vec<u32> {
        lock(&self.ends).clone()
    }

    /// Keeps the process alive: a call is under way.
    #[napi(catch_unwind)]
    pub fn hold(&self, env: Env) -> Result<()> {
        self.queue.wake.hold(env)
    }

    /// Lets the process exit: no call is under way. If work is owed to a server, such as giving back a lock, this
    /// returns false. Then [`until_nothing_is_owed`](Self::until_nothing_is_owed) answers when it is time to ask
    /// again.
    #[napi(catch_unwind)]
    pub fn let_go(&self, env: Env) -> Result<bool> {
        if self.owing().is_empty() {
            return self.queue.wake.let_go(env).map(|()| true);
        }
        Ok(false)
    }

    /// Answers when nothing is owed any more, or the limit for that has passed.
    #[napi(catch_unwind)]
    pub fn until_nothing_is_owed(&self, slot: u32) {
        let (owing, reply) = (self.owing(), self.queue.reply(slot));
        self.runtime.handle().spawn(async move {
            for engine in owing {
                engine.until_nothing_is_owed().await;
            }
            reply.settle(Ok(()));
        });
    }

    /// Answers after this time, or as soon as the wait is given up. No test runner replaces this clock.
    #[napi(catch_unwind)]
    pub fn wait(&self, slot: u32, milliseconds: f64) {
        let (wait, reply) = (Wait::new(&self.queue, slot), self.queue.reply(slot));
        let time = millis(milliseconds);
        self.runtime.handle().spawn(async move {
            tokio::select! {
                () = wait.given_up() => {}
                () = tokio::time::sleep(time) => {}
            }
            reply.settle(Ok(()));
        });
    }

    /// Ends the wait that is under way in this slot.
    #[napi(catch_unwind)]
    pub fn give_up(&self, slot: u32) {
        self.queue.waits.give_up(slot);
    }

    fn owing(&self) -> Vec<Arc<Engine>> {
        let engines = lock(&self.queue.engines);
        engines.iter().filter_map(Weak::upgrade).filter(|engine| engine.owes()).collect()
    }

    /// Answers a question for a connection's description with its JSON text.
    #[napi(catch_unwind)]
    pub fn describe(&self, id: u32, description: String) {
        let description = serde_json::from_str(&description)
            .map_err(|error| Error::other(format!("the connection's description makes no sense: {error}")));
        self.queue.questions.describe(id, description);
    }

    /// Answers a question with a failure that JavaScript keeps under `error_id`, and its code.
    #[napi(catch_unwind)]
    pub fn refuse(&self, id: u32, error_id: u32, code: Option<String>) {
        self.queue.questions.refuse(id, Error::Application { id: error_id, code: code.map(Into::into) });
    }

    /// Runs the application's statements in the session that it is shown under this question.
    #[napi(catch_unwind)]
    pub fn run_hook_query(&self, slot: u32, id: u32, sql: String) {
        self.queue.questions.run_hook_query(id, sql, self.queue.reply(slot));
    }

    /// The result of a signature that was to be checked or made.
    #[napi(catch_unwind)]
    pub fn crypto(&self, id: u32, result: String) {
        self.queue.questions.crypto(id, result);
    }

    /// The application has seen the session.
    #[napi(catch_unwind)]
    pub fn hooks_done(&self, id: u32) {
        self.queue.questions.hooks_done(id);
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The environment is ending. A question that waits for an answer must not wait for ever.
        self.queue.questions.close();
    }
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Resolved { json, .. } | Self::Notified { json, .. } => json.len() + 16,
            Self::Rejected { .. } => 256,
            Self::Asked { question: Question::Crypto { .. }, .. } => 8192,
            Self::Asked { .. } => 32,
        }
    }

    fn write(&self, text: &mut String) {
        let _ = match self {
            Self::Resolved { slot, json } if json.is_empty() => write!(text, "3,{slot},0"),
            Self::Resolved { slot, json } => write!(text, "0,{slot},{json}"),
            Self::Rejected { slot, error } => {
                let error = serde_json::to_string(error)
                    .unwrap_or_else(|error| format!("{{\"kind\":\"other\",\"message\":\"{error}\"}}"));
                write!(text, "1,{slot},{error}")
            }
            Self::Notified { subscription, json } => write!(text, "4,{subscription},{json}"),
            Self::Asked { id, question } => write!(text, "2,{id},{}", question.json()),
        };
    }
}
