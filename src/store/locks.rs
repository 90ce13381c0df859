//! Distributed locks: one row a lock, held until the server's clock passes `expires_at`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::keys::Prefix;
use super::table::{DELETE_BY_KEY, Definition, Index, Shape, Table, Template};
use super::{Place, TableRef, any_row, nothing, ttl_arg};
use crate::link::{Answer, Arg, Error, Link, Mode, Reply, Retry, Rows};

/// Takes locks that are absent, expired or their own; in the batch's one statement:
///
/// 1. `free` reads which of the wanted locks are not held by another owner as of the statement's snapshot. A poll of
///    a busy lock ends here: a plain read that locks and writes nothing.
/// 2. `taken` inserts the rest. Of N contenders for an absent row one inserts; the others wait for it in the unique
///    index and go on as for an existing row. There the row is locked in its newest version, and only then does the
///    `WHERE` ask again, with the clock of that moment, whether it is expired or their own: N contenders for an
///    expired row are let through one by one, the first makes it live, the rest find it so and get no row back.
///    A row that is deleted (released, swept) between snapshot and insert is no conflict any more and is inserted.
/// 3. The expiry of an existing row is computed in `SET`, after the wait for it. (`SET` sees only the row and
///    `excluded`, so it finds the TTL by the key's place in the batch.) The expiry of an inserted row is computed
///    before a possible wait for another inserter that then rolls back, or whose row is gone by then; the second
///    column says how long that took, and [`Locks::acquire`] runs again where it matters.
/// 4. `swept` removes a few expired rows of other keys. Its LIMIT reads `taken` to the end, so it starts when no wait
///    is left: two statements that sweep each other's wanted rows could otherwise deadlock. `FOR UPDATE` looks at a
///    row's newest version, so a lock that its owner has just extended is not removed.
const ACQUIRE: Template = Template {
    sql: r#"
WITH call AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) WITH ORDINALITY AS call (key, owner, ttl, item)
), free AS (
  SELECT call.* FROM call
    LEFT JOIN {table} AS held
      ON held.key = call.key AND held.owner <> call.owner AND held.expires_at > {now:expires_at}
   WHERE held.key IS NULL
), taken AS (
  INSERT INTO {table} AS held (key, owner, expires_at)
  SELECT key, owner, {now:expires_at} + ttl * INTERVAL '1 millisecond' FROM free ORDER BY key COLLATE "C"
  ON CONFLICT (key) DO UPDATE
    SET owner = excluded.owner,
        expires_at = {now:expires_at}
                   + ($3::float8[])[array_position($1::text[], excluded.key::text)] * INTERVAL '1 millisecond'
    WHERE held.owner = excluded.owner OR held.expires_at <= {now:expires_at}
  RETURNING held.key, held.expires_at, {now:expires_at} AS taken_at
), swept AS (
  DELETE FROM {table} WHERE key = ANY (ARRAY(
    SELECT key FROM {table}
     WHERE expires_at <= {start:expires_at} AND key <> ALL ($1)
     ORDER BY expires_at
     LIMIT (SELECT CASE count(*) WHEN 0 THEN 0 ELSE 64 + 2 * count(*) END FROM taken)
     FOR UPDATE SKIP LOCKED))
)
SELECT call.item,
       (extract(epoch FROM taken_at + ttl * INTERVAL '1 millisecond' - taken.expires_at) * 1000)::float8
  FROM taken JOIN call USING (key)"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Moves the end of leases that are still held. `held` locks the owners' rows in order; the `UPDATE` asks for owner
/// and expiry once more, with the clock after the wait, so a lease that ran out meanwhile, or that somebody took over
/// after it had, is left alone and gives no row. The `CASE` keeps that comparison behind the wait: it names `held`, so
/// no plan can make it while it scans the table, which plans for small tables did.
const EXTEND: Template = Template {
    sql: r#"
WITH call AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) WITH ORDINALITY AS call (key, owner, ttl, item)
), held AS (
  SELECT held.key FROM {table} AS held JOIN call ON held.key = call.key AND held.owner = call.owner
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
UPDATE {table} AS lock SET expires_at = {now:expires_at} + call.ttl * INTERVAL '1 millisecond'
  FROM call JOIN held USING (key)
 WHERE lock.key = held.key AND lock.owner = call.owner
   AND CASE WHEN held.key IS NOT NULL THEN lock.expires_at > {now:expires_at} END
RETURNING call.item"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::FLOAT8_ARRAY],
    batched: true,
};

