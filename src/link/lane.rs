//! A lane: a leased connection that carries rounds of statements for as long as calls are waiting.
//!
//! 1. A lane takes what is ready, up to a bound in calls and bytes. Ready jobs commute (the sequencer saw to that), so
//!    their order within a round is free.
//! 2. Jobs of one kind become one statement; the statements of a round are sent one behind the other without waiting
//!    for answers. Each is a transaction of its own.
//! 3. Each job is answered when its own statement is, and its turn goes to the next in line.
//! 4. A statement that fails with many calls aboard is run again call by call, so that a bad call fails alone.
//! 5. What failed without harm (see [`runs_again`]) goes into the next round, and so keeps its turn.
//!
//! A round that a row lock of somebody else holds up does not stop the rest: after [`HELD_UP`] another lane may start,
//! up to the pool's `max`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;
use tokio_postgres::types::ToSql;

use super::job::{Bound, Job, Retry, Rows};
use super::pool::Lease;
use super::statement::{Arg, Statement, deal, parameters};
use super::{Error, Link};

/// A round's bounds: what one answer may cost the calls that wait behind it.
const ROUND_JOBS: usize = 256;
const ROUND_BYTES: usize = 1 << 20;

/// A round that takes longer than this no longer counts as carrying, so that another lane may start.
const HELD_UP: Duration = Duration::from_millis(10);

/// How long no further lane is tried after one found no connection.
const LANE_LIMIT: Duration = Duration::from_secs(1);

/// How often a statement that failed harmlessly runs again before its error is the caller's. The pauses between
/// (see [`pause`]) add up to about two and a half seconds: enough for a server that restarts.
const MAX_FAILURES: u32 = 8;

/// Keeps the count of lanes right, whatever ends the lane.
struct Running {
    link: Arc<Link>,
    held_up: bool,
}

impl Running {
    fn hold_up(&mut self) {
        self.held_up = true;
        // Whoever carries this round directly may not come back to it soon.
        self.link.way.direct.leave();
        let mut state = self.link.state();
        state.held_up_lanes += 1;
        self.link.start_lane(&mut state);
    }

    fn carry_on(&mut self) {
        if std::mem::take(&mut self.held_up) {
            self.link.state().held_up_lanes -= 1;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.carry_on();
        let mut state = self.link.state();
        state.lanes -= 1;
        // What became ready while this lane was on its way out must not be left lying.
        self.link.start_lane(&mut state);
    }
}

pub(super) async fn run(link: Arc<Link>) {
    let mut running = Running { link: link.clone(), held_up: false };
    let mut lease: Option<Lease> = None;
    let mut again: Vec<Job> = Vec::new();
    loop {
        if let Some(wait) = again.iter().map(|job| pause(job.failures)).max().filter(|wait| !wait.is_zero()) {
            // Whoever must wait before another try must not make the others wait.
            running.hold_up();
            sleep(wait).await;
            running.carry_on();
        }
        let jobs = take_round(&link, std::mem::take(&mut again));
        if jobs.is_empty() {
            return;
        }
        let connection = match lease.take().filter(|lease| lease.is_usable()) {
            Some(lease) => lease,
            None => match link.pool.lease().await {
                Ok(lease) => lease,
                Err(error) => match leave_to_others(&link, jobs) {
                    None => return,
                    Some(jobs) => {
                        again = refuse(&link, jobs, &error);
                        continue;
                    }
                },
            },
        };
        again = {
            let round = round(&link, &connection, jobs);
            tokio::pin!(round);
            tokio::select! {
                again = &mut round => again,
                () = sleep(HELD_UP) => {
                    running.hold_up();
                    let again = round.await;
                    running.carry_on();
                    again
                }
            }
        };
        lease = Some(connection);
    }
}

/// The jobs of the next round: those that run again first, then what is ready.
fn take_round(link: &Arc<Link>, again: Vec<Job>) -> Vec<Job> {
    let mut jobs = again;
    let mut state = link.state();
    let room = ROUND_JOBS.saturating_sub(jobs.len()).min(state.ready.len());
    jobs.extend(state.ready.drain(..room));
    state.is_starting = false;
    link.start_lane(&mut state);
    jobs
}

/// Where another lane carries on with a connection that it has, one more that cannot be opened (53300, say) is no
/// reason to fail anybody: the calls go back, and for a while no further lane is tried.
fn leave_to_others(link: &Link, jobs: Vec<Job>) -> Option<Vec<Job>> {
    let mut state = link.state();
    if state.lanes - state.held_up_lanes < 2 || jobs.iter().any(|job| job.failures > 0) {
        return Some(jobs);
    }
    state.lane_limit = Some((state.lanes - 1, Instant::now() + LANE_LIMIT));
    for job in jobs.into_iter().rev() {
        state.ready.push_front(job);
    }
    None
}

/// There is no connection to be had: every call that waits for one hears so, as each would if it tried by itself. A
/// call whose first try may have reached the server, and that is harmless to repeat, goes on trying, and so does one that
/// was made to ride out short faults.
fn refuse(link: &Link, jobs: Vec<Job>, error: &Error) -> Vec<Job> {
    let waiting: Vec<Job> = link.state().ready.drain(..).collect();
    let mut again = Vec::new();
    for mut job in jobs.into_iter().chain(waiting) {
        let hopeful = (job.failures > 0 || job.maybe_done) && job.failures < MAX_FAILURES;
        if (hopeful || job.is_patient()) && !matches!(error, Error::Closed) {
            job.failures += 1;
            again.push(job);
        } else {
            job.settle(Err(error.clone()));
        }
    }
    again
}

async fn round(link: &Link, lease: &Lease, jobs: Vec<Job>) -> Vec<Job> {
    let mut again = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    for job in jobs {
        let preparation = job.prepare.clone();
        if !preparation.is_prepared()
            && let Err(error) = preparation.prepare(lease).await
        {
            again.extend(failed(link, lease, job, &error.before_sending()));
            continue;
        }
        match &job.bind {
            Some(bind) => Group::add(&mut groups, bind(), job),
            None => again.extend(job.answer(Vec::new())),
        }
    }
    let runs = groups.into_iter().map(|group| group.run(link, lease));
    again.extend(join_all(runs).await.into_iter().flatten());
    again
}

/// The calls of a round that one statement carries.
struct Group {
    statement: Arc<Statement>,
    jobs: Vec<Job>,
    args: Vec<Vec<Arg>>,
    bytes: usize,
}

impl Group {
    fn add(groups: &mut Vec<Group>, bound: Bound, job: Job) {
        let bytes = bound.args.iter().map(Arg::bytes).sum();
        let shares = |group: &&mut Group| {
            bound.statement.batched
                && group.statement.is_same(&bound.statement)
                && group.bytes + bytes <= ROUND_BYTES
                // A job that failed before runs by itself: it may be the one that made its batch fail.
                && job.failures == 0
                && group.jobs[0].failures == 0
        };
        match groups.iter_mut().rev().find(shares) {
            Some(group) => {
                group.jobs.push(job);
                group.args.push(bound.args);
                group.bytes += bytes;
            }
            None => {
                groups.push(Group {
                    statement: bound.statement,
                    jobs: vec![job],
                    args: vec![bound.args],
                    bytes,
                });
            }
        }
    }

