//! The only module that knows Node-API: the bridge, the runtime, and one small exported class per provider.
//!
//! No `async fn` is exported. A call is a synchronous method that takes the number of the slot where JavaScript keeps
//! the promise's resolvers; its outcome comes back through the environment's one completion queue. (An `async fn`
//! costs a promise, a threadsafe function of its own, an environment hook and two spawns a call: measured on a
//! prototype 121,000 calls/s against 335,000, and 13 µs of CPU a call against 4.5.)
//!
//! Panics are caught: on the JavaScript thread by `catch_unwind` at each export, and in the runtime by tokio. There
//! the call's reply is dropped without an outcome, and rejects. A panic in a function that C calls is reported on
//! stderr (`unwind`). The process never aborts.

mod asking;
mod bridge;
mod build_info;
mod calls;
mod client;
mod completions;
mod finalizers;
mod inspection;
mod json;
mod messages;
mod operation;
mod outputs;
#[cfg(feature = "panic-probe")]
mod panicking_call;
#[cfg_attr(not(unix), path = "no_poller.rs")]
mod poller;
mod pool;
#[cfg(feature = "panic-probe")]
mod probe;
mod providers;
mod questions;
mod queue;
mod runtime;
mod unwind;
#[cfg(unix)]
mod uv;
mod waits;
mod wake;
#[cfg(unix)]
mod wakeup;

use crate::primitives;
