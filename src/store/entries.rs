//! What the caches and the idempotency table have in common: values under keys, for a time.

use std::sync::Arc;

use tokio_postgres::Row;

use super::call::{Found, KeyCall, nothing};
use super::cells::Cells;
use super::json::{Object, time, with_key};
use super::template::{DELETE_BY_KEY, Template, one_or_many};
use super::{Place, ttl_arg};
use crate::engine::{AccessMode, Answer, Arg, Call, Error, Kind, Reply, Retry, Statement};

/// The row of an entry that is written with an expiry: the key, the value and the TTL of one call.
macro_rules! entry {
    () => {
        "\nVALUES ($1, $2::jsonb, {start:expires_at} + $3 * INTERVAL '1 millisecond', {now:touched})"
    };
}
pub(super) use entry;

/// As [`entry`], the rows of many calls.
macro_rules! entries {
    () => {
        r#"
SELECT key, value::jsonb, {start:expires_at} + ttl * INTERVAL '1 millisecond', {now:touched}
  FROM unnest($1, $2, $3) AS call (key, value, ttl) ORDER BY key COLLATE "C""#
    };
}
pub(super) use entries;

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
    r#"
SELECT key::text, value::text, round(extract(epoch FROM expires_at) * 1000)::float8 AS expires_at FROM {table}
 WHERE "#,
    one: "key = $1",
    many: "key = ANY ($1)",
    " AND (expires_at IS NULL OR expires_at > {now:expires_at})",
    &[Kind::Text],
);

/// Last writer wins. After its own work, the statement also removes a few expired entries of other keys.
///
/// The expiry of an entry that exists already is computed after the wait for its row: `excluded` carries the TTL as
/// its distance from the statement's start, NULL for none. The expiry of an inserted entry counts from the
/// statement's start, which may be out of date after a wait for another inserter that then rolls back. The rows of
/// such entries name the transaction that wrote them, for [`RENEW`]. A fingerprint belongs to the value that was
/// there before, and is removed.
pub(super) static SET: Template = one_or_many!(
    r#"
INSERT INTO {table} (key, value, expires_at, {touched})"#,
    one: entry!(),
    many: entries!(),
    r#"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {now:expires_at} + (excluded.expires_at - {start:expires_at}),
      {touched} = {noting now:touched}{with fingerprint}, fingerprint = NULL{end}
RETURNING key::text,
          {stale_expiry}{relaxed}"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(SWEEP);

/// Removes a few expired entries that the statement has not written. It ends where the marks of computations under
/// way begin (see [`super::computing`]). No other row is as old as these, so the index is not read beyond that.
pub(super) const SWEEP: &str = r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND expires_at > '1500-01-01' AND key <> ALL ($1)
   ORDER BY expires_at LIMIT (SELECT 64 + 2 * count(*) FROM written)
   FOR UPDATE SKIP LOCKED))"#;

/// Sets the expiry of entries again, if they are still as this call wrote them: `xmin` is the writing transaction.
pub(super) static RENEW: Template = Template::of_many(
    r#"
UPDATE {table} AS entry SET expires_at = {now:expires_at} + call.ttl * INTERVAL '1 millisecond'
  FROM unnest($1, $2, $3) AS call (key, written_by, ttl)
 WHERE entry.key = call.key AND entry.xmin::text = call.written_by"#,
    &[Kind::Text, Kind::Text, Kind::Float],
);

/// The value, or nothing for a miss: a stored null is none.
pub(super) fn get(place: &Arc<Place>, key: String, reply: Reply) {
    read(place, &GET, key, |value, _| Ok(value.to_owned()), reply);
}

/// The entry as `{ value, expiresAt? }`, or nothing for a miss.
pub(super) fn get_with_expiry(place: &Arc<Place>, key: String, reply: Reply) {
    let object = |value: &str, row: &Row| {
        Ok(Object::new().raw("value", value).optional("expiresAt", time(row.cell(2)?)).end())
    };
    read(place, &GET_WITH_EXPIRY, key, object, reply);
}

