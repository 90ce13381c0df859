//! Distributed locks: one row per lock, held until the server's clock passes `expires_at`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::call::{Found, KeyCall, any_row, nothing};
use super::cells::Cells;
use super::holders::{AWAIT, HOLDER, HOLDER_LEFT, HOLDER_UNTIL};
use super::json;
use super::keys::Prefix;
use super::leases::{Leases, Wanted, lock_when_free};
use super::relation::Addition;
use super::table::{Definition, Durability, Table};
use super::template::{DELETE_BY_KEY, OLD_MARK, Template, one_or_many};
use super::until_free::until_free;
use super::{LONGEST_TTL_MS, Place, TableRef, ttl_arg};
use crate::engine::{
    AccessMode, Answer, Arg, Engine, Error, FutureOutcome, Kind, Reply, Request, Retry, Subscription,
};
use crate::time::millis;
use crate::tuning::leases;

/// Takes locks that are absent, expired or already held by the same owner. One statement does all of this:
///
/// 1. `NOT EXISTS` reads which of the wanted locks are not held by another owner as of the statement's snapshot. A
///    poll of a busy lock ends here: it is a plain read that locks and writes nothing, and draws no number.
/// 2. The rest is inserted. Of N contenders for an absent row one inserts. The others wait for it in the unique
///    index, and continue as for an existing row. An existing row is locked in its newest version. Only then does the
///    `WHERE` check again, with the clock of that moment, whether the row is expired or of the same owner. So N
///    contenders for an expired row pass one by one: the first makes it live, the rest find it live and get no row
///    back. A row that is deleted (released, swept) between snapshot and insert is no conflict any more and is
///    inserted.
/// 3. The expiry of an existing row is computed in `SET`, after the wait for it: `excluded` carries the TTL as its
///    distance from the statement's start. The expiry of an inserted row counts from the statement's start. That
///    start may be out of date, after a wait for another inserter that then rolls back, or whose row is gone by then.
///    Such a row says so in the second column, and [`Locks::acquire`] runs again.
/// 4. A sweep removes a few expired rows of other keys. Its LIMIT reads all written rows, to the end, so it starts
///    when no wait is left. Otherwise two statements that sweep each other's wanted rows could deadlock. `FOR UPDATE`
///    checks a row's newest version, so a lock that its owner has just extended is not removed.
///
/// **Fencing tokens** must grow in the order in which a key is held. So the deciding number is drawn while the row is
/// in place and no other process can hold the key. Earlier holders drew before their commit, which came before that.
/// Later holders draw later.
///
/// * An existing row is locked when `SET` draws: that number is stored, and is the token's.
/// * An inserted row must store a number before it is in place, and that number decides nothing: in between, others
///   may take the key, draw, and release it. So `RETURNING` draws once more when the row is in place. The token has
///   that number and its distance from the stored one, by which `go_goscope_check_fencing_token` finds the row; see
///   [`token`]. (An alternative is to run again whenever the two numbers are not neighbours. Then the token would not
///   need the second number. But two pipelines that insert at the same time come between each other's draws most of the
///   time.)
/// * A crash loses no number that a caller has received: a draw is in the log before the commit that it belongs to,
///   which waits for the disk. If the server's `synchronous_commit` is off, neither the lock nor its number is safe.
/// * `key` stands in `SET` so that the row is locked as for a change of its key. A transaction that has had a token
///   checked holds the row `FOR KEY SHARE`, and no other owner takes the lock over before it ends. For a role
///   that may draw no tokens the statement does the same: another role may have had its token checked.
/// * If the same owner takes the lock again, the row keeps its mark `has_waiters`; the waiters of a new holder mark
///   the row again.
///
/// The engine finds by their keys which calls the rows belong to. A join in here would compare each row with each call,
/// and cost more than everything else (measured with 128 calls: 20 µs a call with it, 9 µs without).
static ACQUIRE: Template = one_or_many!(
    r#"
INSERT INTO {table} AS held (key, owner, expires_at{with fencing}, fencing_token, fencing_owner{end})"#,
    one: r#"
SELECT $1, $2, {start:expires_at} + $3 * INTERVAL '1 millisecond'{with fencing}, {draw:fencing_token}, $2{end}
 WHERE NOT EXISTS (SELECT FROM {table} WHERE key = $1 AND owner <> $2 AND expires_at > {now:expires_at})"#,
    many: r#"
SELECT key, owner, {start:expires_at} + ttl * INTERVAL '1 millisecond'{with fencing}, {draw:fencing_token}, owner{end}
  FROM unnest($1, $2, $3) AS call (key, owner, ttl)
 WHERE NOT EXISTS (SELECT FROM {table} AS other
                    WHERE other.key = call.key AND other.owner <> call.owner AND other.expires_at > {now:expires_at})
 ORDER BY key COLLATE "C""#,
    r#"
ON CONFLICT (key) DO UPDATE
  SET key = {noting excluded.key}, owner = excluded.owner,
      expires_at = {now:expires_at} + (excluded.expires_at - {start:expires_at})
      {with fencing}, fencing_token = {draw:fencing_token}, fencing_owner = excluded.owner{end}
      {with waking}, {mark} = CASE WHEN held.owner = excluded.owner THEN held.{mark} END{end}
  WHERE held.owner = excluded.owner OR held.expires_at <= {now:expires_at}
RETURNING held.key::text,
          {inserted} AND clock_timestamp() - statement_timestamp()
                              > least((held.expires_at - {start:expires_at}) / 8, INTERVAL '50 milliseconds')
          {with fencing}, CASE WHEN {inserted} THEN {draw:fencing_token} ELSE held.fencing_token END,
          held.fencing_token{end}"#,
    &[Kind::Text, Kind::Text, Kind::Float],
)
.sweeping(
    r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND key <> ALL ($1)
   ORDER BY expires_at
   LIMIT (SELECT CASE count(*) WHEN 0 THEN 0 ELSE 64 + 2 * count(*) END FROM written)
   FOR UPDATE SKIP LOCKED))"#,
);