/// Deletes the owners' own rows, expired or not: whoever took an expired lock over is another owner and stays. A row
/// that changes hands during the wait for it no longer has the owner when it is looked at again.
const RELEASE: Template = Template {
    sql: r#"
WITH call AS (
  SELECT * FROM unnest($1::text[], $2::text[]) AS call (key, owner)
), held AS (
  SELECT held.key, held.owner FROM {table} AS held JOIN call ON held.key = call.key AND held.owner = call.owner
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
DELETE FROM {table} AS lock USING held WHERE lock.key = held.key AND lock.owner = held.owner"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    batched: true,
};

const IS_VALID: Template = Template {
    sql: r#"
SELECT call.item
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS call (key, owner, item)
  JOIN {table} AS held ON held.key = call.key AND held.owner = call.owner AND held.expires_at > {now:expires_at}"#,
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    batched: true,
};

static DEFINITION: Definition = Definition {
    section: "locks",
    indexes: &[Index { name: Some("idx_locks_expires"), leads_with: "expires_at", on: "(expires_at)" }],
    touched: "",
    templates: &[ACQUIRE, EXTEND, RELEASE, DELETE_BY_KEY, IS_VALID],
};
const AT_ACQUIRE: usize = 0;
const AT_EXTEND: usize = 1;
const AT_RELEASE: usize = 2;
const AT_FORCE_RELEASE: usize = 3;
const AT_IS_VALID: usize = 4;

/// An inserted row whose expiry is older than this many milliseconds waited for another inserter: acquire again.
const STALE_EXPIRY_MS: f64 = 1.0;

/// How often an acquire runs again to renew a stale expiry; a server that is this slow gets the lease it can give.
const RENEWALS: u32 = 3;

/// The part of its TTL for which an extension rides out faults: go-go-scope renews at 0.6 of the lease, and what is
/// left must do for one more round trip.
const PATIENCE: f64 = 0.3;
const MAX_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Locks {
    place: Place,
}

impl Locks {
    pub fn new(link: &Arc<Link>, key_prefix: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, "go_goscope_locks", create);
        Self { place: Place::new(link, table, Prefix::new(key_prefix, "lock:")) }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// The owner's name where the lock was taken, else null. Without an `owner` a UUIDv4 is drawn.
    ///
    /// A broken connection leaves open whether the server took the lock. Running the statement again with the same
    /// owner settles it: it takes the lock, or finds it taken by this very call. If no run comes through and the owner
    /// was drawn here, nobody knows it, so the lock is given back in the background as soon as the server can be
    /// reached; a lock under the caller's own name may have been theirs before, and is left to them.
    pub fn acquire(&self, key: String, ttl: f64, owner: Option<String>, reply: Reply) {
        let drawn = owner.is_none();
        let owner = owner.unwrap_or_else(|| Uuid::new_v4().to_string());
        let granted = serde_json::Value::from(owner.as_str()).to_string();
        let mut renewals = 0;
        let read = move |rows: Rows| {
            let Some(row) = rows.first() else { return Ok(Answer::Done("null".into())) };
            let stale: f64 = row.get(1);
            if stale > STALE_EXPIRY_MS && renewals < RENEWALS {
                renewals += 1;
                return Ok(Answer::Again);
            }
            Ok(Answer::Done(granted.clone()))
        };
        let turns = self.place.on_key(&key, Mode::Alone);
        let args = self.args(key.clone(), owner.clone(), Some(ttl));
        let bind = move |shape: &Shape| (AT_ACQUIRE, args(shape));
        let mut job = self.place.job(turns, bind, read, Retry::Harmless, reply);
        if drawn {
            let locks = self.clone();
            job = job.if_unsettled(move || give_back(locks, key, owner, ttl));
        }
        self.place.link.submit(job);
    }

    /// Rides out faults that pass within a part of the lease: a renewal timer that hears a passing fault as a
    /// rejection loses the lock, or the process. Once the lease has run out the answer is false all the same.
    pub fn extend(&self, key: String, ttl: f64, owner: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        let args = self.args(key, owner, Some(ttl));
        let patience =
            Duration::try_from_secs_f64(ttl * PATIENCE / 1e3).map_or(MAX_PATIENCE, |it| it.min(MAX_PATIENCE));
        let bind = move |shape: &Shape| (AT_EXTEND, args(shape));
        let job = self.place.job(turns, bind, any_row, Retry::Harmless, reply).patient(patience);
        self.place.link.submit(job);
    }

    pub fn release(&self, key: String, owner: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        let args = self.args(key, owner, None);
        self.place.call(AT_RELEASE, turns, args, nothing, Retry::Harmless, reply);
    }

    pub fn is_valid(&self, key: String, owner: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Read);
        let args = self.args(key, owner, None);
        self.place.call(AT_IS_VALID, turns, args, any_row, Retry::Harmless, reply);
    }

    /// Not repeated when its outcome is unknown: by then the lock may be somebody's who has just taken it.
    pub fn force_release(&self, key: String, reply: Reply) {
        let turns = self.place.on_key(&key, Mode::Alone);
        let args = self.place.key_args(key, Vec::new());
        self.place.call(AT_FORCE_RELEASE, turns, args, nothing, Retry::Never, reply);
    }

    fn args(
        &self,
        key: String,
        owner: String,
        ttl: Option<f64>,
    ) -> impl Fn(&Shape) -> Vec<Arg> + Send + 'static {
        let mut rest = vec![Arg::text(owner)];
        rest.extend(ttl.map(|ttl| ttl_arg(Some(ttl))));
        self.place.key_args(key, rest)
    }
}

/// Releases a lock that may have been taken for an owner whom nobody knows, until the server has heard it or the
/// lease has run out by itself.
fn give_back(locks: Locks, key: String, owner: String, ttl: f64) {
    const PAUSE: Duration = Duration::from_millis(500);
    let until = Duration::try_from_secs_f64(ttl / 1e3).ok().and_then(|ttl| Instant::now().checked_add(ttl));
    let link = locks.place.link.clone();
    link.in_background(async move {
        while until.is_none_or(|until| Instant::now() < until) {
            let (told, heard) = tokio::sync::oneshot::channel();
            let reply = Reply::new(move |outcome: Result<String, Error>| {
                let _ = told.send(outcome);
            });
            locks.release(key.clone(), owner.clone(), reply);
            match heard.await {
                Ok(Ok(_)) | Ok(Err(Error::Closed)) | Err(_) => return,
                Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
}
