//! The table of locks, and what all operations on it share.

use std::sync::Arc;

use super::leases::Leases;
use super::permit_key::{namespace, permit_key, semaphore_of};
use crate::engine::{
    AccessMode, Accesses, Answer, Arg, Client, Engine, Error, Prepare, Reply, Request, Retry, Subscription,
};
use crate::store::call::{Found, KeyCall};
use crate::store::definition::{Definition, Durability};
use crate::store::keys::Prefix;
use crate::store::place::{Place, TableRef};
use crate::store::relation::Addition;
use crate::store::table::Table;
use crate::store::template::{OLD_MARK, Template};

static DEFINITION: Definition = Definition {
    documented: "go_goscope_locks",
    additions: &[
        Addition {
            columns: &["fencing_token", "fencing_owner"],
            drawn: Some("fencing_token"),
            ..Addition::named(FENCING)
        },
        Addition { columns: &["acquisition"], ..Addition::named(ACQUISITION) },
        Addition { functions: &["go_goscope_check_fencing_token"], ..Addition::named("fencing check") },
        Addition {
            columns: &["has_waiters"],
            triggers: &["go_goscope_lock_released"],
            functions: &["go_goscope_notify"],
            ..Addition::named(WAKING)
        },
        // Made by versions before the column `has_waiters`; see `sql/source/additions.sql`.
        Addition {
            columns: &["awaited"],
            triggers: &["go_goscope_released"],
            functions: &["go_goscope_notify"],
            replaced_by: Some(WAKING),
            ..Addition::named(OLD_MARK)
        },
    ],
    touched: "",
};

/// What the table may have beyond the documented schema: tokens, the ids of calls that do not re-enter, and notifications for
/// waiters.
const FENCING: &str = "fencing";
const ACQUISITION: &str = "acquisition";
const WAKING: &str = "waking";

#[derive(Clone)]
pub struct Locks {
    pub(super) place: Arc<Place>,
    pub(super) leases: Arc<Leases>,
    /// Whether its keys are those of permits.
    pub(super) is_of_permits: bool,
}

impl Locks {
    /// `namespace` stands between prefix and key; the application's own locks have `lock:`.
    pub fn new(engine: &Arc<Engine>, key_prefix: &str, namespace: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, create, Durability::Full);
        let place = Place::new(engine, table, Prefix::new(key_prefix, namespace));
        Self { place, leases: Arc::default(), is_of_permits: false }
    }

    /// The permits of semaphores, in the table of these locks. `key_prefix` is the locks'.
    pub fn permits(&self, key_prefix: &str) -> Self {
        let prefix = Prefix::new(key_prefix, &namespace());
        let place = Place::new(&self.place.engine, self.place.table.clone(), prefix);
        Self { place, leases: Arc::default(), is_of_permits: true }
    }

    /// The same table, on a connection of the application. No lock can be taken there: other processes would see it only
    /// after the commit.
    pub fn within(&self, client: &Arc<Client>) -> Self {
        Self { place: self.place.within(client), leases: Arc::default(), is_of_permits: self.is_of_permits }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// Whether the table is known to have no column for the ids of calls that do not re-enter.
    pub fn lacks_acquisitions(&self) -> bool {
        let table = &self.place.table;
        table.is_prepared() && !table.shape().has(ACQUISITION)
    }

    /// The remaining time of the lease that [`lock`](Self::lock) took under this number, in milliseconds.
    pub fn left(&self, number: u32) -> Option<f64> {
        self.leases.left(number)
    }

    pub fn forget(&self, number: u32) {
        self.leases.forget(number);
    }

    pub fn forget_all(&self) {
        self.leases.forget_all();
    }

    /// Subscribes to notifications about a lock; none if the table sends none.
    pub(super) fn listen(&self, key: &str) -> Option<Subscription> {
        self.listen_to([key])
    }

    /// As [`listen`](Self::listen), to several keys.
    pub(super) fn listen_to<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Option<Subscription> {
        let shape = self.place.table.shape();
        if !shape.has(WAKING) {
            return None;
        }
        let max_chars = shape.max_chars("key");
        let topic = |key: K| shape.topic(&self.place.prefix.stored(key.as_ref(), max_chars).text);
        Some(self.place.engine.listen(keys.into_iter().map(topic).collect()))
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.place.engine
    }

    pub(super) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The name of a lock among all locks that callers wait for on this engine.
    /// Those who wait for permits are in line with others that say the same number.
    pub(super) fn name_in_line(&self, key: &str, permits: Option<u32>) -> String {
        let prefix = self.place.prefix.as_str();
        permits
            .map_or_else(|| format!("{prefix}{key}"), |number| format!("{prefix}{}", permit_key(number, key)))
    }

    /// Calls on different permits of a semaphore do not wait for each other, and a call on all of them waits for each.
    pub(super) fn accesses(&self, key: &str, mode: AccessMode) -> Accesses {
        if !self.is_of_permits {
            return self.place.on_key(key, mode);
        }
        Accesses::new(&[
            self.place.table.access(AccessMode::Intent),
            self.place.key_access("semaphore", semaphore_of(key), AccessMode::Intent),
            self.place.key_access("key", key, mode),
        ])
    }

    /// A request that may run again when its outcome is unknown: the owner makes a second run harmless.
    pub(super) fn request<T: Send + 'static, const N: usize>(
        &self,
        statement: &'static Template,
        mode: AccessMode,
        key: String,
        rest: [Arg; N],
        read: impl FnMut(Found<'_>) -> Result<Answer<T>, Error> + Send + 'static,
        reply: Reply<T>,
    ) -> Request {
        let accesses = self.accesses(&key, mode);
        let call = KeyCall::new(&self.place, statement, "key", key, rest, read);
        self.place.request(accesses, call, Retry::Harmless, reply)
    }
}
