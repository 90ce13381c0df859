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
use std::sync::{Arc, Mutex};

use napi::bindgen_prelude::{Env, Function, Result};
use napi::{Error as NapiError, JsString};
use napi_derive::napi;

use super::messages::Message;
use super::poller::Poller;
use super::queue::Queue;
use super::runtime::SharedRuntime;
use super::waits::Wait;
use crate::engine::{Engine, Error, know_names};
use crate::sync::lock;
use crate::time::millis;

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
        let queue = Queue::new(env, &wake)?;
        let runtime = SharedRuntime::get()
            .map_err(|error| NapiError::from_reason(format!("the native runtime did not start: {error}")))?;
        let poller = is_node.then(|| Poller::new(env, &queue)).flatten();
        Ok(Self { queue, runtime, poller, ends: Mutex::default() })
    }

    /// Starts the calls that have been made since the last flush. It must follow each call before the event loop
    /// continues.
    #[napi(catch_unwind)]
    pub fn flush(&self) {
        self.queue.end_moment();
        for engine in &self.queue.engines() {
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
        let messages = self.queue.take();
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
        self.queue.hold(env)
    }

    /// Lets the process exit: no call is under way. If work is owed to a server, such as giving back a lock, this
    /// returns false. Then [`until_nothing_is_owed`](Self::until_nothing_is_owed) answers when it is time to ask
    /// again.
    #[napi(catch_unwind)]
    pub fn let_go(&self, env: Env) -> Result<bool> {
        if self.owing().is_empty() {
            return self.queue.let_go(env).map(|()| true);
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
        let (wait, reply) = (Wait::new(&self.queue.waits, slot), self.queue.reply(slot));
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
        self.queue.engines().into_iter().filter(|engine| engine.owes()).collect()
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
