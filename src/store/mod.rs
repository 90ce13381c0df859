//! The operations on each table. Each file opens with its SQL, under the reasoning that makes it right among
//! concurrent writers; the functions follow, one for each documented operation.
//!
//! Rules that hold for all statements:
//!
//! * The server's clock alone decides what has expired. Where a statement may wait for a row, it reads the clock
//!   after the wait.
//! * Rows are locked in the order of their keys (`COLLATE "C"`, the same in every database), so that two processes
//!   whose batches overlap wait for each other in one direction only and cannot deadlock.
//! * Expired rows are removed as a by-product of writes. The sweep runs only after the statement has done its own
//!   work. It removes only rows that no transaction has locked (`SKIP LOCKED`), a bounded number, found through the
//!   index on `expires_at`. So the sweep never waits, and a statement that waits for a swept row waits for a
//!   statement that itself waits for nothing.

mod cache;
mod call;
mod cells;
mod checkpoints;
mod circuits;
mod citus;
mod computing;
mod conditional;
mod counter;
mod digested;
mod entries;
mod idempotency;
mod indexes;
mod inspection;
mod join;
mod keys;
mod locks;
mod owner;
mod relation;
mod schema;
mod source;
mod subscription;
mod table;
mod template;
mod value;

use std::sync::Arc;

pub use cache::Cache;
pub use checkpoints::{Checkpoints, GivenCheckpoint, SavedCheckpoint};
pub use circuits::{Circuit, CircuitState, Circuits};
pub use computing::{Observed, Seen, Version};
pub use entries::Entry;
pub use idempotency::{Idempotency, Remembered};
pub use inspection::{Inspection, Report};
pub use keys::Key;
pub use locks::{Grant, Holder, Locks, Token, WaitEnd, Wanted};
pub use subscription::CircuitSubscription;

use crate::engine::{Access, AccessMode, Accesses, Arg, Call, Engine, Reply, Request, Retry};
use keys::Prefix;
pub use table::Durability;
use table::{Connect, Table};
pub use value::Value;

/// The longest possible TTL, in milliseconds: a lease that ends later than this from now would not fit a JavaScript
/// `Date`, in which the pg-based adapter reads it. About 272,000 years.
const LONGEST_TTL_MS: f64 = 8.6e15;

/// Makes the missing parts of these providers' tables.
pub fn connect(engine: &Arc<Engine>, tables: Vec<TableRef>, reply: Reply<()>) {
    let tables = tables.into_iter().map(|table| table.0).collect();
    engine.submit(Request::preparation(Arc::new(Connect(tables)), reply));
}

/// A provider's table, to hand to [`connect`].
pub struct TableRef(Arc<Table>);

/// An adapter's part of a table, and the engine to its server.
struct Place {
    engine: Arc<Engine>,
    table: Arc<Table>,
    prefix: Prefix,
}

impl Place {
    fn new(engine: &Arc<Engine>, table: Arc<Table>, prefix: Prefix) -> Arc<Self> {
        Arc::new(Self { engine: engine.clone(), table, prefix })
    }

    fn submit<C: Call>(&self, accesses: Accesses, call: C, retry: Retry, reply: Reply<C::Output>) {
        self.engine.submit(self.request(accesses, call, retry, reply));
    }

    fn request<C: Call>(
        &self,
        accesses: Accesses,
        call: C,
        retry: Retry,
        reply: Reply<C::Output>,
    ) -> Request {
        Request::new(accesses, self.table.clone(), call, retry, reply)
    }

    /// The accesses of a call on one key.
    fn on_key(&self, key: &str, mode: AccessMode) -> Accesses {
        Accesses::new(&[self.table.access(AccessMode::Intent), self.key_access("key", key, mode)])
    }

    /// The accesses of a call on many keys.
    fn on_table(&self, mode: AccessMode) -> Accesses {
        Accesses::new(&[self.table.access(mode)])
    }

    /// The access of a call to one key. `space` keeps ids and task ids apart.
    fn key_access(&self, space: &str, key: &str, mode: AccessMode) -> Access {
        self.table.access_on(space, self.prefix.as_str(), key, mode)
    }
}

/// A TTL in the form that the statements take.
fn ttl_arg(ttl: Option<f64>) -> Arg {
    Arg::Float(ttl.map(|ttl| ttl.min(LONGEST_TTL_MS)))
}
