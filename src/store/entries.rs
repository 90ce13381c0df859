//! What the caches and the idempotency table have in common: values under keys, for a time.

use std::sync::Arc;

use tokio_postgres::Row;

use super::call::{Found, KeyCall, nothing};
use super::json::{Object, time, with_key, without_key};
use super::table::Template;
use super::{Place, ttl_arg};
use crate::link::{Answer, Arg, Call, Error, Kind, Mode, Reply, Retry, Statement};

/// The value alone: telling its expiry as well costs the server as much as finding it.
pub(super) const GET: Template = Template::of_both(
    r#"
SELECT key::text, value::text FROM {table}
 WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    r#"
SELECT key::text, value::text FROM {table}
 WHERE key = ANY ($1) AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    &[Kind::Text],
);

pub(super) const GET_WITH_EXPIRY: Template = Template::of_both(
    r#"
SELECT key::text, value::text, round(extract(epoch FROM expires_at) * 1000)::float8 FROM {table}
 WHERE key = $1 AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    r#"
SELECT key::text, value::text, round(extract(epoch FROM expires_at) * 1000)::float8 FROM {table}
 WHERE key = ANY ($1) AND (expires_at IS NULL OR expires_at > {now:expires_at})"#,
    &[Kind::Text],
);

/// Last writer wins, and a few expired entries of other keys go, after the work is done.
///
/// The expiry of an entry that is there already is computed after the wait for its row: what `excluded` carries beyond
/// the statement's start is the TTL, NULL for none. The expiry of an inserted entry (`xmax` is 0 in those) counts from
/// the statement's start, which a wait for another inserter that then rolls back may leave behind. The rows of such
/// entries name the transaction that wrote them, for [`RENEW`].
pub(super) const SET: Template = Template::of_both(
    r#"
INSERT INTO {table} (key, value, expires_at, {touched})
VALUES ($1, $2::jsonb, {start:expires_at} + $3 * INTERVAL '1 millisecond', {now:touched})
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {now:expires_at} + (excluded.expires_at - {start:expires_at}),
      {touched} = {now:touched}
RETURNING key::text,
          CASE WHEN clock_timestamp() - statement_timestamp() > INTERVAL '50 milliseconds'
                    AND xmax = '0'::xid AND expires_at IS NOT NULL THEN xmin::text END"#,
    r#"
INSERT INTO {table} (key, value, expires_at, {touched})
SELECT key, value::jsonb, {start:expires_at} + ttl * INTERVAL '1 millisecond', {now:touched}
  FROM unnest($1, $2, $3) AS call (key, value, ttl) ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE
  SET value = excluded.value, expires_at = {now:expires_at} + (excluded.expires_at - {start:expires_at}),
      {touched} = {now:touched}
RETURNING key::text,
          CASE WHEN clock_timestamp() - statement_timestamp() > INTERVAL '50 milliseconds'
                    AND xmax = '0'::xid AND expires_at IS NOT NULL THEN xmin::text END"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(
    r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND key <> ALL ($1)
   ORDER BY expires_at LIMIT (SELECT 64 + 2 * count(*) FROM written)
   FOR UPDATE SKIP LOCKED))"#,
);

/// Sets the expiry of entries anew, if they are still what this call wrote: `xmin` is the writing transaction.
pub(super) const RENEW: Template = Template::of_many(
    r#"
UPDATE {table} AS entry SET expires_at = {now:expires_at} + call.ttl * INTERVAL '1 millisecond'
  FROM unnest($1, $2, $3) AS call (key, written_by, ttl)
 WHERE entry.key = call.key AND entry.xmin::text = call.written_by"#,
    &[Kind::Text, Kind::Text, Kind::Float],
);

/// Where these stand in the templates of each table that has entries; at the first is how it is read.
pub(super) const AT_GET: usize = 0;
pub(super) const AT_SET: usize = 1;
pub(super) const AT_RENEW: usize = 2;
pub(super) const AT_DELETE: usize = 3;

/// The value, or nothing for a miss: a stored null is none.
pub(super) fn get(place: &Arc<Place>, key: String, reply: Reply) {
    read(place, key, |value, _| value.to_owned(), reply);
}

/// The entry as `{ value, expiresAt? }`, or nothing for a miss.
pub(super) fn get_with_expiry(place: &Arc<Place>, key: String, reply: Reply) {
    let object = |value: &str, row: &Row| {
        Object::new().raw("value", value).optional("expiresAt", time(row.get(2))).end()
    };
    read(place, key, object, reply);
}

fn read(place: &Arc<Place>, key: String, json: fn(&str, &Row) -> String, reply: Reply) {
    let turns = place.on_key(&key, Mode::Read);
    let read = move |found: Found<'_>| {
        let Some(row) = found.rows.first() else { return Ok(Answer::Done(String::new())) };
        let value: &str = row.get(1);
        Ok(Answer::Done(json(if found.is_digest { without_key(value) } else { value }, row)))
    };
    place.submit(turns, KeyCall::new(place, AT_GET, "key", key, [], read), Retry::Harmless, reply);
}

/// `value` is JSON text, `ttl` in milliseconds; none for no expiry.
pub(super) fn set(place: &Arc<Place>, key: String, value: String, ttl: Option<f64>, reply: Reply) {
    let turns = place.on_key(&key, Mode::Alone);
    let args = [Arg::Text(None), Arg::text(value), ttl_arg(ttl)];
    place.submit(
        turns,
        Set { place: place.clone(), key, is_keyed: false, stale: false, args },
        Retry::Never,
        reply,
    );
}

struct Set {
    place: Arc<Place>,
    key: String,
    /// Whether the value has been put beside the key, which is stored as a digest.
    is_keyed: bool,
    /// Whether the entry is written, with a stale expiry; the second argument is then the transaction that wrote it.
    stale: bool,
    args: [Arg; 3],
}

impl Call for Set {
    fn bind(&mut self, _: usize) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let stored = self.place.prefix.stored(&self.key, shape.max_chars("key"));
        self.args[0] = Arg::text(stored.text);
        if self.stale {
            return shape.statement(AT_RENEW);
        }
        if stored.is_digest
            && !std::mem::replace(&mut self.is_keyed, true)
            && let Arg::Text(Some(value)) = &self.args[1]
        {
            self.args[1] = Arg::text(with_key(&self.key, value));
        }
        shape.statement(AT_SET)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer, Error> {
        // What renews an entry has no rows.
        match rows.first().and_then(|row| row.get::<_, Option<&str>>(1)) {
            Some(written_by) => {
                self.stale = true;
                self.args[1] = Arg::text(written_by);
                Ok(Answer::Again)
            }
            None => Ok(Answer::Done("null".into())),
        }
    }
}

pub(super) fn delete(place: &Arc<Place>, key: String, reply: Reply) {
    let turns = place.on_key(&key, Mode::Alone);
    place.submit(turns, KeyCall::new(place, AT_DELETE, "key", key, [], nothing), Retry::Never, reply);
}
