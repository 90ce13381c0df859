//! What the caches and the idempotency table have in common: values under keys, for a time.

use std::sync::Arc;

use super::call::{Found, KeyCall, nothing, one_row};
use super::cells::Cells;
use super::digested::with_key;
use super::place::{Place, ttl_arg};
use super::template::{DELETE_BY_KEY, Template, one_or_many};
use super::value::Value;
use crate::engine::{AccessMode, Answer, Arg, Call, Error, Kind, Reply, Retry, Row, Statement};

/// The row of an entry that is written with an expiry: the key, the value and the TTL of one call.
macro_rules! entry {
    () => {
        "\nVALUES ($1, $2::jsonb, {start:expires_at} + $3 * INTERVAL '1 millisecond', {now:touched}{created_now})"
    };
}
pub(super) use entry;

/// As [`entry`], the rows of many calls.
macro_rules! entries {
    () => {
        r#"
SELECT key, value::jsonb, {start:expires_at} + ttl * INTERVAL '1 millisecond', {now:touched}{created_now}
  FROM unnest($1, $2, $3) AS call (key, value, ttl) ORDER BY key COLLATE "C""#
    };
}
pub(super) use entries;

/// The expiry of the row of this name (`entry.`, or nothing), in milliseconds since the epoch. `date_part` computes in
/// float8, which holds it to the microsecond; `extract` is numeric and took 0.4 µs more.
macro_rules! expiry {
    ($row:expr) => {
        concat!("round(date_part('epoch', ", $row, "expires_at) * 1000) AS expires_at")
    };
}
pub(super) use expiry;

/// The value alone: reading its expiry as well costs the server as much as finding it.
pub(super) static GET: Template = one_or_many!(
    r#"
SELECT key::text, value::text FROM {table}
 WHERE "#,
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND (expires_at IS NULL OR expires_at > {now:expires_at})",
    &[Kind::Text],
);

pub(super) static GET_WITH_EXPIRY: Template = one_or_many!(
    concat!("\nSELECT key::text, value::text, ", expiry!(""), " FROM {table}\n WHERE "),
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND (expires_at IS NULL OR expires_at > {now:expires_at})",
    &[Kind::Text],
);

/// Last writer wins. After its own work, the statement also removes expired entries of other keys.
///
/// The expiry of an entry that exists already is computed after the wait for its row: `excluded` carries the TTL as
/// its distance from the statement's start, NULL for none. The expiry of an inserted entry counts from the
/// statement's start, which may be out of date after a wait for another inserter that then rolls back. The rows of
/// such entries name the transaction that wrote them, for [`RENEW`]. A fingerprint belongs to the value that was
/// there before, and is removed.
pub(super) static SET: Template = one_or_many!(
    r#"
INSERT INTO {table} (key, value, expires_at, {touched}{created})"#,
    one: entry!(),
    many: entries!(),
    r#"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {counted_anew:expires_at},
      {touched} = {noting now:touched}{with fingerprint}, fingerprint = NULL{end}
RETURNING key::text,
          {stale_expiry}{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(SWEEP);

/// Removes a bounded number of expired entries that the statement has not written. It ends where the marks of computations under
/// way begin (see [`super::computing`]). No other row is as old as these, so the index is not read beyond that.
pub(super) const SWEEP: &str = r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND expires_at > '1500-01-01' AND key <> ALL ($1)
   ORDER BY expires_at LIMIT (SELECT {most_swept} + 2 * count(*) FROM written)
   FOR UPDATE SKIP LOCKED))"#;

macro_rules! renew {
    ($returning:expr) => {
        Template::of_many(
            concat!(
                r#"
UPDATE {table} AS entry SET expires_at = {now:expires_at} + call.ttl * INTERVAL '1 millisecond'
  FROM unnest($1, $2, $3) AS call (key, written_by, ttl)
 WHERE entry.key = call.key
   AND call.written_by IN (entry.xmin::text, pg_current_xact_id_if_assigned()::xid::text)"#,
                $returning
            ),
            &[Kind::Text, Kind::Text, Kind::Float],
        )
    };
}

/// Sets the expiry of entries again, if they are still as this call wrote them: `xmin` is the writing transaction. If that
/// is the present one, a transaction of the application is open, in which no other session can have changed them. There
/// `xmin` may be a subtransaction, of which [`{writer}`](super::template) of a partitioned table does not know.
pub(super) static RENEW: Template = renew!("");

/// As [`RENEW`], for calls that return the expiry.
pub(super) static RENEW_AND_READ: Template =
    renew!(concat!("\nRETURNING entry.key::text, ", expiry!("entry.")));

/// A value, and when it expires.
pub struct Entry {
    pub value: Value,
    /// In milliseconds since the epoch. May be infinite, though no caller of ours can have written that.
    pub expires_at: Option<f64>,
}

/// The value; none for a miss. A stored null is a value.
pub(super) fn get(place: &Arc<Place>, key: String, reply: Reply<Option<Value>>) {
    read(place, &GET, key, |found, row| found.value(row, 1), reply);
}

/// None for a miss.
pub(super) fn get_with_expiry(place: &Arc<Place>, key: String, reply: Reply<Option<Entry>>) {
    let entry =
        |found: &Found<'_>, row: &Row| Ok(Entry { value: found.value(row, 1)?, expires_at: row.cell(2)? });
    read(place, &GET_WITH_EXPIRY, key, entry, reply);
}

