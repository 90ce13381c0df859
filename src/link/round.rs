//! One round: the statements that a lane sends together, and what becomes of their calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::job::{Answered, Job, Retry};
use super::pool::Lease;
use super::reply::Telling;
use super::statement::{Arg, Statement, deal};
use super::{Error, Link};

/// A round's bound in bytes: what one answer may cost the calls that wait behind it.
const ROUND_BYTES: usize = 1 << 20;

/// How often a statement that failed harmlessly runs again before its error is the caller's. The pauses between
/// (see [`pause`]) add up to about two and a half seconds: enough for a server that restarts.
pub(super) const MAX_FAILURES: u32 = 8;

pub(super) async fn round(link: &Arc<Link>, lease: &Lease, jobs: Vec<Job>) -> Vec<Job> {
    let mut again = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    link.traffic.count_round();
    for mut job in jobs {
        if !job.prepare.is_prepared() {
            let preparation = job.prepare.clone();
            if let Err(error) = preparation.prepare(lease).await {
                again.extend(failed(link, lease, job, &error.before_sending()));
                continue;
            }
        }
        match job.bind() {
            Some(statement) => Group::add(&mut groups, statement, job),
            None => again.extend(answer_all(link, vec![(job, &[])])),
        }
    }
    // Most rounds are of one kind.
    if let [_] = groups.as_slice() {
        again.extend(groups.remove(0).run(link, lease).await);
        return again;
    }
    let runs = groups.into_iter().map(|group| group.run(link, lease));
    again.extend(join_all(runs).await.into_iter().flatten());
    again
}

/// The calls of a round that one statement carries.
struct Group {
    statement: Arc<Statement>,
    jobs: Vec<Job>,
    bytes: usize,
}

impl Group {
    fn add(groups: &mut Vec<Group>, statement: Arc<Statement>, job: Job) {
        let bytes = job.args().iter().map(Arg::bytes).sum();
        let shares = |group: &&mut Group| {
            statement.is_batched()
                && group.statement.is_same(&statement)
                && statement.agree(group.jobs[0].args(), job.args())
                && group.bytes + bytes <= ROUND_BYTES
                // A job that failed before runs by itself: it may be the one that made its batch fail.
                && job.failures == 0
                && group.jobs[0].failures == 0
        };
        match groups.iter_mut().rev().find(shares) {
            Some(group) => {
                group.jobs.push(job);
                group.bytes += bytes;
            }
            None => groups.push(Group { statement, jobs: vec![job], bytes }),
        }
    }

    /// Sends the statement and answers its calls; gives back those that must run again.
    async fn run(self, link: &Arc<Link>, lease: &Lease) -> Vec<Job> {
        let Group { statement, jobs, .. } = self;
        let calls: Vec<&[Arg]> = jobs.iter().map(Job::args).collect();
        link.traffic.count_statement(jobs.iter().map(Job::calls).sum());
        match send(link, lease, &statement, &calls).await {
            Ok(rows) => {
                let parts = deal(&rows, &calls);
                answer_all(link, jobs.into_iter().zip(parts.into_iter().map(|part| &rows[part])).collect())
            }
            // One bad call must not fail its batch, and the server did none of it: each by itself, in one pipeline.
            Err(error @ Error::Server(_)) if jobs.len() > 1 && !error.ends_connection() => {
                let alone = jobs.into_iter().map(async |job| {
                    job.note_repetition();
                    link.traffic.count_statement(job.calls());
                    match send(link, lease, &statement, &[job.args()]).await {
                        Ok(rows) => answer_all(link, vec![(job, &rows)]),
                        Err(error) => failed(link, lease, job, &error).into_iter().collect(),
                    }
                });
                join_all(alone).await.into_iter().flatten().collect()
            }
            Err(error) => jobs.into_iter().filter_map(|job| failed(link, lease, job, &error)).collect(),
        }
    }
}