fn read(
    place: &Arc<Place>,
    statement: &'static Template,
    key: String,
    json: fn(&str, &Row) -> Result<String, Error>,
    reply: Reply,
) {
    let accesses = place.on_key(&key, AccessMode::Shared);
    let read = move |found: Found<'_>| {
        let Some(row) = found.rows.first() else { return Ok(Answer::Done(String::new())) };
        Ok(Answer::Done(json(found.value(row, 1)?, row)?))
    };
    place.submit(accesses, KeyCall::new(place, statement, "key", key, [], read), Retry::Harmless, reply);
}

/// `value` is JSON text, `ttl` in milliseconds; none for no expiry.
pub(super) fn set(place: &Arc<Place>, key: String, value: String, ttl: Option<f64>, reply: Reply) {
    let accesses = place.on_key(&key, AccessMode::Exclusive);
    let args = [Arg::Text(None), Arg::text(value), ttl_arg(ttl)];
    let write = Write::new(place, &SET, key, args, |_| Ok("null".into()));
    place.submit(accesses, write, Retry::Never, reply);
}

/// A call that writes a value under a key, perhaps with an expiry that has to be renewed.
///
/// Its arguments are the key, one or more values as JSON text, the TTL, and any others. Its rows have the key, and
/// the transaction that wrote the entry, if the expiry is stale.
pub(super) struct Write<const N: usize> {
    place: Arc<Place>,
    statement: &'static Template,
    key: String,
    is_digest: bool,
    /// How many arguments are values; they follow the key.
    values: usize,
    args: [Arg; N],
    outcome: fn(Found<'_>) -> Result<String, Error>,
    renewal: Option<Renewal>,
}

/// The entry is written, with a stale expiry.
struct Renewal {
    args: [Arg; 3],
    outcome: String,
}

impl<const N: usize> Write<N> {
    pub(super) fn new(
        place: &Arc<Place>,
        statement: &'static Template,
        key: String,
        args: [Arg; N],
        outcome: fn(Found<'_>) -> Result<String, Error>,
    ) -> Self {
        Self {
            place: place.clone(),
            statement,
            key,
            is_digest: false,
            values: 1,
            args,
            outcome,
            renewal: None,
        }
    }

    /// With so many values among its arguments.
    pub(super) fn of_values(self, values: usize) -> Self {
        Self { values, ..self }
    }
}

impl<const N: usize> Call for Write<N> {
    fn bind(&mut self, _: usize) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let stored = self.place.prefix.stored(&self.key, shape.max_chars("key"));
        if let Some(renewal) = &mut self.renewal {
            renewal.args[0] = Arg::text(stored.text);
            return shape.statement(&RENEW);
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
        shape.statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        match &self.renewal {
            Some(renewal) => &renewal.args,
            None => &self.args,
        }
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer, Error> {
        // What renews an entry has no rows.
        if let Some(renewal) = &mut self.renewal {
            return Ok(Answer::Done(std::mem::take(&mut renewal.outcome)));
        }
        let outcome = (self.outcome)(Found { place: &self.place, rows, is_digest: self.is_digest });
        let outcome = self.place.name_row(outcome)?;
        match rows.first().map(|row| row.cell::<Option<&str>>(1)).transpose()?.flatten() {
            Some(written_by) => {
                let args = [Arg::Text(None), Arg::text(written_by), self.args[self.values + 1].clone()];
                self.renewal = Some(Renewal { args, outcome });
                Ok(Answer::Again)
            }
            None => Ok(Answer::Done(outcome)),
        }
    }
}

pub(super) fn delete(place: &Arc<Place>, key: String, reply: Reply) {
    let accesses = place.on_key(&key, AccessMode::Exclusive);
    place.submit(accesses, KeyCall::new(place, &DELETE_BY_KEY, "key", key, [], nothing), Retry::Never, reply);
}
