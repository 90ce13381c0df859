//! The permits of semaphores: rows of the table of locks, one for each permit that is held.
//!
//! A permit is a lock under a key of its own ([`permit_key`](super::permit_key)). Its lease is extended, renewed and released as
//! that of any lock.
//!
//! A semaphore has no row of its own: how many permits it has is what each caller says. A caller that says `n` gets one of
//! the permits 1 to `n`, each of which has at most one holder. So there are never more holders than the largest `n`, and a
//! caller with a smaller one waits until one of its own permits is free.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::acquire::take_row;
use super::grant::{Grant, Granted};
use super::holders::{HeldLease, Holder};
use super::permit_key::permit_key;
use super::provider::Locks;
use super::release::give_back;
use crate::engine::{
    AccessMode, Accesses, Answer, Arg, Call, Error, Kind, Reply, Request, Retry, Row, Statement,
    Subscription, array,
};
use crate::store::cells::Cells;
use crate::store::place::{Place, ttl_arg};
use crate::store::template::Template;
use crate::time::millis;
use crate::tuning::leases;

/// Takes a free permit. `$1` are the stored keys of all permits, in their order, as the text of an array.
///
/// 1. `wanted` is the permit that this owner holds already: a call runs again if its answer was lost, and must find what it
///    has taken. Otherwise it is the first permit that is not held, as of the statement's snapshot. No row: all are busy. Then
///    nothing is written.
/// 2. That one is taken as [`ACQUIRE`](super::acquire) takes a lock: of several statements that want the same permit, each by
///    the same snapshot or behind each other's rows, one takes it. So each permit has at most one holder, whatever races.
/// 3. A statement that has lost such a race says so by a row without an answer in the second column: another permit may be
///    free, so it runs again. `$4` is how often it has lost. From then on it wants any one of the free permits, since the others
///    that have lost want one, too.
/// 4. The sweep is that of [`ACQUIRE`](super::acquire), in each statement: it adds one row, and removes up to 66.
static TAKE: Template = Template::of_one(
    concat!(
        r#"
WITH wanted AS (
  SELECT permit.key FROM unnest($1::text[]) WITH ORDINALITY AS permit (key, number)
    LEFT JOIN {table} AS held ON held.key = permit.key AND (held.expires_at > {now:expires_at} OR held.expires_at IS NULL)
   WHERE held.key IS NULL OR held.owner = $2
   ORDER BY held.key IS NULL, $4 * random(), number LIMIT 1
), written AS (
INSERT INTO {table} AS held (key, owner, expires_at{with fencing}, fencing_token, fencing_owner{end})
SELECT key, $2, {start:expires_at} + $3 * INTERVAL '1 millisecond'{with fencing}, {draw:fencing_token}, $2{end} FROM wanted"#,
        take_row!(),
        r#"
), swept AS (
DELETE FROM {table} WHERE key = ANY (ARRAY(
  SELECT key FROM {table}
   WHERE expires_at <= {start:expires_at} AND key <> ALL ($1::text[])
   ORDER BY expires_at
   LIMIT (SELECT 66 * count(*) FROM written)
   FOR UPDATE SKIP LOCKED))
)
{answer}SELECT * FROM written
 UNION ALL
SELECT key, NULL::bool{with fencing}, NULL::int8, NULL::int8{end} FROM wanted WHERE NOT EXISTS (SELECT FROM written)"#
    ),
    &[Kind::Text, Kind::Text, Kind::Float, Kind::Float],
);

/// As [`AWAIT`](super::holders) for each permit: marks those that are held, in the order of their keys, and returns how long
/// their leases last. A permit without a row may be free by now, or was marked by another waiter at the same time.
static AWAIT: Template = Template::of_one(
    r#"
{with waking}WITH marked AS (
  UPDATE {table} SET {mark} = true
   WHERE key = ANY (ARRAY(
           SELECT key FROM {table}
            WHERE key = ANY ($1::text[]) AND expires_at > {now:expires_at} AND {mark} IS NOT TRUE
            ORDER BY key COLLATE "C" FOR NO KEY UPDATE))
  RETURNING key, owner, expires_at
)
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       set_config('synchronous_commit', 'off', true)
  FROM marked
 UNION ALL {end}
SELECT key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       ''
  FROM {table} WHERE key = ANY ($1::text[]) AND (expires_at > {now:expires_at}{with waking} AND {mark}{end} OR expires_at IS NULL)"#,
    &[Kind::Text],
);

