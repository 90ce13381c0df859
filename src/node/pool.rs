//! The native pool as JavaScript holds it.

use std::sync::Arc;

use napi::Error as NapiError;
use napi::bindgen_prelude::Result;
use napi_derive::napi;
use serde_json::json;

use super::bridge::Bridge;
use super::calls::Calls;
use super::operation::Operation;
use super::queue::Queue;
use super::runtime::SharedRuntime;
use crate::engine::{
    Answered, Application, Connection, Description, Engine, KeyOperations, PoolSettings, Proof, ToSign,
};
use crate::time::millis;

/// The application, which knows its pool's configuration: names, environment, passwords, hooks.
struct JsApplication {
    queue: Arc<Queue>,
    pool: u32,
}

impl Application for JsApplication {
    fn describe(&self, host: u32, verify_again: bool) -> Answered<'_, Description> {
        Box::pin(self.queue.ask_description(self.pool, host, verify_again))
    }

    fn run_connect_hook<'a>(&'a self, connection: &'a Connection) -> Answered<'a, ()> {
        Box::pin(self.queue.ask_connect_hook(self.pool, connection))
    }
}

impl KeyOperations for JsApplication {
    fn check(&self, proof: Proof) -> Answered<'_, bool> {
        Box::pin(async move { Ok(self.queue.ask_crypto("check", json!(proof)).await? == "true") })
    }

    fn sign(&self, to_sign: ToSign) -> Answered<'_, String> {
        Box::pin(self.queue.ask_crypto("sign", json!(to_sign)))
    }
}

#[napi(custom_finalize)]
pub struct Pool {
    pub(super) engine: Arc<Engine>,
    pub(super) calls: Arc<Calls>,
    runtime: Arc<SharedRuntime>,
}

#[napi]
impl Pool {
    /// `id` identifies the pool when JavaScript is asked how to open a connection; `settings` is JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(bridge: &Bridge, id: u32, settings: String) -> Result<Self> {
        let settings: PoolSettings = serde_json::from_str(&settings)
            .map_err(|error| NapiError::from_reason(format!("the pool's settings make no sense: {error}")))?;
        let application = Arc::new(JsApplication { queue: bridge.queue(), pool: id });
        let engine = Engine::new(settings, application, bridge.runtime.handle());
        engine.will_flush();
        bridge.queue().add(&engine);
        if bridge.polls_sockets() {
            engine.allow_on_loop();
        }
        Ok(Self { engine, calls: Calls::new(bridge.queue()), runtime: bridge.runtime.clone() })
    }

    /// Asks the server about no table at all, only to check that it answers. A connection on which it does not answer
    /// within `limit`, in milliseconds, is given up.
    #[napi(catch_unwind)]
    pub fn ping(&self, slot: u32, limit: Option<f64>) {
        self.engine.ping(limit.map(millis), self.calls.reply(slot, Operation::Ping));
    }

    /// The pool's current state, and its totals since it was made, as JSON.
    #[napi(catch_unwind)]
    pub fn metrics(&self) -> Result<String> {
        serde_json::to_string(&self.calls.metrics(self.engine.stats())).map_err(|error| {
            NapiError::from_reason(format!("the metrics cannot be written as JSON: {error}"))
        })
    }

    /// Answers when the pool owes nothing to the server, or the limit for that has passed.
    #[napi(catch_unwind)]
    pub fn until_nothing_is_owed(&self, slot: u32) {
        let (engine, reply) = (self.engine.clone(), self.calls.queue.reply(slot));
        self.runtime.handle().spawn(async move {
            engine.until_nothing_is_owed().await;
            reply.settle(Ok(()));
        });
    }

    /// Lets the calls under way finish, then closes every connection.
    #[napi(catch_unwind)]
    pub fn close(&self, slot: u32) {
        let (engine, reply) = (self.engine.clone(), self.calls.queue.reply(slot));
        self.runtime.handle().spawn(async move {
            engine.close().await;
            reply.settle(Ok(()));
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.engine.owes() {
            return self.engine.abandon();
        }
        let engine = self.engine.clone();
        self.engine.in_background(async move {
            engine.until_nothing_is_owed().await;
            engine.abandon();
        });
    }
}