/// Moves the end of leases that are still held. `held` locks the owners' rows in order. The `UPDATE` checks owner and
/// expiry once more, with the clock after the wait. So it leaves alone a lease that ran out meanwhile, and one that
/// another process took over after that; they give no row. The `CASE` keeps that comparison behind the wait: it names
/// `held`, so no plan can make it while it scans the table, which plans for small tables did.
///
/// `$4` is the number that the row stores for one lease, or NULL. A renewal gives it, and so does a handle in a
/// session that a pooler shares ([`Locks::if_shared`]): the same owner may have acquired the lock again since,
/// perhaps in another process, and the renewal must neither shorten nor prolong that lease. An extension by the owner
/// gives NULL, since it is for any lease that this owner holds. The condition stands in the `UPDATE`, where it is
/// evaluated once more on the row's newest version.
///
/// The row is not locked as for a change of its key: a transaction that has had its token checked may take longer
/// than the lease, which can be extended meanwhile.
static EXTEND: Template = Template::of_both(
    r#"
WITH held AS (
  SELECT key FROM {table} WHERE key = $1 AND owner = $2 FOR NO KEY UPDATE
)
UPDATE {table} AS lock SET expires_at = {now:expires_at} + $3 * INTERVAL '1 millisecond'
  FROM held
 WHERE lock.key = held.key AND lock.owner = $2{with fencing} AND ($4 IS NULL OR lock.fencing_token = $4){end}
   AND CASE WHEN held.key IS NOT NULL THEN lock.expires_at > {now:expires_at} END
RETURNING lock.key::text"#,
    r#"
WITH held AS (
  SELECT held.key, call.owner, call.ttl, call.token
    FROM unnest($1, $2, $3, $4) AS call (key, owner, ttl, token)
    JOIN {table} AS held ON held.key = call.key AND held.owner = call.owner
   ORDER BY held.key COLLATE "C" FOR NO KEY UPDATE OF held
)
UPDATE {table} AS lock SET expires_at = {now:expires_at} + held.ttl * INTERVAL '1 millisecond'
  FROM held
 WHERE lock.key = held.key AND lock.owner = held.owner
   {with fencing}AND (held.token IS NULL OR lock.fencing_token = held.token){end}
   AND CASE WHEN held.key IS NOT NULL THEN lock.expires_at > {now:expires_at} END
RETURNING lock.key::text"#,
    &[Kind::Text, Kind::Text, Kind::Float, Kind::Int],
);

