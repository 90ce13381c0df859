//! Results remembered under an idempotency key.

use std::sync::Arc;

use super::call::{KeyCall, PlainCall, one_row};
use super::cells::Cells;
use super::definition::{Definition, Durability};
use super::entries::{self, Entry, SWEEP, Write, is_written};
use super::keys::Prefix;
use super::place::{Place, TableRef, ttl_arg};
use super::relation::Addition;
use super::table::Table;
use super::template::{Template, one_or_many};
use super::value::Value;
use crate::engine::{AccessMode, Arg, Client, Engine, Error, Kind, Reply, Retry, Row};
use crate::time::millis;

static RECALL: Template = one_or_many!(
    r#"
SELECT key::text, value::text, {with fingerprint}fingerprint::text{end}{without fingerprint}NULL::text{end} FROM {table}
 WHERE "#,
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND (expires_at IS NULL OR expires_at > {now:expires_at})",
    &[Kind::Text],
);

/// As [`RECALL`], by the process that has the claim and is about to do the work. `FOR KEY SHARE` makes it a statement
/// that no proxy sends to a replica. If a replica is behind, the work would be done a second time. It waits only for
/// a delete.
static RECALL_CURRENT: Template = Template::of_one(
    r#"
SELECT key::text, value::text, {with fingerprint}fingerprint::text{end}{without fingerprint}NULL::text{end} FROM {table}
 WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at}) FOR KEY SHARE"#,
    &[Kind::Text],
);

/// Stores a result if there is none, or only one that has expired; see [`super::conditional::SET_IF_ABSENT`]. A
/// process that has lost the claim while it worked may come second. The first result stays, so that all callers get
/// the same one.
static REMEMBER: Template = one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched}{created}{with fingerprint}, fingerprint{end})"#,
    one: r#"
VALUES ($1, $2::jsonb, {start:expires_at} + $3 * INTERVAL '1 millisecond', {now:touched}{created_now}{with fingerprint}, $4{end})"#,
    many: r#"
SELECT key, value::jsonb, {start:expires_at} + ttl * INTERVAL '1 millisecond',
       {now:touched}{created_now}{with fingerprint}, fingerprint{end}
  FROM unnest($1, $2, $3, $4) AS call (key, value, ttl, fingerprint) ORDER BY key COLLATE "C""#,
    r#"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {counted_anew:expires_at},
      {touched} = {noting now:touched}{with fingerprint}, fingerprint = excluded.fingerprint{end}
  WHERE entry.expires_at <= {now:expires_at}
RETURNING entry.key::text,
          {stale_expiry}"#,
    &[Kind::Text, Kind::Text, Kind::Float, Kind::Text],
)
.sweeping(SWEEP);

/// When the transaction has begun, which tells it from every other one of its session. It names the table, so that it
/// fails in a database that has none.
static TRANSACTION: Template = Template::of_one(
    "SELECT extract(epoch FROM transaction_timestamp())::text FROM (SELECT count(*) FROM {table} WHERE false) AS known",
    &[],
);

static DEFINITION: Definition = Definition {
    documented: "go_goscope_idempotency",
    additions: &[Addition { columns: &[FINGERPRINT], ..Addition::named(FINGERPRINT) }],
    touched: "updated_at",
};

/// What the table may have beyond the documented schema: the fingerprint of the request that gave a result.
const FINGERPRINT: &str = "fingerprint";

/// A result under its key.
pub struct Remembered {
    pub value: Value,
    /// Of the request that gave the result, if one was stored with it.
    pub fingerprint: Option<String>,
}

pub struct Idempotency {
    place: Arc<Place>,
}

impl Idempotency {
    pub fn new(engine: &Arc<Engine>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, create, Durability::Full);
        Self { place: Place::new(engine, table, Prefix::new(key_prefix, "")) }
    }

    /// The same table, on a connection of the application.
    pub fn within(&self, client: &Arc<Client>) -> Self {
        Self { place: self.place.within(client) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    pub fn get(&self, key: String, reply: Reply<Option<Entry>>) {
        entries::get_with_expiry(&self.place, key, reply);
    }

    /// `ttl` in milliseconds; none for no expiry.
    pub fn set(&self, key: String, value: String, ttl: Option<f64>, reply: Reply<()>) {
        entries::set(&self.place, key, value, ttl, reply);
    }

    pub fn delete(&self, key: String, reply: Reply<()>) {
        entries::delete(&self.place, key, reply);
    }

    /// `before_work`: the caller has the claim, and does the work if there is no result.
    pub fn recall(&self, key: String, before_work: bool, reply: Reply<Option<Remembered>>) {
        let accesses = self.place.on_key(&key, AccessMode::Shared);
        let statement = if before_work { &RECALL_CURRENT } else { &RECALL };
        let read =
            one_row(|found, row| Ok(Remembered { value: found.value(row, 1)?, fingerprint: row.cell(2)? }));
        let call = KeyCall::new(&self.place, statement, "key", key, [], read);
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// Whether the result was stored; it was not if another result came first. A run whose outcome is unknown may be
    /// repeated: the second run finds the result that the first has stored, and leaves it alone.
    ///
    /// Retries transient failures within `retry_time`, in milliseconds: the work behind this result is done, and would
    /// be done again if the result were lost.
    pub fn remember(
        &self,
        key: String,
        value: String,
        ttl: Option<f64>,
        fingerprint: Option<String>,
        retry_time: f64,
        reply: Reply<bool>,
    ) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let args = [Arg::Text(None), Arg::text(value), ttl_arg(ttl), Arg::Text(fingerprint)];
        let write = Write::new(&self.place, &REMEMBER, key, args, is_written);
        let request = self.place.request(accesses, write, Retry::Harmless, reply);
        self.place.submit_request(request.retrying_for(millis(retry_time)));
    }

    /// The transaction that is open on a connection of the application.
    pub fn transaction(&self, reply: Reply<String>) {
        let read = |rows: &[Row]| {
            let row = rows.first().ok_or_else(|| Error::other("the transaction was not found"))?;
            row.cell(0)
        };
        let call = PlainCall { place: self.place.clone(), statement: &TRANSACTION, args: Vec::new(), read };
        self.place.submit(self.place.on_table(AccessMode::Scan), call, Retry::Harmless, reply);
    }

    /// Whether the table has a column for fingerprints, as far as is known: the first call has read the catalogue.
    pub fn keeps_fingerprints(&self) -> bool {
        self.place.table.shape().has(FINGERPRINT)
    }
}
