//! What the caches and the idempotency table have in common: values under keys, for a time.

use std::sync::{Arc, Mutex};

use tokio_postgres::types::Type;

use super::json::{Object, time, with_key, without_key};
use super::table::{Shape, Template};
use super::{Place, nothing, ttl_arg};
use crate::link::{Answer, Arg, Mode, Reply, Retry, Rows};
use crate::sync::lock;

pub(super) const GET: Template = Template {
    sql: r#"
SELECT call.item, entry.value::text, round(extract(epoch FROM entry.expires_at) * 1000)::float8
  FROM unnest($1::text[]) WITH ORDINALITY AS call (key, item)
  JOIN {table} AS entry ON entry.key = call.key
 WHERE entry.expires_at IS NULL OR entry.expires_at > {now:expires_at}"#,
    params: &[Type::TEXT_ARRAY],
    batched: true,
};

/// Last writer wins, and a few expired entries of other keys go, after the work is done.
///
/// The expiry of an entry that is there already is computed after the wait for its row: what `excluded` carries beyond
/// the statement's start is the TTL, NULL for none. The expiry of an inserted entry is computed before a possible wait
/// for another inserter that then rolls back. Such entries come back as rows, for [`RENEW`].
pub(super) const SET: Template = Template {
    sql: r#"
WITH call AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) WITH ORDINALITY AS call (key, value, ttl, item)
), stored AS (
  INSERT INTO {table} (key, value, expires_at, {touched})
  SELECT key, value::jsonb, {start:expires_at} + ttl * INTERVAL '1 millisecond', {now:touched}
    FROM call ORDER BY key COLLATE "C"
  ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, expires_at = {now:expires_at} + (excluded.expires_at - {start:expires_at}),
        {touched} = {now:touched}
  RETURNING key, expires_at, xmin, {now:expires_at} AS stored_at
), swept AS (
  DELETE FROM {table} WHERE key = ANY (ARRAY(
    SELECT key FROM {table}
     WHERE expires_at <= {start:expires_at} AND key <> ALL ($1)
     ORDER BY expires_at LIMIT (SELECT 16 + 2 * count(*) FROM stored)
     FOR UPDATE SKIP LOCKED))
)
SELECT call.item, stored.xmin::text FROM stored JOIN call USING (key)
 WHERE stored_at + ttl * INTERVAL '1 millisecond' - stored.expires_at > INTERVAL '50 milliseconds'"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Sets the expiry of entries anew, if they are still what this call wrote: `xmin` is the writing transaction.
pub(super) const RENEW: Template = Template {
    sql: r#"
UPDATE {table} AS entry SET expires_at = {now:expires_at} + call.ttl * INTERVAL '1 millisecond'
  FROM unnest($1::text[], $2::text[], $3::float8[]) AS call (key, written_by, ttl)
 WHERE entry.key = call.key AND entry.xmin::text = call.written_by"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Where these stand in the templates of each table that has entries.
pub(super) const AT_GET: usize = 0;
pub(super) const AT_SET: usize = 1;
pub(super) const AT_RENEW: usize = 2;
pub(super) const AT_DELETE: usize = 3;

/// The entry as `{ value, expiresAt? }`, or null for a miss: a stored null is not one.
pub(super) fn get(place: &Place, key: String, reply: Reply) {
    let turns = place.on_key(&key, Mode::Read);
    let (at, name) = (place.clone(), key.clone());
    let read = move |rows: Rows| {
        let Some(row) = rows.first() else { return Ok(Answer::Done("null".into())) };
        let value: &str = row.get(1);
        let is_digest = at.prefix.stored(&name, at.table.shape().max_chars("key")).is_digest;
        let value = if is_digest { without_key(value) } else { value };
        let expires_at = time(row.get(2));
        Ok(Answer::Done(Object::new().raw("value", value).optional("expiresAt", expires_at).end()))
    };
    place.call(AT_GET, turns, place.key_args(key, Vec::new()), read, Retry::Harmless, reply);
}

/// `value` is JSON text, `ttl` in milliseconds; none for no expiry.
pub(super) fn set(place: &Place, key: String, value: String, ttl: Option<f64>, reply: Reply) {
    let turns = place.on_key(&key, Mode::Alone);
    // Once the entry is written with a stale expiry: the transaction that wrote it.
    let written_by: Arc<Mutex<Option<String>>> = Arc::default();
    let stale = written_by.clone();
    let at = place.clone();
    let bind = move |shape: &Shape| {
        let stored = at.prefix.stored(&key, shape.max_chars("key"));
        let written_by = lock(&stale).clone();
        match written_by {
            Some(xmin) => (AT_RENEW, vec![Arg::text(stored.text), Arg::text(xmin), ttl_arg(ttl)]),
            None => {
                let value = if stored.is_digest { with_key(&key, &value) } else { value.clone() };
                (AT_SET, vec![Arg::text(stored.text), Arg::text(value), ttl_arg(ttl)])
            }
        }
    };
    let read = move |rows: Rows| match rows.first() {
        Some(row) => {
            *lock(&written_by) = Some(row.get(1));
            Ok(Answer::Again)
        }
        None => nothing(rows),
    };
    place.link.submit(place.job(turns, bind, read, Retry::Never, reply));
}

pub(super) fn delete(place: &Place, key: String, reply: Reply) {
    let turns = place.on_key(&key, Mode::Alone);
    place.call(AT_DELETE, turns, place.key_args(key, Vec::new()), nothing, Retry::Never, reply);
}
