//! Hands a lock that a process releases over to its own next waiter, in one statement.
//!
//! Otherwise a hand-over takes at least three: the release, which notifies the waiter, its try, and the mark of the waiter behind it.
//! All processes that wait would be woken, too. So a process keeps a lock to itself for a while
//! ([`leases::LONGEST_RUN`](crate::tuning::leases::LONGEST_RUN)), and then releases it to all.

use std::time::Instant;

use uuid::Uuid;

use super::attempt::Attempt;
use super::grant::Grant;
use super::lines;
use super::provider::Locks;
use super::release::give_back;
use super::successor::Successor;
use super::token::Token;
use crate::engine::{AccessMode, Answer, Arg, Error, Kind, Reply};
use crate::store::call::Found;
use crate::store::cells::Cells;
use crate::store::place::ttl_arg;
use crate::store::template::Template;

/// A release and an acquisition in one: what was the lock of one owner is that of another. `held` locks the rows in order, as for
/// a change of their keys: as a release does, it waits for transactions that have had the owner's token checked. The `UPDATE`
/// follows that wait. So the new lease counts from after it, and the token is drawn while no other process can hold
/// the key. A lease that has run out is handed over as well, if no other owner has taken the lock since: it would be free.
///
/// * No row: the owner no longer held the lock. Or the role may delete rows that it may not change. Then the lock is
///   released to all, which does nothing in the first case.
/// * The row keeps the mark of its waiters. The new owner is known to this process, and others wait on.
/// * A second run, when the outcome of the first is unknown, finds the new owner and changes nothing. So does a first run that
///   arrives after the second, as it can through a pooler. This is why the new owner is one that is drawn here: an owner
///   whom callers name may hold the lock for another reason.
/// * `$5` is the number that the row stores for the old lease, or NULL: see [`Locks::if_shared`].
static HAND_OVER: Template = Template::of_both(
    r#"
WITH held AS (
  SELECT key FROM {table}
   WHERE key = $1 AND (owner = $3 OR owner = $2{with fencing} AND ($5 IS NULL OR fencing_token = $5){end}) FOR UPDATE
)
UPDATE {table} AS lock
   SET owner = $3,
       expires_at = CASE lock.owner WHEN $3 THEN lock.expires_at ELSE {now:expires_at} + $4 * INTERVAL '1 millisecond' END
       {with fencing}, fencing_token = CASE lock.owner WHEN $3 THEN lock.fencing_token ELSE {draw:fencing_token} END, fencing_owner = $3{end}
       {with acquisition}, acquisition = NULL{end}
  FROM held
 WHERE lock.key = held.key
   AND (lock.owner = $3 OR lock.owner = $2{with fencing} AND ($5 IS NULL OR lock.fencing_token = $5){end})
RETURNING lock.key::text, {with waking}lock.{mark} IS TRUE{end}{without waking}false{end}{with fencing}, lock.fencing_token{end}"#,
    r#"
WITH held AS (
  SELECT held.key, call.owner, call.successor, call.ttl, call.token
    FROM unnest($1, $2, $3, $4, $5) AS call (key, owner, successor, ttl, token)
    JOIN {table} AS held ON held.key = call.key
     AND (held.owner = call.successor
          OR held.owner = call.owner{with fencing} AND (call.token IS NULL OR held.fencing_token = call.token){end})
   ORDER BY held.key COLLATE "C" FOR UPDATE OF held
)
UPDATE {table} AS lock
   SET owner = held.successor,
       expires_at = CASE lock.owner WHEN held.successor THEN lock.expires_at
                                    ELSE {now:expires_at} + held.ttl * INTERVAL '1 millisecond' END
       {with fencing}, fencing_token = CASE lock.owner WHEN held.successor THEN lock.fencing_token ELSE {draw:fencing_token} END,
       fencing_owner = held.successor{end}
       {with acquisition}, acquisition = NULL{end}
  FROM held
 WHERE lock.key = held.key
   AND (lock.owner = held.successor
        OR lock.owner = held.owner{with fencing} AND (held.token IS NULL OR lock.fencing_token = held.token){end})
RETURNING lock.key::text, {with waking}lock.{mark} IS TRUE{end}{without waking}false{end}{with fencing}, lock.fencing_token{end}"#,
    &[Kind::Text, Kind::Text, Kind::Text, Kind::Float, Kind::Int],
);

impl Locks {
    /// Releases a lock, to the next waiter of this process if there is one. `token`: the lease's.
    pub fn release(&self, key: String, owner: String, token: Option<Token>, reply: Reply<()>) {
        // Permits of a semaphore are taken by number, and what is released within a transaction is not free before its commit.
        let may_hand_over = !self.is_of_permits && !self.place.is_within();
        let successor = may_hand_over
            .then(|| lines::successor(self.engine(), || self.name_in_line(&key, None)))
            .flatten();
        match successor {
            Some(successor) => self.hand_over(successor, key, owner, token, reply),
            None => self.release_to_all(key, owner, token, reply),
        }
    }

    /// A lock is released in another way: the next waiter of this process does not take it for held.
    pub(super) fn leaves_line(&self, key: &str) {
        if !self.place.is_within() {
            lines::released(self.engine(), || self.name_in_line(key, None));
        }
    }

    fn hand_over(
        &self,
        successor: Successor,
        key: String,
        owner: String,
        token: Option<Token>,
        reply: Reply<()>,
    ) {
        let (granted, outcome) = Reply::awaited();
        let sent = Instant::now();
        let to = Uuid::new_v4().to_string();
        let args = [
            Arg::text(owner.clone()),
            Arg::text(to.clone()),
            ttl_arg(Some(successor.ttl)),
            Arg::Int(self.if_shared(token)),
        ];
        // As an acquisition: no caller knows the new owner.
        let undo = {
            let (locks, key, owner, ttl) = (successor.locks.clone(), key.clone(), to.clone(), successor.ttl);
            move || give_back(&locks, key, owner, ttl, None)
        };
        let read = move |found: Found<'_>| {
            let Some(row) = found.rows.first() else { return Ok(Answer::Done(None)) };
            let token = match row.width() {
                2 => None,
                _ => row.cell::<Option<i64>>(2)?.and_then(|stored| Token::new(stored, stored)),
            };
            let owner = to.clone();
            Ok(Answer::Done(Some(Grant { owner, token, permit: None, is_marked: row.cell(1)? })))
        };
        let released = {
            let (locks, key) = (self.clone(), key.clone());
            move |outcome: Result<Option<Grant>, Error>| {
                match &outcome {
                    Ok(Some(_)) => reply.settle(Ok(())),
                    Ok(None) => locks.release_later(key, owner, token, reply),
                    Err(error) => reply.settle(Err(error.clone())),
                }
                granted.settle(outcome);
            }
        };
        let request = successor
            .locks
            .request(&HAND_OVER, AccessMode::Exclusive, key, args, read, Reply::new(released))
            .if_unsettled(undo);
        successor.locks.engine().submit(request);
        successor.hand_over(Attempt { sent, outcome, is_hand_over: true });
    }
}
