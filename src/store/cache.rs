//! The JSONB cache: the adapter's own table, and the tables of `PostgresCacheAdapter`.

use std::sync::Arc;

use super::call::{Found, KeyCall, PlainCall, any_row, nothing, one_row};
use super::cells::Cells;
use super::computing::{self, Observed, Seen, Version};
use super::conditional::{REPLACE, SET_IF_ABSENT, TOUCH};
use super::counter::{Increment, Sum};
use super::definition::{Definition, Durability};
use super::digested;
use super::entries::{self, Entry, Write, is_written};
use super::get_many;
use super::join::each;
use super::keys::{Key, MARKER, Prefix};
use super::marked_removal::MarkedRemoval;
use super::place::{Place, TableRef, ttl_arg};
use super::removal::{REMOVE, TAKE, taken, was_live};
use super::table::Table;
use super::template::{DELETE_BY_KEY, Template, one_or_many};
use super::value::Value;
use crate::engine::{AccessMode, Answer, Arg, Client, Engine, Error, Kind, Reply, Retry, Row};

static HAS: Template = one_or_many!(
    "SELECT key::text FROM {table} WHERE ",
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND (expires_at IS NULL OR expires_at > {now:expires_at})",
    &[Kind::Text],
);

/// The prefix is data: `starts_with` knows no wildcard. `$1` is the prefix. `$2` is its replacement before keys that
/// had to be digested in a narrow column. The pattern sees each key as the caller knows it.
///
/// `to_jsonb` is for tables whose values are TEXT: there the original of such a key cannot be found, and the key is
/// listed as it is stored.
static KEYS: Template = Template::of_one(
    r#"
SELECT tail, name, literal
  FROM (SELECT substr(key, length(CASE WHEN starts_with(key, $1) THEN $1 ELSE $2 END) + 1) AS tail, value
          FROM {table}
         WHERE (starts_with(key, $1) OR starts_with(key, $2)) AND (expires_at IS NULL OR expires_at > {now:expires_at})
       ) AS live
 CROSS JOIN LATERAL (
       SELECT CASE WHEN starts_with(tail, $4) THEN coalesce(to_jsonb(value)->>'key', tail) ELSE tail END AS name,
              CASE WHEN starts_with(tail, $4) THEN to_jsonb(value)->>'literal' END AS literal) AS named
 WHERE $3::text IS NULL OR name LIKE $3
 ORDER BY name COLLATE "C""#,
    &[Kind::Text, Kind::Text, Kind::Text, Kind::Text],
);

/// Deletes the rows that exist when it starts. Against batches that lock in key order it may deadlock. The server
/// then rolls one of the two back, and that one runs again. This costs less than sorting a table of any size.
static CLEAR: Template = Template::of_one(
    "DELETE FROM {table} WHERE starts_with(key, $1) OR starts_with(key, $2)",
    &[Kind::Text, Kind::Text],
);

static SIZE: Template = Template::of_one(
    r#"
SELECT count(*) FROM {table}
 WHERE (starts_with(key, $1) OR starts_with(key, $2)) AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    &[Kind::Text, Kind::Text],
);

/// As [`SWEEP`](super::entries::SWEEP), it leaves alone the marks of computations under way, and does not count them.
static PRUNE: Template = Template::of_one(
    r#"
WITH pruned AS (
  DELETE FROM {table}
   WHERE expires_at <= {start:expires_at} AND expires_at > '1500-01-01'
     AND (starts_with(key, $1) OR starts_with(key, $2)) RETURNING true
)
{answer}SELECT count(*) FROM pruned"#,
    &[Kind::Text, Kind::Text],
);

/// Whether the entry is about to expire, within `$2`: its value was stored for that much longer than it is fresh.
static LOOK: Template = Template::of_both(
    r#"
SELECT key::text, value::text, coalesce(expires_at <= {now:expires_at} + $2 * INTERVAL '1 millisecond', false)
  FROM {table} WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    r#"
SELECT key::text, value::text, coalesce(expires_at <= {now:expires_at} + $2 * INTERVAL '1 millisecond', false)
  FROM {table} WHERE key = ANY ($1) AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    &[Kind::Text, Kind::Float],
)
.sharing(1);

static ADAPTER_TABLE: Definition =
    Definition { documented: "go_goscope_cache", additions: &[], touched: "accessed_at" };

/// Under this name unless the application chooses another.
static OWN_TABLE: Definition = Definition { documented: "cache", additions: &[], touched: "accessed_at" };

pub struct Cache {
    pub(super) place: Arc<Place>,
    /// Whether `clear` takes everything in the table, other prefixes' entries included.
    clears_all: bool,
}

impl Cache {
    /// `PostgresAdapter`'s cache, which shares its table with every other prefix.
    pub fn of_adapter(engine: &Arc<Engine>, key_prefix: &str, create: bool, durability: Durability) -> Self {
        let table = Table::documented(&ADAPTER_TABLE, create, durability);
        let place = Place::new(engine, table, Prefix::new(key_prefix, "cache:"));
        Self { place, clears_all: key_prefix.is_empty() }
    }