    /// Sends the statement and answers its calls; gives back those that must run again.
    async fn run(self, link: &Link, lease: &Lease) -> Vec<Job> {
        let Group { statement, jobs, args, .. } = self;
        let calls: Vec<&[Arg]> = args.iter().map(Vec::as_slice).collect();
        match send(link, lease, &statement, &calls).await {
            Ok(rows) => {
                let dealt = deal(&statement, rows, jobs.len());
                jobs.into_iter().zip(dealt).filter_map(|(job, rows)| answer(job, rows)).collect()
            }
            // One bad call must not fail its batch, and the server did none of it: each by itself, in one pipeline.
            Err(error @ Error::Server(_)) if jobs.len() > 1 && !error.ends_connection() => {
                let alone = jobs.into_iter().zip(&calls).map(async |(job, args)| {
                    match send(link, lease, &statement, std::slice::from_ref(args)).await {
                        Ok(rows) => answer(job, rows),
                        Err(error) => failed(link, lease, job, &error),
                    }
                });
                join_all(alone).await.into_iter().flatten().collect()
            }
            Err(error) => jobs.into_iter().filter_map(|job| failed(link, lease, job, &error)).collect(),
        }
    }
}

/// A row that cannot be read (a hand-made table with a NULL where none belongs) fails its own call, not the round.
fn answer(job: Job, rows: Rows) -> Option<Job> {
    catch_unwind(AssertUnwindSafe(|| job.answer(rows))).unwrap_or(None)
}

async fn send(
    link: &Link,
    lease: &Lease,
    statement: &Arc<Statement>,
    calls: &[&[Arg]],
) -> Result<Rows, Error> {
    let params = parameters(statement, calls);
    let params: Vec<&(dyn ToSql + Sync)> =
        params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
    lease.run(statement, &params, link.unnamed_only()).await
}

/// Tells the caller of a failure, or gives the job back to run again.
fn failed(link: &Link, lease: &Lease, mut job: Job, error: &Error) -> Option<Job> {
    job.failures += 1;
    let runs_again = runs_again(link, lease, &mut job, error);
    if runs_again && (job.failures < MAX_FAILURES || job.is_patient()) {
        return Some(job);
    }
    job.settle(Err(error.clone()));
    None
}

/// Whether another run may mend a failure, and can do no harm.
fn runs_again(link: &Link, lease: &Lease, job: &mut Job, error: &Error) -> bool {
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
        return false;
    }
    let first = job.failures == 1;
    match error.sqlstate() {
        // Rolled back whole: a serialization failure, a deadlock.
        Some("40001" | "40P01") => true,
        // The table is gone, or was never made: prepare anew.
        Some("42P01") => first && job.prepare.invalidate(),
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
            first
        }
        _ => false,
    }
}

/// The first repetition is immediate; the pauses then double from 10 ms.
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(10 << more.min(MAX_FAILURES - 1)),
    }
}