/// The holders, in the order of their permits, with the rest of their leases, and when these end.
static HOLDERS: Template = Template::of_one(
    r#"
SELECT held.key::text, owner::text, (extract(epoch FROM expires_at) - extract(epoch FROM {now:expires_at}))::float8 * 1000 AS expires_at,
       least(floor(extract(epoch FROM expires_at) * 1000), 8640000000000000)::int8 AS expires_at
  FROM unnest($1::text[]) WITH ORDINALITY AS permit (key, number)
  JOIN {table} AS held ON held.key = permit.key
 WHERE expires_at > {now:expires_at} OR expires_at IS NULL
 ORDER BY number"#,
    &[Kind::Text],
);

/// The permits of a semaphore.
#[derive(Clone)]
pub(super) struct Permits {
    pub(super) semaphore: String,
    pub(super) number: u32,
}

impl Permits {
    fn keys(&self) -> impl Iterator<Item = String> {
        (1..=self.number).map(|permit| permit_key(permit, &self.semaphore))
    }

    /// As they are stored.
    fn stored(&self, place: &Place) -> Vec<String> {
        let max_chars = place.table.shape().max_chars("key");
        self.keys().map(|key| place.prefix.stored(&key, max_chars).text).collect()
    }
}

impl Locks {
    /// Takes a permit for this owner, or for one that is drawn: none if all are busy. It retries transient failures within
    /// this time. Otherwise as [`acquire`](Self::acquire).
    pub(super) fn acquire_permit(
        &self,
        permits: &Permits,
        ttl: f64,
        owner: Option<String>,
        retry_time: Duration,
        reply: Reply<Option<Grant>>,
    ) {
        let drawn = owner.is_none();
        let owner = owner.unwrap_or_else(|| Uuid::new_v4().to_string());
        let undo = drawn.then(|| {
            let (locks, permits, owner) = (self.clone(), permits.clone(), owner.clone());
            move || permits.keys().for_each(|key| give_back(&locks, key, owner.clone(), ttl, None))
        });
        let mut granted = Granted::new(&owner);
        let read = move |stored: &[String], rows: &[Row]| {
            let Some(row) = rows.first() else { return Ok(Outcome::Done(None)) };
            if row.cell::<Option<bool>>(1)?.is_none() {
                return Ok(Outcome::Lost);
            }
            let key: &str = row.cell(0)?;
            let permit = stored.iter().position(|stored| stored == key).map(|at| at as u32 + 1);
            Ok(match granted.read(row)? {
                Some(grant) => Outcome::Done(Some(Grant { permit, ..grant })),
                None => Outcome::Again,
            })
        };
        let rest = vec![Arg::text(owner), ttl_arg(Some(ttl)), Arg::Float(Some(0.0))];
        let request = self.on_permits(&TAKE, AccessMode::Exclusive, permits, rest, read, reply);
        let request = request.retrying_for(retry_time).owed();
        self.place.engine.submit(match undo {
            Some(undo) => request.if_unsettled(undo),
            None => request,
        });
    }

    /// The lease that ends first if all permits are held; none if one may be free by now. As
    /// [`await_release`](Self::await_release).
    pub(super) async fn await_permit(
        &self,
        permits: &Permits,
        mark: bool,
    ) -> Result<Option<HeldLease>, Error> {
        if !mark {
            return self.first_to_end(&HOLDERS, AccessMode::Shared, permits).await;
        }
        let found = self.first_to_end(&AWAIT, AccessMode::Exclusive, permits).await?;
        if found.is_some() {
            return Ok(found);
        }
        // One may be free by now. Or another waiter has marked some of them at the same time, or the mark was refused
        // without an error: then the next try is soon, but not at once.
        let found = self.first_to_end(&HOLDERS, AccessMode::Shared, permits).await?;
        Ok(found.map(|HeldLease { owner, left }| HeldLease { owner, left: left.min(leases::LAST_POLL) }))
    }

