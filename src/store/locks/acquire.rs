//! Takes locks.

use std::time::Duration;

use uuid::Uuid;

use super::grant::{Grant, Granted};
use super::provider::Locks;
use super::release::give_back;
use crate::engine::{AccessMode, Answer, Arg, Kind, Reply, Request};
use crate::store::call::Found;
use crate::store::place::ttl_arg;
use crate::store::template::{Template, one_or_many};
use crate::tuning::sweeps;

/// What follows the rows to insert of [`ACQUIRE`], and of a semaphore's permit.
macro_rules! take_row {
    () => {
        r#"
ON CONFLICT (key) DO UPDATE
  SET key = {noting excluded.key}, owner = excluded.owner,
      expires_at = {counted_anew:expires_at}
      {with fencing}, fencing_token = {draw:fencing_token}, fencing_owner = excluded.owner{end}{with acquisition}, acquisition = excluded.acquisition{end}
      {with waking}, {mark} = CASE WHEN held.owner = excluded.owner THEN held.{mark} END{end}
  WHERE held.owner = excluded.owner{with acquisition} AND (excluded.acquisition IS NULL OR held.acquisition = excluded.acquisition){end}
     OR held.expires_at <= {now:expires_at}
RETURNING held.key::text,
          {inserted} AND clock_timestamp() - statement_timestamp()
                              > least((held.expires_at - {start:expires_at}) / 8, INTERVAL '50 milliseconds')
          {with fencing}, CASE WHEN {inserted} THEN {draw:fencing_token} ELSE held.fencing_token END,
          held.fencing_token{end}"#
    };
}
pub(super) use take_row;

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
/// 4. A sweep removes expired rows of other keys. Its LIMIT reads all written rows, to the end, so it starts
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
///   [`Token`]. (An alternative is to run again whenever the two numbers are not neighbours. Then the token would not
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
/// **Without re-entry** (`$4` is not NULL), a live lock of the same owner is as busy as any other. But a call whose answer was
/// lost runs again, and must know its own lock. So `$4` is an id of the call, which the row keeps as its `acquisition`: where the
/// row has it, this very call has taken the lock. Whatever takes the lock later replaces the id, calls that may re-enter by
/// NULL: then the lock is not this call's any more. If the table has no such column, the statement takes nothing for such a
/// call.
///
/// The engine finds by their keys which calls the rows belong to. A join in here would compare each row with each call,
/// and cost more than everything else (measured with 128 calls: 20 µs a call with it, 9 µs without).
static ACQUIRE: Template = one_or_many!(
    r#"
INSERT INTO {table} AS held (key, owner, expires_at{with fencing}, fencing_token, fencing_owner{end}{with acquisition}, acquisition{end})"#,
    one: r#"
SELECT $1, $2, {start:expires_at} + $3 * INTERVAL '1 millisecond'{with fencing}, {draw:fencing_token}, $2{end}{with acquisition}, $4{end}
 WHERE NOT EXISTS (SELECT FROM {table} WHERE key = $1 AND expires_at > {now:expires_at}
                      AND (owner <> $2{with acquisition} OR $4 IS NOT NULL AND acquisition IS DISTINCT FROM $4{end}))
       {without acquisition}AND $4 IS NULL{end}"#,
    many: r#"
SELECT key, owner, {start:expires_at} + ttl * INTERVAL '1 millisecond'{with fencing}, {draw:fencing_token}, owner{end}{with acquisition}, acquisition{end}
  FROM unnest($1, $2, $3, $4) AS call (key, owner, ttl, acquisition)
 WHERE NOT EXISTS (SELECT FROM {table} AS other
                    WHERE other.key = call.key AND other.expires_at > {now:expires_at}
                      AND (other.owner <> call.owner{with acquisition}
                           OR call.acquisition IS NOT NULL AND other.acquisition IS DISTINCT FROM call.acquisition{end}))
       {without acquisition}AND call.acquisition IS NULL{end}
 ORDER BY key COLLATE "C""#,
    take_row!(),
    &[Kind::Text, Kind::Text, Kind::Float, Kind::Text],
)
.sweeping(
    r#"
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND key <> ALL ($1)
   ORDER BY expires_at
   LIMIT (SELECT CASE count(*) WHEN 0 THEN 0 ELSE {most_swept} + 2 * count(*) END FROM written)
   FOR UPDATE SKIP LOCKED))"#,
)
.after_a_pause_of(sweeps::PAUSE_OF_LOCKS);

impl Locks {
    /// None if another owner holds the lock. Without an `owner` a UUIDv4 is drawn. `is_reentrant`: whether an owner that
    /// holds the lock takes it again. Otherwise it gets none, too, and in any case if [`Locks::lacks_acquisitions`].
    ///
    /// After a broken connection it is unknown whether the server took the lock. Running the statement again with the
    /// same owner settles it: it takes the lock, or finds it taken by this very call. If no run succeeds and the
    /// owner was drawn here, no caller knows the owner. Then the lock is released in the background as soon as the
    /// server can be reached. A lock under the caller's own name may have been theirs before, and is left to them.
    pub fn acquire(
        &self,
        key: String,
        ttl: f64,
        owner: Option<String>,
        is_reentrant: bool,
        reply: Reply<Option<Grant>>,
    ) {
        // No other call has an owner that is drawn here.
        let id = (!is_reentrant && owner.is_some()).then(|| Uuid::new_v4().to_string());
        self.place.engine.submit(self.acquisition(key, ttl, owner, id, reply));
    }

    /// As [`acquire`](Self::acquire), but retries transient failures within this time. If its caller gives up, the
    /// release of a lock that it still takes is owed; so it does not keep the pool's end waiting without a limit.
    pub(super) fn acquire_with_retries(
        &self,
        key: String,
        ttl: f64,
        owner: Option<String>,
        retry_time: Duration,
        reply: Reply<Option<Grant>>,
    ) {
        self.place
            .engine
            .submit(self.acquisition(key, ttl, owner, None, reply).retrying_for(retry_time).owed());
    }

    fn acquisition(
        &self,
        key: String,
        ttl: f64,
        owner: Option<String>,
        id: Option<String>,
        reply: Reply<Option<Grant>>,
    ) -> Request {
        let drawn = owner.is_none();
        let owner = owner.unwrap_or_else(|| Uuid::new_v4().to_string());
        let undo = drawn.then(|| {
            let (locks, key, owner) = (self.clone(), key.clone(), owner.clone());
            move || give_back(&locks, key, owner, ttl, None)
        });
        let mut granted = Granted::new(&owner);
        let read = move |found: Found<'_>| match found.rows.first() {
            None => Ok(Answer::Done(None)),
            Some(row) => Ok(granted.read(row)?.map_or(Answer::Again, |grant| Answer::Done(Some(grant)))),
        };
        let request = self.request(
            &ACQUIRE,
            AccessMode::Exclusive,
            key,
            [Arg::text(owner), ttl_arg(Some(ttl)), Arg::Text(id)],
            read,
            reply,
        );
        match undo {
            Some(undo) => request.if_unsettled(undo),
            None => request,
        }
    }
}
