//! The native half of `goscope-postgres`.
//!
//! ## Design
//!
//! JavaScript reads the application's `pg.Pool`, makes the promises and the errors, and does `JSON`. This crate does
//! the rest, in three wings, each of which sees only the wings beneath it:
//!
//! * [`node`] is the only wing that knows Node-API: the bridge (calls in, one completion queue out), the runtime that
//!   all environments of a process share, and one small exported class per provider.
//! * [`store`] defines what each table means: its SQL as named constants with the reasoning above them, and one short
//!   function per documented operation. It knows neither Node-API nor sockets.
//! * [`engine`] sends statements to PostgreSQL: connections, the pool, the key scheduler that keeps calls on one key in
//!   order, the pipelines that carry batches of statements, retries, errors. It knows no table.
//!
//! ## The way of a call
//!
//! 1. `lib/*.js` checks the arguments and calls a synchronous native method with the number of a slot that holds the
//!    promise's resolvers, and plain strings and numbers.
//! 2. `node::providers` hands it to the store with a [`engine::Reply`] that knows the slot, and what JSON to make of
//!    the output (`node::outputs`).
//! 3. `store` makes a [`engine::Request`]: which keys it touches, and the [`engine::Call`] that binds it to a statement
//!    and reads its output from the rows.
//! 4. The [`engine::Engine`] takes the calls of one moment together. Each waits for its turn on each key, then a
//!    pipeline takes it. An idle pipeline takes it at once; what arrives while the pipelines are busy shares statements
//!    in the next batch.
//! 5. The server answers, each call reads its output, and the replies push its JSON text on the environment's completion
//!    queue. Only the push that finds the queue empty wakes JavaScript, which settles what has come.
//!
//! With few calls in flight JavaScript's own thread does all of this (`engine::connection::mode`,
//! `node::poller`), and the
//! runtime's worker does only what has to wait. With many calls the worker does 4 and 5.

pub mod engine;
mod histogram;
#[cfg(test)]
mod models;
mod node;
mod primitives;
pub mod store;
mod sync;
mod time;
mod tuning;

/// Short strings are made on one thread and often freed on another. The system's allocator took a sixth of this
/// process's time with 256 calls in flight; with this one a call costs it 15 to 25 % less CPU (see
/// docs/internals/performance.md). The tests keep the system's, which valgrind can follow.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