/// Deletes the owners' own rows, expired or not. A process that took an expired lock over is another owner, and its
/// row stays. A row that changes hands during the wait for it no longer has the owner when it is checked again. Once
/// `held` has locked it, its owner cannot change.
///
/// If a row was deleted, the commit does not wait for the disk: a release that a crash of the server undoes costs the
/// rest of its TTL and nothing else. The next process that takes the lock commits to disk as usual. That commit also
/// writes the record of this release, which comes before it in the log. Other sessions see the release at once.
///
/// `$3` is the number that the row stores for one lease, or NULL for any lease that the owner holds: see
/// [`Locks::if_shared`].
static RELEASE: Template = Template::of_both(
    "DELETE FROM {table} WHERE key = $1 AND owner = $2{with fencing} AND ($3 IS NULL OR fencing_token = $3){end} \
     RETURNING key::text, set_config('synchronous_commit', 'off', true)",
    r#"
WITH held AS (
  SELECT held.key
    FROM unnest($1, $2, $3) AS call (key, owner, token)
    JOIN {table} AS held ON held.key = call.key AND held.owner = call.owner
     {with fencing}AND (call.token IS NULL OR held.fencing_token = call.token){end}
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
), released AS (
  DELETE FROM {table} WHERE key = ANY (ARRAY(SELECT key FROM held)) RETURNING true
)
SELECT '' AS key, set_config('synchronous_commit', 'off', true) WHERE EXISTS (SELECT FROM released)"#,
    &[Kind::Text, Kind::Text, Kind::Int],
);

/// As [`RELEASE`] for one lock. It returns a row if the lock was still the owner's, for callers that need to know.
/// The commit waits for the disk, since the caller is informed that the lock is free.
static RELEASE_ONE: Template = Template::of_one(
    "DELETE FROM {table} WHERE key = $1 AND owner = $2 RETURNING key::text",
    &[Kind::Text, Kind::Text],
);

