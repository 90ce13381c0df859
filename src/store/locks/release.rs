//! Releases locks.

use std::time::{Duration, Instant};

use super::provider::Locks;
use super::token::Token;
use crate::engine::{AccessMode, Answer, Arg, Error, FutureOutcome, Kind, Reply, Retry};
use crate::store::call::{Found, KeyCall, any_row, nothing};
use crate::store::cells::Cells;
use crate::store::template::{DELETE_BY_KEY, Template};
use crate::time::millis;

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

/// As [`RELEASE`]. It returns a row if the lock was still the owner's, and whether it had not expired: by the clock after any
/// wait for the row. The commit waits for the disk, since the caller is informed that the lock is free.
static RELEASE_AND_TELL: Template = Template::of_both(
    "DELETE FROM {table} WHERE key = $1 AND owner = $2 RETURNING key::text, coalesce(expires_at > {now:expires_at}, true)",
    r#"
WITH held AS (
  SELECT held.key
    FROM unnest($1, $2) AS call (key, owner)
    JOIN {table} AS held ON held.key = call.key AND held.owner = call.owner
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
DELETE FROM {table} WHERE key = ANY (ARRAY(SELECT key FROM held))
RETURNING key::text, coalesce(expires_at > {now:expires_at}, true)"#,
    &[Kind::Text, Kind::Text],
);

impl Locks {
    /// `token`: the lease's.
    pub(super) fn release_to_all(&self, key: String, owner: String, token: Option<Token>, reply: Reply<()>) {
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
    pub(super) fn if_shared(&self, token: Option<Token>) -> Option<i64> {
        let is_shared = self.place.engine.shares_sessions();
        token.filter(|_| is_shared).map(Token::stored)
    }

    /// As [`release`](Self::release), and returns whether the lock was still the owner's, expired or not.
    pub fn release_one(&self, key: String, owner: String, reply: Reply<bool>) {
        self.leaves_line(&key);
        let args = [Arg::text(owner)];
        let request = self.request(&RELEASE_AND_TELL, AccessMode::Exclusive, key, args, any_row, reply);
        self.place.engine.submit(request);
    }

    /// Whether the owner has held the lock until now. Not repeated when its outcome is unknown: a second run would not find
    /// what the first has released.
    pub fn release_held(&self, key: String, owner: String, reply: Reply<bool>) {
        self.leaves_line(&key);
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let read = |found: Found<'_>| {
            let was_live = found.rows.first().map(|row| row.cell(1)).transpose()?;
            Ok(Answer::Done(was_live.unwrap_or(false)))
        };
        let call = KeyCall::new(&self.place, &RELEASE_AND_TELL, "key", key, [Arg::text(owner)], read);
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    /// Not repeated when its outcome is unknown: by then another process may just have taken the lock.
    pub fn force_release(&self, key: String, reply: Reply<()>) {
        self.leaves_line(&key);
        let accesses = self.place.on_key(&key, AccessMode::Exclusive);
        let call = KeyCall::new(&self.place, &DELETE_BY_KEY, "key", key, [], nothing);
        self.place.submit(accesses, call, Retry::Never, reply);
    }

    /// Releases a lock that its holder does not want, as soon as the server can be reached.
    pub fn give_back(&self, key: String, owner: String, ttl: f64, counted: Option<Reply<()>>) {
        self.leaves_line(&key);
        give_back(self, key, owner, ttl, counted);
    }

    /// As [`release_to_all`](Self::release_to_all), while outcomes of other calls are reported: then nothing can be submitted. The
    /// end of the pool waits for it all the same.
    pub(super) fn release_later(&self, key: String, owner: String, token: Option<Token>, reply: Reply<()>) {
        let locks = self.clone();
        self.engine().owe(async move { reply.settle(locks.owed_release(key, owner, token).await) });
    }

    fn owed_release(&self, key: String, owner: String, token: Option<Token>) -> FutureOutcome<()> {
        let (reply, outcome) = Reply::awaited();
        let rest = [Arg::text(owner), Arg::Int(self.if_shared(token))];
        let request = self.request(&RELEASE, AccessMode::Exclusive, key, rest, nothing, reply);
        self.place.engine.submit(request.owed());
        outcome
    }
}

/// Releases a lock that is not used any more. Ends when the server has released it, or when the lease has run out.
/// The end of the pool, and of the process, waits for that, within a limit. `counted` takes the outcome of the first
/// attempt.
pub(super) fn give_back(locks: &Locks, key: String, owner: String, ttl: f64, counted: Option<Reply<()>>) {
    const PAUSE: Duration = Duration::from_millis(500);
    let until = Instant::now() + millis(ttl);
    // The first attempt runs at its own place among the calls on this key.
    let mut attempt = locks.owed_release(key.clone(), owner.clone(), None);
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
            attempt = locks.owed_release(key.clone(), owner.clone(), None);
        }
    });
}
