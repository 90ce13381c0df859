//! Moves the end of leases.

use std::time::{Duration, Instant};

use super::grant::Grant;
use super::provider::Locks;
use super::token::Token;
use crate::engine::{AccessMode, Arg, Kind, Reply, Request};
use crate::store::call::{Found, any_row};
use crate::store::place::ttl_arg;
use crate::store::template::Template;
use crate::time::millis;
use crate::tuning::leases;

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

impl Locks {
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
        token: Option<Token>,
        reply: Reply<bool>,
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
        key: String,
        grant: &Grant,
        ttl: f64,
        retry_time: Duration,
        extended: impl FnMut() + Send + 'static,
        reply: Reply<bool>,
    ) {
        let stored = grant.token.map(Token::stored);
        let request = self.extension(key, ttl, grant.owner.clone(), stored, extended, reply);
        self.place.engine.submit(request.retrying_for(retry_time));
    }

    fn extension(
        &self,
        key: String,
        ttl: f64,
        owner: String,
        stored: Option<i64>,
        mut extended: impl FnMut() + Send + 'static,
        reply: Reply<bool>,
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
}