static DEFINITION: Definition = Definition {
    documented: "go_goscope_locks",
    additions: &[
        Addition {
            columns: &["fencing_token", "fencing_owner"],
            drawn: Some("fencing_token"),
            ..Addition::named(FENCING)
        },
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

/// What the table may have beyond the documented schema: tokens, and notifications for waiters.
const FENCING: &str = "fencing";
const WAKING: &str = "waking";

/// How many of a token's bits hold the distance between the deciding number and the stored one.
const DISTANCE_BITS: u32 = 12;

const NOT_DRAWN: &str = "does not hold what acquire() draws: a trigger of the table may change it";

#[derive(Clone)]
pub struct Locks {
    place: Arc<Place>,
    leases: Arc<Leases>,
}

impl Locks {
    /// `namespace` stands between prefix and key; the application's own locks have `lock:`.
    pub fn new(engine: &Arc<Engine>, key_prefix: &str, namespace: &str, create: bool) -> Self {
        let table = Table::documented(&DEFINITION, create, Durability::Full);
        Self { place: Place::new(engine, table, Prefix::new(key_prefix, namespace)), leases: Arc::default() }
    }

    pub fn table(&self) -> TableRef {
        TableRef(self.place.table.clone())
    }

    /// `token,owner` if the lock was taken, else null. The token is empty if there are none. Without an `owner` a
    /// UUIDv4 is drawn.
    ///
    /// After a broken connection it is unknown whether the server took the lock. Running the statement again with the
    /// same owner settles it: it takes the lock, or finds it taken by this very call. If no run succeeds and the
    /// owner was drawn here, no caller knows the owner. Then the lock is released in the background as soon as the
    /// server can be reached. A lock under the caller's own name may have been theirs before, and is left to them.
    pub fn acquire(&self, key: String, ttl: f64, owner: Option<String>, reply: Reply) {
        self.place.engine.submit(self.acquisition(key, ttl, owner, reply));
    }

    /// As [`acquire`](Self::acquire), but retries transient failures within this time. If its caller gives up, the
    /// release of a lock that it still takes is owed; so it does not keep the pool's end waiting without a limit.
    pub(super) fn acquire_with_retries(
        &self,
        key: String,
        ttl: f64,
        owner: Option<String>,
        retry_time: Duration,
        reply: Reply,
    ) {
        self.place.engine.submit(self.acquisition(key, ttl, owner, reply).retrying_for(retry_time).owed());
    }

    fn acquisition(&self, key: String, ttl: f64, owner: Option<String>, reply: Reply) -> Request {
        let drawn = owner.is_none();
        let owner = owner.unwrap_or_else(|| Uuid::new_v4().to_string());
        let undo = drawn.then(|| {
            let (locks, key, owner) = (self.clone(), key.clone(), owner.clone());
            move || give_back(&locks, key, owner, ttl, None)
        });
        let granted = owner.clone();
        let (mut renewals, mut draws) = (0, 0);
        let read = move |found: Found<'_>| {
            let Some(row) = found.rows.first() else { return Ok(Answer::Done("null".into())) };
            if row.cell(1)? && renewals < leases::STALE_RENEWALS {
                renewals += 1;
                return Ok(Answer::Again);
            }
            if row.len() == 2 {
                return Ok(Answer::Done(json::text(&format!(",{granted}"))));
            }
            // Too far: the row is in place now, and the next run draws under its lock.
            let Some(token) = token(row.cell(2)?, row.cell(3)?) else {
                draws += 1;
                return if draws < leases::TOKEN_DRAWS {
                    Ok(Answer::Again)
                } else {
                    Err(row.unreadable(3, NOT_DRAWN))
                };
            };
            Ok(Answer::Done(json::text(&format!("{token},{granted}"))))
        };
        let request = self.request(
            &ACQUIRE,
            AccessMode::Exclusive,
            key,
            [Arg::text(owner), ttl_arg(Some(ttl))],
            read,
            reply,
        );
        match undo {
            Some(undo) => request.if_unsettled(undo),
            None => request,
        }
    }

    /// Retries transient failures within the lease: if a passing failure reached a renewal timer as a rejection, it
    /// would lose the lock, or end the process. Once the lease has run out the answer is false all the same. `left`:
    /// how many milliseconds of it are left, as far as the caller knows. `lease`: the number under which it is
    /// renewed.
    #[allow(clippy::too_many_arguments)] // what is known of the lease
    pub fn extend(
        &self,
        key: String,
        ttl: f64,
        owner: String,
        left: Option<f64>,
        lease: Option<u32>,
        token: Option<&str>,
        reply: Reply,
    ) {
        let (leases, sent) = (self.leases.clone(), Instant::now());
        let extended = move || {
            if let Some(lease) = lease {
                leases.prolong(lease, sent, ttl);
            }
        };
        let retry_time = match left {
            Some(left) => millis(left),
            None => millis(ttl * leases::RETRY_SHARE).min(leases::MAX_RETRY_TIME),
        };
        let stored = self.if_shared(token);
        let request = self.extension(key, ttl, owner, stored, extended, reply);
        self.place.engine.submit(request.retrying_for(retry_time));
    }

    /// Extends the lease with this token and no other lease of the same owner, retrying transient failures for
    /// `retry_time`. `extended` is called if it was extended, before a later call on this lock is answered.
    pub(super) fn renew(
        &self,
        lease: &Granted,
        ttl: f64,
        retry_time: Duration,
        extended: impl FnMut() + Send + 'static,
        reply: Reply,
    ) {
        let Granted { key, owner, stored } = lease;
        let request = self.extension(key.clone(), ttl, owner.clone(), *stored, extended, reply);
        self.place.engine.submit(request.retrying_for(retry_time));
    }

    fn extension(
        &self,
        key: String,
        ttl: f64,
        owner: String,
        stored: Option<i64>,
        mut extended: impl FnMut() + Send + 'static,
        reply: Reply,
    ) -> Request {
        let rest = [Arg::text(owner), ttl_arg(Some(ttl)), Arg::Int(stored)];
        let read = move |found: Found<'_>| {
            if !found.rows.is_empty() {
                extended();
            }
            any_row(found)
        };
        self.request(&EXTEND, AccessMode::Exclusive, key, rest, read, reply)
    }

    /// `token`: the lease's.
    pub fn release(&self, key: String, owner: String, token: Option<&str>, reply: Reply) {
        let rest = [Arg::text(owner), Arg::Int(self.if_shared(token))];
        let request = self.request(&RELEASE, AccessMode::Exclusive, key, rest, nothing, reply);
        self.place.engine.submit(request);
    }

    /// The number that the row stores for the lease with this token. It is a condition of a statement in a session
    /// that a pooler shares.
    ///
    /// If the connection is lost there, the statement may still reach the server after later calls, since the
    /// pooler's session cannot be terminated. With the condition it leaves alone a lease that the same owner has
    /// acquired since. In a session of our own that cannot happen, and a handle serves any lease that its owner
    /// holds, as documented.
    fn if_shared(&self, token: Option<&str>) -> Option<i64> {
        let is_shared = self.place.engine.shares_sessions();
        token.filter(|_| is_shared)?.parse().ok().map(stored)
    }

    /// As [`release`](Self::release), and returns whether the lock was still the owner's.
    pub fn release_one(&self, key: String, owner: String, reply: Reply) {
        let request =
            self.request(&RELEASE_ONE, AccessMode::Exclusive, key, [Arg::text(owner)], any_row, reply);
        self.place.engine.submit(request);
    }

    pub fn is_valid(&self, key: String, owner: String, reply: Reply) {
        let read = move |found: Found<'_>| {
            let holder = found.rows.first().map(|row| row.cell::<&str>(1)).transpose()?;
            Ok(Answer::Done((holder == Some(owner.as_str())).to_string()))
        };
        self.place.engine.submit(self.request(&HOLDER, AccessMode::Shared, key, [], read, reply));
    }

    /// `{ owner, expiresAt }`, or null if no process holds the lock.
    pub fn holder(&self, key: String, reply: Reply) {
        let read = |found: Found<'_>| {
            let Some(row) = found.rows.first() else { return Ok(Answer::Done("null".into())) };
            let (owner, expires_at) = (json::text(row.cell(1)?), row.cell::<i64>(2)?);
            Ok(Answer::Done(format!(r#"{{"owner":{owner},"expiresAt":{expires_at}}}"#)))
        };
        self.place.engine.submit(self.request(&HOLDER_UNTIL, AccessMode::Shared, key, [], read, reply));
    }

    /// Not repeated when its outcome is unknown: by then another process may just have taken the lock.
    pub fn force_release(&self, key: String, reply: Reply) {
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let call = KeyCall::new(&self.place, &DELETE_BY_KEY, "key", key, [], nothing);
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    /// Takes a lock as soon as it is free; see [`leases`](super::leases).
    pub fn lock(&self, number: u32, wanted: Wanted, lost: impl FnOnce() + Send + 'static, reply: Reply) {
        lock_when_free(self, number, wanted, lost, reply);
    }

    /// Waits until a lock is free, without taking it, or until that is given up.
    pub fn until_free(
        &self,
        key: String,
        retries: bool,
        given_up: impl Future<Output = ()> + Send + 'static,
        reply: Reply,
    ) {
        let locks = self.clone();
        self.place.engine.in_background(async move {
            reply.settle(until_free(&locks, &key, retries, given_up).await.map(|()| "null".into()));
        });
    }

    /// The caller no longer wants the lock that it waits for under this number.
    pub fn give_up(&self, number: u32) {
        self.leases.give_up(number);
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

    /// The holder of a lock, and how long its lease lasts. `mark`: its release is to be notified. None: it may be
    /// free by now. Retries transient failures within `retry_time`, if there is one.
    pub(super) async fn await_release(
        &self,
        key: &str,
        mark: bool,
        retry_time: Option<Duration>,
    ) -> Result<Option<(String, Duration)>, Error> {
        let found = self.held_by(key, mark, retry_time).await?;
        if !mark || found.is_some() {
            return Ok(found);
        }
        // It may be free by now. Or the mark was refused without an error, by a policy that hides rows from UPDATE:
        // then no release is announced, and the next try is soon, but not at once.
        let found = self.held_by(key, false, retry_time).await?;
        Ok(found.map(|(owner, left)| (owner, left.min(leases::LAST_POLL))))
    }

    async fn held_by(
        &self,
        key: &str,
        mark: bool,
        retry_time: Option<Duration>,
    ) -> Result<Option<(String, Duration)>, Error> {
        let (reply, outcome) = Reply::awaited();
        let read = |found: Found<'_>| {
            // JSON has no word for a lease without end.
            let Some(row) = found.rows.first() else { return Ok(Answer::Done("null".into())) };
            let (owner, left) = (json::text(row.cell(1)?), row.cell::<f64>(2)?.min(LONGEST_TTL_MS));
            Ok(Answer::Done(format!("[{owner},{left}]")))
        };
        let (statement, mode) =
            if mark { (&AWAIT, AccessMode::Exclusive) } else { (&HOLDER_LEFT, AccessMode::Shared) };
        let request = self.request(statement, mode, key.to_owned(), [], read, reply);
        self.place.engine.submit(match retry_time {
            Some(retry_time) => request.retrying_for(retry_time),
            None => request,
        });
        let json = outcome.await?;
        let holder: Option<(String, f64)> = serde_json::from_str(&json).unwrap_or(None);
        Ok(holder.map(|(owner, left)| (owner, millis(left))))
    }

    /// Subscribes to notifications about a lock; none if the table sends none.
    pub(super) fn listen(&self, key: &str) -> Option<Subscription> {
        let shape = self.place.table.shape();
        let stored = || self.place.prefix.stored(key, shape.max_chars("key")).text;
        shape.has(WAKING).then(|| self.place.engine.listen(shape.topic(&stored())))
    }

    /// Releases a lock that its holder does not want, as soon as the server can be reached.
    pub fn give_back(&self, key: String, owner: String, ttl: f64, counted: Option<Reply>) {
        give_back(self, key, owner, ttl, counted);
    }

    fn owed_release(&self, key: String, owner: String) -> FutureOutcome {
        let (reply, outcome) = Reply::awaited();
        let rest = [Arg::text(owner), Arg::Int(None)];
        let request = self.request(&RELEASE, AccessMode::Exclusive, key, rest, nothing, reply);
        self.place.engine.submit(request.owed());
        outcome
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.place.engine
    }

    pub(super) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The name of a lock among all locks that callers wait for on this engine.
    pub(super) fn name_in_line(&self, key: &str) -> String {
        format!("{}{key}", self.place.prefix.as_str())
    }

    /// A request that may run again when its outcome is unknown: the owner makes a second run harmless.
    fn request<const N: usize>(
        &self,
        statement: &'static Template,
        mode: AccessMode,
        key: String,
        rest: [Arg; N],
        read: impl FnMut(Found<'_>) -> Result<Answer, Error> + Send + 'static,
        reply: Reply,
    ) -> Request {
        let accesses = self.place.on_key(&key, mode);
        let call = KeyCall::new(&self.place, statement, "key", key, rest, read);
        self.place.request(accesses, call, Retry::Harmless, reply)
    }
}

/// A lock that was granted, with what identifies one lease of it.
pub(super) struct Granted {
    pub(super) key: String,
    pub(super) owner: String,
    /// The number that the row stores for this lease; none if the table has no tokens.
    pub(super) stored: Option<i64>,
}

impl Granted {
    /// From the answer of [`Locks::acquire`]; none if the lock was not granted.
    pub(super) fn read(key: String, answer: &str) -> Option<Self> {
        let granted: String = serde_json::from_str(answer).ok()?;
        let (token, owner) = granted.split_once(',')?;
        let stored = token.parse().ok().map(stored);
        Some(Self { key, owner: owner.to_owned(), stored })
    }
}

/// A fencing token: the number that was drawn while the row was in place, and its distance from the one that the row
/// stores. None if that is too far.
fn token(drawn: i64, stored: i64) -> Option<i64> {
    let distance = drawn - stored;
    (distance >> DISTANCE_BITS == 0).then_some(drawn << DISTANCE_BITS | distance)
}

/// The number that the row stores for the lease with this token: see [`token`].
fn stored(token: i64) -> i64 {
    (token >> DISTANCE_BITS) - (token & ((1 << DISTANCE_BITS) - 1))
}

/// Releases a lock that is not used any more. Ends when the server has released it, or when the lease has run out.
/// The end of the pool, and of the process, waits for that, within a limit. `counted` takes the outcome of the first
/// attempt.
fn give_back(locks: &Locks, key: String, owner: String, ttl: f64, counted: Option<Reply>) {
    const PAUSE: Duration = Duration::from_millis(500);
    let until = Instant::now() + millis(ttl);
    // The first attempt runs at its own place among the calls on this key.
    let mut attempt = locks.owed_release(key.clone(), owner.clone());
    let locks = locks.clone();
    locks.engine().clone().owe(async move {
        let mut counted = counted;
        loop {
            let outcome = attempt.await;
            let is_done = matches!(outcome, Ok(_) | Err(Error::Closed));
            if let Some(reply) = counted.take() {
                reply.settle(outcome);
            }
            if is_done {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            if Instant::now() >= until {
                return;
            }
            attempt = locks.owed_release(key.clone(), owner.clone());
        }
    });
}