    async fn first_to_end(
        &self,
        statement: &'static Template,
        mode: AccessMode,
        permits: &Permits,
    ) -> Result<Option<HeldLease>, Error> {
        let (reply, outcome) = Reply::awaited();
        let number = permits.number as usize;
        let read = move |_: &[String], rows: &[Row]| {
            let lease = |row: &Row| Ok(HeldLease { owner: row.cell(1)?, left: millis(row.cell(2)?) });
            let held: Vec<HeldLease> = rows.iter().map(lease).collect::<Result<_, Error>>()?;
            let all_are_held = held.len() >= number;
            Ok(Outcome::Done(held.into_iter().min_by_key(|lease| lease.left).filter(|_| all_are_held)))
        };
        self.place.engine.submit(self.on_permits(statement, mode, permits, Vec::new(), read, reply));
        outcome.await
    }

    /// The holders of the semaphore's permits, as a caller with this number of them sees them.
    pub fn holders(&self, semaphore: String, number: u32, reply: Reply<Vec<Holder>>) {
        let read = |_: &[String], rows: &[Row]| {
            let holder = |row: &Row| Ok(Holder { owner: row.cell(1)?, expires_at: row.cell(3)? });
            rows.iter().map(holder).collect::<Result<_, Error>>().map(Outcome::Done)
        };
        let permits = Permits { semaphore, number };
        let request = self.on_permits(&HOLDERS, AccessMode::Shared, &permits, Vec::new(), read, reply);
        self.place.engine.submit(request);
    }

    /// Subscribes to notifications about each permit; none if the table sends none.
    pub(super) fn listen_to_permits(&self, permits: &Permits) -> Option<Subscription> {
        self.listen_to(permits.keys())
    }

    fn on_permits<T: Send + 'static>(
        &self,
        statement: &'static Template,
        mode: AccessMode,
        permits: &Permits,
        rest: Vec<Arg>,
        read: impl FnMut(&[String], &[Row]) -> Result<Outcome<T>, Error> + Send + 'static,
        reply: Reply<T>,
    ) -> Request {
        let accesses = Accesses::new(&[
            self.place.table.access(AccessMode::Intent),
            self.place.key_access("semaphore", &permits.semaphore, mode),
        ]);
        let args = std::iter::once(Arg::Text(None)).chain(rest).collect();
        let (place, permits) = (self.place.clone(), permits.clone());
        let call = PermitsCall { place, statement, permits, stored: Vec::new(), args, races: 0, read };
        self.place.request(accesses, call, Retry::Harmless, reply)
    }
}

enum Outcome<T> {
    Done(T),
    Again,
    /// Another statement has taken the wanted permit.
    Lost,
}

/// A call about all permits of a semaphore.
struct PermitsCall<R> {
    place: Arc<Place>,
    statement: &'static Template,
    permits: Permits,
    stored: Vec<String>,
    args: Vec<Arg>,
    /// How often it has lost.
    races: u32,
    read: R,
}

impl<T, R> Call for PermitsCall<R>
where
    T: Send + 'static,
    R: FnMut(&[String], &[Row]) -> Result<Outcome<T>, Error> + Send + 'static,
{
    type Output = T;

    fn bind(&mut self) -> Arc<Statement> {
        self.stored = self.permits.stored(&self.place);
        self.args[0] = Arg::text(array(self.stored.iter().cloned().map(Some)));
        self.place.table.shape().statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<T>, Error> {
        let outcome = (self.read)(&self.stored, rows);
        Ok(match self.place.name_row(outcome)? {
            Outcome::Done(output) => Answer::Done(output),
            Outcome::Again => Answer::Again,
            Outcome::Lost => {
                self.races += 1;
                if let Some(races) = self.args.get_mut(3) {
                    *races = Arg::Float(Some(f64::from(self.races)));
                }
                Answer::Again
            }
        })
    }
}