/// Tells the callers what their rows say, then gives the turns back; gives back those that want another run.
fn answer_all(link: &Arc<Link>, answered: Vec<(Job, &[Row])>) -> Vec<Job> {
    let mut again = Vec::new();
    let mut done = Vec::with_capacity(answered.len());
    let mut telling = Telling::default();
    for (job, rows) in answered {
        // A row that cannot be read (a hand-made table with a NULL where none belongs) fails its own call, not the round.
        match catch_unwind(AssertUnwindSafe(|| job.answer(rows, &mut telling))) {
            Ok(Answered::Done(job)) => done.push(job.retire()),
            Ok(Answered::Again(job)) => {
                job.note_repetition();
                again.push(job);
            }
            Err(_) => {}
        }
    }
    // First the callers, then the next in line: see `Job::settle`.
    drop(telling);
    link.leave(done);
    again
}

async fn send(
    link: &Link,
    lease: &Lease,
    statement: &Statement,
    calls: &[&[Arg]],
) -> Result<Vec<Row>, Error> {
    let (words, params) = statement.run(calls);
    let params: Vec<&(dyn ToSql + Sync)> =
        params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
    lease.run(words, &params, link.unnamed_only()).await
}

/// Tells the caller of a failure, or gives the job back to run again.
fn failed(link: &Arc<Link>, lease: &Lease, mut job: Job, error: &Error) -> Option<Job> {
    job.failures += 1;
    let runs_again = runs_again(link, lease, &mut job, error);
    if runs_again && (job.failures < MAX_FAILURES || is_patient(link, &job)) {
        job.note_repetition();
        return Some(job);
    }
    job.settle(Err(error.clone()));
    None
}

/// Whether another run may mend a failure, and can do no harm.
fn runs_again(link: &Arc<Link>, lease: &Lease, job: &mut Job, error: &Error) -> bool {
    if error.ends_connection() {
        lease.spoil();
        if matches!(error, Error::Unsent) {
            return true;
        }
        job.maybe_done = true;
        return job.retry == Retry::Harmless;
    }
    if matches!(error, Error::QueryTimeout) {
        // The statement may still run, in front of whatever this connection would be given next.
        lease.spoil();
        job.maybe_done = true;
        return is_patient(link, job) && job.retry == Retry::Harmless;
    }
    let first = job.failures == 1;
    match error.sqlstate() {
        // Rolled back whole: a serialization failure, a deadlock.
        Some("40001" | "40P01") => true,
        // The table is gone, or was never made; or what it had beyond the documented schema is, or the right to use that:
        // prepare anew.
        Some("42P01" | "42703" | "42501") => first && job.prepare.invalidate(),
        // The server does not know our prepared statement, or knows another by its name: a transaction pooler.
        Some("26000" | "42P05") => {
            link.unnamed_only.store(true, Ordering::Relaxed);
            true
        }
        // "cached plan must not change result type", after DDL.
        Some("0A000") => {
            lease.forget_statements();
            first
        }
        // Read-only: a primary that has become a standby. Nothing was written; another connection may find the primary.
        Some("25006") => {
            lease.spoil();
            first || is_patient(link, job)
        }
        // Short of disk, memory or connections, or a wait that was cut short. The server has undone it.
        Some("55P03" | "57014") => is_patient(link, job),
        Some(code) if code.starts_with("53") => is_patient(link, job),
        _ => false,
    }
}

/// Whether a call rides a fault out. Not any more, once the pool has been ended: that waits for the call.
pub(super) fn is_patient(link: &Link, job: &Job) -> bool {
    job.is_patient() && !link.is_closed()
}

/// The first repetition is immediate; the pauses then double from 10 ms. No pause outlasts the patience that a call has
/// left, or the try after it would be beyond that.
pub(super) fn pause(job: &Job) -> Duration {
    let pause = match job.failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(10 << more.min(MAX_FAILURES - 1)),
    };
    match job.patience() {
        Some(left) if !left.is_zero() => pause.min(left / 2),
        _ => pause,
    }
}