fn read<T: Send + 'static>(
    place: &Arc<Place>,
    statement: &'static Template,
    key: String,
    read: fn(&Found<'_>, &Row) -> Result<T, Error>,
    reply: Reply<Option<T>>,
) {
    let accesses = place.on_key(&key, AccessMode::Shared);
    let call = KeyCall::new(place, statement, "key", key, [], one_row(read));
    place.submit(accesses, call, Retry::Harmless, reply);
}

/// `value` is JSON text, `ttl` in milliseconds; none for no expiry.
pub(super) fn set(place: &Arc<Place>, key: String, value: String, ttl: Option<f64>, reply: Reply<()>) {
    let accesses = place.on_key(&key, AccessMode::Exclusive);
    let args = [Arg::Text(None), Arg::text(value), ttl_arg(ttl)];
    let write = Write::new(place, &SET, key, args, |_| Ok(()));
    place.submit(accesses, write, Retry::Never, reply);
}

/// A call that writes a value under a key, perhaps with an expiry that has to be renewed.
///
/// Its arguments are the key, one or more values as JSON text, the TTL, and any others. Its rows have the key, and
/// the transaction that wrote the entry, if the expiry is stale.
pub(super) struct Write<T, const N: usize> {
    place: Arc<Place>,
    statement: &'static Template,
    statement_for_digests: &'static Template,
    key: String,
    is_digest: bool,
    /// How many arguments are values; they follow the key.
    values: usize,
    args: [Arg; N],
    output: fn(&Found<'_>) -> Result<T, Error>,
    renewing: Renewing<T>,
    renewal: Option<Renewal<T>>,
}

/// How an expiry is renewed, and what the output takes from the row of that.
struct Renewing<T> {
    statement: &'static Template,
    correct: fn(&mut T, &Row) -> Result<(), Error>,
}

/// The entry is written, with a stale expiry.
struct Renewal<T> {
    args: [Arg; 3],
    output: T,
}

impl<T, const N: usize> Write<T, N> {
    pub(super) fn new(
        place: &Arc<Place>,
        statement: &'static Template,
        key: String,
        args: [Arg; N],
        output: fn(&Found<'_>) -> Result<T, Error>,
    ) -> Self {
        Self {
            place: place.clone(),
            statement,
            statement_for_digests: statement,
            key,
            is_digest: false,
            values: 1,
            args,
            output,
            renewing: Renewing { statement: &RENEW, correct: |_, _| Ok(()) },
            renewal: None,
        }
    }

    /// With another statement for keys that are stored as a digest: it looks into the value.
    pub(super) fn for_digests(self, statement_for_digests: &'static Template) -> Self {
        Self { statement_for_digests, ..self }
    }

    /// For an output with the expiry, which a renewal changes: `correct` gets a row of [`RENEW_AND_READ`].
    pub(super) fn reading_renewals(self, correct: fn(&mut T, &Row) -> Result<(), Error>) -> Self {
        Self { renewing: Renewing { statement: &RENEW_AND_READ, correct }, ..self }
    }

    pub(super) fn is_on_key_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.place, &other.place) && self.key == other.key
    }

    /// The arguments as the call was given them: before the statement is chosen.
    pub(super) fn given(&mut self) -> &mut [Arg; N] {
        &mut self.args
    }

    /// With so many values among its arguments.
    pub(super) fn of_values(self, values: usize) -> Self {
        Self { values, ..self }
    }
}

impl<T: Send + 'static, const N: usize> Call for Write<T, N> {
    type Output = T;

    fn bind(&mut self) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let stored = self.place.prefix.stored(&self.key, shape.max_chars("key"));
        if let Some(renewal) = &mut self.renewal {
            renewal.args[0] = Arg::text(stored.text);
            return shape.statement(self.renewing.statement);
        }
        self.args[0] = Arg::text(stored.text);
        // Once: a call may run again.
        if stored.is_digest && !std::mem::replace(&mut self.is_digest, true) {
            for value in &mut self.args[1..=self.values] {
                if let Arg::Text(Some(json)) = value {
                    *value = Arg::text(with_key(&self.key, json));
                }
            }
        }
        shape.statement(if self.is_digest { self.statement_for_digests } else { self.statement })
    }

    fn args(&self) -> &[Arg] {
        match &self.renewal {
            Some(renewal) => &renewal.args,
            None => &self.args,
        }
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<T>, Error> {
        if let Some(mut renewal) = self.renewal.take() {
            // No row if another caller has written or deleted the entry since: the output is about the entry before that.
            if let Some(row) = rows.first() {
                self.place.name_row((self.renewing.correct)(&mut renewal.output, row))?;
            }
            return Ok(Answer::Done(renewal.output));
        }
        let output = (self.output)(&Found { place: &self.place, rows, is_digest: self.is_digest });
        let output = self.place.name_row(output)?;
        match rows.first().map(|row| row.cell::<Option<&str>>(1)).transpose()?.flatten() {
            Some(written_by) => {
                let args = [Arg::Text(None), Arg::text(written_by), self.args[self.values + 1].clone()];
                self.renewal = Some(Renewal { args, output });
                Ok(Answer::Again)
            }
            None => Ok(Answer::Done(output)),
        }
    }
}

/// Whether a conditional write has written.
pub(super) fn is_written(found: &Found<'_>) -> Result<bool, Error> {
    Ok(!found.rows.is_empty())
}

pub(super) fn delete(place: &Arc<Place>, key: String, reply: Reply<()>) {
    let accesses = place.on_key(&key, AccessMode::Exclusive);
    place.submit(accesses, KeyCall::new(place, &DELETE_BY_KEY, "key", key, [], nothing), Retry::Never, reply);
}