    /// `PostgresCacheAdapter`'s table, by the parts of its name.
    pub fn of_table(
        engine: &Arc<Engine>,
        name: &[String],
        key_prefix: &str,
        create: bool,
        durability: Durability,
    ) -> Self {
        let table = Table::named(&OWN_TABLE, name, create, durability);
        let place = Place::new(engine, table, Prefix::new(key_prefix, ""));
        Self { place, clears_all: key_prefix.is_empty() }
    }

    /// The same table, on a connection of the application.
    pub fn within(&self, client: &Arc<Client>) -> Self {
        Self { place: self.place.within(client), clears_all: self.clears_all }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// None for a miss.
    pub fn get(&self, key: String, reply: Reply<Option<Value>>) {
        entries::get(&self.place, key, reply);
    }

    /// As [`get`](Self::get), with the end of the entry.
    pub fn get_entry(&self, key: String, reply: Reply<Option<Entry>>) {
        entries::get_with_expiry(&self.place, key, reply);
    }

    pub fn has(&self, key: String, reply: Reply<bool>) {
        let accesses = self.place.on_key(&key, AccessMode::Shared);
        let call = KeyCall::new(&self.place, &HAS, "key", key, [], any_row);
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// None for a miss. A value is stale if less than this is left of its time.
    pub fn look(&self, key: String, stale_ttl: f64, reply: Reply<Option<Seen>>) {
        let accesses = self.place.on_key(&key, AccessMode::Shared);
        let rest = [ttl_arg(Some(stale_ttl))];
        let call = KeyCall::new(&self.place, &LOOK, "key", key, rest, one_row(Seen::read));
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// Begins a computation. The version is the one that [`store_computed`](Self::store_computed) takes; none if
    /// there is a live entry.
    pub fn begin_computing(&self, key: String, reply: Reply<Option<Version>>) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let version = one_row(|_, row| Version::read(row, 1));
        let call = KeyCall::new(&self.place, &computing::BEGIN, "key", key, [], version);
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// None for a miss, as [`look`](Self::look).
    pub fn observe(&self, key: String, stale_ttl: f64, reply: Reply<Option<Observed>>) {
        let accesses = self.place.on_key(&key, AccessMode::Shared);
        let rest = [ttl_arg(Some(stale_ttl))];
        let call = KeyCall::new(&self.place, &computing::OBSERVE, "key", key, rest, one_row(Observed::read));
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// Whether the value was stored: it is, if nothing was written or deleted under the key since that version.
    pub fn store_computed(
        &self,
        key: String,
        value: String,
        ttl: Option<f64>,
        version: String,
        reply: Reply<bool>,
    ) {
        let args = [Arg::Text(None), Arg::text(value), ttl_arg(ttl), Arg::text(version)];
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let write = Write::new(&self.place, &computing::STORE, key, args, is_written);
        self.place.submit(accesses, write, Retry::Harmless, reply);
    }

    /// A computation that began with this version has failed.
    pub fn withdraw(&self, key: String, version: String, reply: Reply<()>) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let call = KeyCall::new(&self.place, &computing::WITHDRAW, "key", key, [Arg::text(version)], nothing);
        self.place.submit(accesses, call, Retry::Harmless, reply);
    }

    /// `ttl` in milliseconds; none for no expiry.
    pub fn set(&self, key: String, value: String, ttl: Option<f64>, reply: Reply<()>) {
        entries::set(&self.place, key, value, ttl, reply);
    }

    pub fn delete(&self, key: String, reply: Reply<()>) {
        self.remove(&DELETE_BY_KEY, key, nothing, reply);
    }

    /// The values in the order of their keys; none for a miss.
    pub fn get_many(&self, keys: Vec<String>, reply: Reply<Vec<Option<Value>>>) {
        get_many::get_many(&self.place, keys, reply);
    }

    /// Keys, values and TTLs of the entries. Each entry is written by itself: one that the server refuses does not
    /// undo the others.
    pub fn set_many(&self, entries: Vec<(String, String, Option<f64>)>, reply: Reply<()>) {
        each(entries, drop, reply, |(key, value, ttl), reply| self.set(key, value, ttl, reply));
    }

    /// Whether there was a live entry under each key; a repeated key deletes it once.
    pub fn delete_many(&self, keys: Vec<String>, reply: Reply<Vec<bool>>) {
        each(keys, |removed| removed, reply, |key, reply| self.remove(&REMOVE, key, was_live, reply));
    }

    /// The value of the entry, which is deleted; none for a miss.
    pub fn take(&self, key: String, reply: Reply<Option<Value>>) {
        self.remove(&TAKE, key, taken, reply);
    }

    /// A second run would find nothing, after the first has deleted the entry without an answer.
    fn remove<T: Send + 'static>(
        &self,
        statement: &'static Template,
        key: String,
        read: fn(Found<'_>) -> Result<Answer<T>, Error>,
        reply: Reply<T>,
    ) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        if self.place.is_within() {
            let call = KeyCall::new(&self.place, statement, "key", key.clone(), [], read);
            let call = MarkedRemoval::new(&self.place, key, call);
            return self.place.submit(accesses, call, Retry::Never, reply);
        }
        let call = KeyCall::new(&self.place, statement, "key", key, [], read);
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    /// The sum; none if the entry holds no number to add to. `by` is a JSON number.
    pub fn increment(&self, key: String, by: String, ttl: Option<f64>, reply: Reply<Option<Value>>) {
        self.add(key, by, ttl, reply);
    }

    /// As [`increment`](Self::increment), with the end of the entry.
    pub fn increment_entry(&self, key: String, by: String, ttl: Option<f64>, reply: Reply<Option<Entry>>) {
        self.add(key, by, ttl, reply);
    }

    fn add<S: Sum>(&self, key: String, by: String, ttl: Option<f64>, reply: Reply<Option<S>>) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        self.place.submit(accesses, Increment::new(&self.place, key, by, ttl), Retry::Never, reply);
    }

    /// Whether the value was stored in place of the expected one; none stands for an entry that is absent or expired.
    pub fn compare_and_set(
        &self,
        key: String,
        expected: Option<String>,
        value: String,
        ttl: Option<f64>,
        reply: Reply<bool>,
    ) {
        let (value, ttl) = (Arg::text(value), ttl_arg(ttl));
        match expected {
            None => self.write(&SET_IF_ABSENT, key, [Arg::Text(None), value, ttl], 1, is_written, reply),
            Some(expected) => {
                let args = [Arg::Text(None), Arg::text(expected), value, ttl];
                self.write(&REPLACE, key, args, 2, is_written, reply);
            }
        }
    }

    /// A write that must not run again when its outcome is unknown.
    fn write<T: Send + 'static, const N: usize>(
        &self,
        statement: &'static Template,
        key: String,
        args: [Arg; N],
        values: usize,
        output: fn(&Found<'_>) -> Result<T, Error>,
        reply: Reply<T>,
    ) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let write = Write::new(&self.place, statement, key, args, output).of_values(values);
        self.place.submit(accesses, write, Retry::Never, reply);
    }

    /// Whether there was a live entry, whose expiry was set. `ttl` in milliseconds; none for no expiry. Not to be run
    /// again when its outcome is unknown: another process may have set another expiry since.
    pub fn touch(&self, key: String, ttl: Option<f64>, reply: Reply<bool>) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let call = KeyCall::new(&self.place, &TOUCH, "key", key, [ttl_arg(ttl)], any_row);
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    /// The table's name, if the table exists and is logged.
    pub fn logged_table(&self) -> Option<String> {
        self.place.table.shape().logged_name()
    }

    /// `pattern` is SQL's LIKE on the key without its prefix.
    pub fn keys(&self, pattern: Option<String>, reply: Reply<Vec<Key>>) {
        let mut args = self.prefixes();
        args.extend([Arg::Text(pattern), Arg::text(MARKER)]);
        self.over_all(&KEYS, AccessMode::Scan, args, read_keys, Retry::Harmless, reply);
    }

    pub fn clear(&self, reply: Reply<()>) {
        let everything = || vec![Arg::text(""), Arg::text("")];
        let args = if self.clears_all { everything() } else { self.prefixes() };
        self.over_all(&CLEAR, AccessMode::Exclusive, args, |_| Ok(()), Retry::Never, reply);
    }

    /// How many live entries there are under this prefix.
    pub fn size(&self, reply: Reply<i64>) {
        self.over_all(&SIZE, AccessMode::Scan, self.prefixes(), read_count, Retry::Harmless, reply);
    }

    /// Removes the expired entries under this prefix and returns their number.
    pub fn prune(&self, reply: Reply<i64>) {
        self.over_all(&PRUNE, AccessMode::Exclusive, self.prefixes(), read_count, Retry::Never, reply);
    }

    fn over_all<T: Send + 'static>(
        &self,
        statement: &'static Template,
        mode: AccessMode,
        args: Vec<Arg>,
        read: fn(&[Row]) -> Result<T, Error>,
        retry: Retry,
        reply: Reply<T>,
    ) {
        let call = PlainCall { place: self.place.clone(), statement, args, read };
        self.place.submit(self.place.on_table(mode), call, retry, reply);
    }

    fn prefixes(&self) -> Vec<Arg> {
        vec![Arg::text(self.place.prefix.as_str()), Arg::text(self.place.prefix.spare())]
    }
}

fn read_count(rows: &[Row]) -> Result<i64, Error> {
    let row = rows.first().ok_or_else(|| Error::other("the entries were not counted"))?;
    row.cell(0)
}

fn read_keys(rows: &[Row]) -> Result<Vec<Key>, Error> {
    let key = |row: &Row| {
        let tail: &str = row.cell(0)?;
        let original = match row.cell::<Option<&str>>(1)? {
            Some(name) if tail.starts_with(MARKER) => digested::told_by(tail, name, row.cell(2)?),
            _ => None,
        };
        Ok(original.unwrap_or_else(|| Key::new(tail)))
    };
    rows.iter().map(key).collect()
}
