//! An adapter's part of a table.

use std::sync::Arc;

use super::keys::Prefix;
use super::table::{Connect, Table};
use crate::engine::{
    Access, AccessMode, Accesses, Arg, Call, Client, Engine, ItemsCall, Reply, Request, Retry,
};

/// The longest possible TTL, in milliseconds: a lease that ends later than this from now would not fit a JavaScript
/// `Date`, in which the pg-based adapter reads it. About 272,000 years.
const LONGEST_TTL_MS: f64 = 8.6e15;

/// Makes the missing parts of these providers' tables.
pub fn connect(engine: &Arc<Engine>, tables: Vec<TableRef>, reply: Reply<()>) {
    let tables = tables.into_iter().map(|table| table.0).collect();
    engine.submit(Request::preparation(Arc::new(Connect(tables)), reply));
}

/// A provider's table, to hand to [`connect`].
pub struct TableRef(pub(super) Arc<Table>);

/// An adapter's part of a table, and what carries its calls there.
pub(super) struct Place {
    pub(super) engine: Arc<Engine>,
    pub(super) table: Arc<Table>,
    pub(super) prefix: Prefix,
    /// A connection of the application that carries the calls instead of the engine.
    client: Option<Arc<Client>>,
}

impl Place {
    pub(super) fn new(engine: &Arc<Engine>, table: Arc<Table>, prefix: Prefix) -> Arc<Self> {
        Arc::new(Self { engine: engine.clone(), table, prefix, client: None })
    }

    /// The same part of the table, on a connection of the application.
    pub(super) fn within(&self, client: &Arc<Client>) -> Arc<Self> {
        let Self { engine, table, prefix, .. } = self;
        let (engine, table, prefix) = (engine.clone(), table.clone(), prefix.clone());
        Arc::new(Self { engine, table, prefix, client: Some(client.clone()) })
    }

    /// Whether an application's transaction may be open, where the calls go.
    pub(super) fn is_within(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn submit<C: Call>(&self, accesses: Accesses, call: C, retry: Retry, reply: Reply<C::Output>) {
        self.submit_request(self.request(accesses, call, retry, reply));
    }

    pub(super) fn submit_request(&self, request: Request) {
        match &self.client {
            Some(client) => client.submit(request),
            None => self.engine.submit(request),
        }
    }

    pub(super) fn request<C: Call>(
        &self,
        accesses: Accesses,
        call: C,
        retry: Retry,
        reply: Reply<C::Output>,
    ) -> Request {
        Request::new(accesses, self.table.clone(), call, retry, reply)
    }

    /// The accesses of a call on one key.
    pub(super) fn on_key(&self, key: &str, mode: AccessMode) -> Accesses {
        Accesses::new(&[self.table.access(AccessMode::Intent), self.key_access("key", key, mode)])
    }

    pub(super) fn submit_items<C: ItemsCall>(&self, accesses: Accesses, call: C, reply: Reply<C::Output>) {
        self.submit_request(Request::of_items(accesses, self.table.clone(), call, reply));
    }

    /// The accesses of a read of several keys, its items.
    pub(super) fn on_each(&self, keys: &[String]) -> Accesses {
        let on_key = |key: &String| self.key_access("key", key, AccessMode::Shared);
        Accesses::of_items(self.table.access(AccessMode::Intent), keys.iter().map(on_key).collect())
    }

    /// The accesses of a call on a whole table.
    pub(super) fn on_table(&self, mode: AccessMode) -> Accesses {
        Accesses::new(&[self.table.access(mode)])
    }

    /// The access of a call to one key. `space` keeps ids and task ids apart.
    pub(super) fn key_access(&self, space: &str, key: &str, mode: AccessMode) -> Access {
        self.table.access_on(space, self.prefix.as_str(), key, mode)
    }
}

/// A TTL in the form that the statements take.
pub(super) fn ttl_arg(ttl: Option<f64>) -> Arg {
    Arg::Float(ttl.map(|ttl| ttl.min(LONGEST_TTL_MS)))
}
