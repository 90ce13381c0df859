//! Waiting for locks: `lock()`.
//!
//! Of the waiters in this process, only the first in line for a lock sends requests to the server (see
//! [`lines`](super::lines)):
//!
//! 1. It tries to take the lock. If the lock is busy, it subscribes to notifications about the lock.
//! 2. It marks in the lock's row that there are waiters, so that the release sends a notification. The same statement
//!    returns how long the lease lasts.
//! 3. It waits until a release is notified, the lease has run out, or a regular check is due. Then it tries again.
//!
//! No release is missed. If the release comes before the mark, the mark finds no row, and the next try follows at
//! once. If it comes after the mark, it sends a notification, and by then the waiter is subscribed. A lease that runs
//! out sends no notification; instead, a timer is set to the remaining time that the server has reported. Some cases
//! escape all of this: a mark lost in a crash of the server, or a table without the trigger. The next regular check
//! covers them. These checks are frequent if no notifications arrive, and rare if they do.
//!
//! Of several processes, each tries after a pause of its own (see [`contention`](super::contention)).
//!
//! **Giving up.** A try may be under way when its caller gives up. The caller does not wait for it. If the try takes
//! the lock, the lock is released. That release is owed (see [`Engine::owe`](crate::engine::Engine::owe)): the end of
//! the pool, and of the process, waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::changes::Changes;
use super::grant::Grant;
use super::holders::HeldLease;
use super::leases::Lease;
use super::lines::Place;
use super::permits::Permits;
use super::provider::Locks;
use super::renewal::renew;
use crate::engine::{Error, FutureOutcome, Reply, Subscription};
use crate::time::{any_part, millis};
use crate::tuning::leases;

/// The options of a call of `lock()`, or for a semaphore's permit.
pub struct Wanted {
    /// The lock's, or the semaphore's.
    pub key: String,
    /// How many permits the semaphore has; none for a lock.
    pub permits: Option<u32>,
    pub ttl: f64,
    pub owner: Option<String>,
    /// How long to wait, in milliseconds; without a limit if it is absent.
    pub wait: Option<f64>,
    pub renew: bool,
}

/// How a wait for a lock has ended.
pub enum WaitEnd {
    Granted(Grant),
    /// The time is up. `holder`: the last one that was seen, if any was.
    TimedOut {
        holder: Option<String>,
    },
    GivenUp,
}

impl Locks {
    /// Takes a lock as soon as it is free; see [`waiting`](super::waiting).
    pub fn lock(
        &self,
        number: u32,
        wanted: Wanted,
        lost: impl FnOnce() + Send + 'static,
        reply: Reply<WaitEnd>,
    ) {
        lock_when_free(self, number, wanted, lost, reply);
    }

    /// The caller no longer wants the lock that it waits for under this number.
    pub fn give_up(&self, number: u32) {
        self.leases.give_up(number);
    }
}

/// Takes the lock as soon as it is free. `lost` is called if a lease that is renewed is lost.
fn lock_when_free(
    locks: &Locks,
    number: u32,
    wanted: Wanted,
    lost: impl FnOnce() + Send + 'static,
    reply: Reply<WaitEnd>,
) {
    let given_up = locks.leases().begin_wait(number);
    let permits = wanted.permits.map(|number| Permits { semaphore: wanted.key.clone(), number });
    let wait = wanted.wait.map(millis);
    let is_one_try = wait.is_some_and(|wait| wait.is_zero());
    // Those before it may all get permits, so one try for a permit is no try unless it is made.
    let is_in_line = permits.is_none() || !is_one_try;
    let line = || locks.name_in_line(&wanted.key, wanted.permits);
    let place = is_in_line.then(|| Place::at_the_end(locks.engine(), line()));
    let mut waiting = Waiting {
        locks: locks.clone(),
        deadline: wait.map(|wait| Instant::now() + wait),
        is_one_try,
        wanted,
        permits,
        given_up,
        place,
        under_way: None,
        holder: None,
    };
    // At its own place among the calls on this key.
    if waiting.place.as_ref().is_none_or(Place::is_first) {
        waiting.under_way = Some(waiting.attempt(Duration::ZERO));
    }
    locks.engine().in_background(async move {
        let end = waiting.run().await;
        waiting.locks.leases().end_wait(number);
        reply.settle(end.map(|end| waiting.report(end, number, lost)));
    });
}

struct Waiting {
    // Dropped before `locks`, which keeps the engine that it is named after.
    place: Option<Place>,
    locks: Locks,
    wanted: Wanted,
    permits: Option<Permits>,
    deadline: Option<Instant>,
    is_one_try: bool,
    given_up: Arc<Notify>,
    under_way: Option<Attempt>,
    /// The holder of the lock, if one try outside of the line has seen it.
    holder: Option<String>,
}

/// A try that is under way.
struct Attempt {
    sent: Instant,
    outcome: FutureOutcome<Option<Grant>>,
}

enum End {
    Granted { grant: Grant, sent: Instant },
    TimeIsUp,
    GivenUp,
}

impl Waiting {
    async fn run(&mut self) -> Result<End, Error> {
        if let Some(place) = &mut self.place {
            tokio::select! {
                biased;
                () = place.until_first() => {}
                why = given_up(&self.given_up, self.deadline) => return Ok(why),
            }
        }
        let mut changes = Changes::new(None);
        let (mut is_first_try, mut unseen) = (true, 0);
        // Whether the other processes that wait try now, too.
        let mut contends = false;
        let mut is_held = self.follows_a_grant();
        loop {
            // The first try fails as any call does; later tries retry transient failures.
            let retry_time = if is_first_try { Duration::ZERO } else { self.retry_time() };
            if !std::mem::take(&mut is_held) {
                if !is_first_try && let Some(end) = self.spread().await {
                    return Ok(end);
                }
                changes.are_known();
                let attempt = self.under_way.take().unwrap_or_else(|| self.attempt(retry_time));
                if let Some(end) = self.settle(attempt, contends).await? {
                    return Ok(end);
                }
            }
            is_first_try = false;
            if self.is_one_try {
                if let Some(held) = self.await_release(false).await? {
                    self.saw(held.owner);
                }
                return Ok(End::TimeIsUp);
            }
            if changes.subscription.is_none() {
                changes.subscription = self.listen();
            }
            if contends {
                // One mark serves all processes. If another process has made it, the next release comes without this one's.
                let pause = self.pause();
                tokio::select! {
                    notified = changes.is_notified_within(pause) => if notified? { continue },
                    why = given_up(&self.given_up, self.deadline) => return Ok(why),
                }
            }
            let marked = tokio::select! {
                biased;
                marked = self.await_release(true) => marked,
                why = given_up(&self.given_up, self.deadline) => return Ok(why),
            };
            let left = match marked {
                Ok(Some(HeldLease { owner, left })) => {
                    self.saw(owner);
                    unseen = 0;
                    left
                }
                Ok(None) if unseen < leases::TRIES_AT_ONCE => {
                    unseen += 1;
                    contends = true;
                    continue;
                }
                Err(error) if retry_time.is_zero() || matches!(error, Error::Closed) => return Err(error),
                // The next try will see the cause. Or a policy hides the row from reads.
                Ok(None) | Err(_) => leases::LAST_POLL,
            };
            tokio::select! {
                notified = changes.wait(left) => contends = notified?,
                why = given_up(&self.given_up, self.deadline) => return Ok(why),
            }
        }
    }

    fn saw(&mut self, holder: String) {
        match &self.place {
            Some(place) => place.saw(&holder),
            None => self.holder = Some(holder),
        }
    }

    fn attempt(&self, retry_time: Duration) -> Attempt {
        let (reply, outcome) = Reply::awaited();
        let Wanted { key, ttl, owner, .. } = &self.wanted;
        let sent = Instant::now();
        match &self.permits {
            None => self.locks.acquire_with_retries(key.clone(), *ttl, owner.clone(), retry_time, reply),
            Some(permits) => self.locks.acquire_permit(permits, *ttl, owner.clone(), retry_time, reply),
        }
        Attempt { sent, outcome }
    }

    fn await_release(&self, mark: bool) -> impl Future<Output = Result<Option<HeldLease>, Error>> + use<> {
        let (locks, key, permits) = (self.locks.clone(), self.wanted.key.clone(), self.permits.clone());
        async move {
            match &permits {
                None => locks.await_release(&key, mark, None).await,
                Some(permits) => locks.await_permit(permits, mark).await,
            }
        }
    }

    fn listen(&self) -> Option<Subscription> {
        match &self.permits {
            None => self.locks.listen(&self.wanted.key),
            Some(permits) => self.locks.listen_to_permits(permits),
        }
    }

    /// Whether a try would only find the lock held: its last waiter in this process has just been granted it, and cannot
    /// have released it before this waiter's next request. An owner who is named may be that holder, and takes it again.
    fn follows_a_grant(&self) -> bool {
        let follows = self.place.as_ref().is_some_and(Place::follows_a_grant);
        follows
            && self.wanted.owner.is_none()
            && self.permits.is_none()
            && self.under_way.is_none()
            && !self.is_one_try
    }

    /// A random part of the time over which the processes that contend for the lock spread what all of them do.
    fn pause(&self) -> Duration {
        let longest = self.place.as_ref().and_then(|place| Some(place.contention()?.spread()));
        longest.unwrap_or_default().mul_f64(any_part())
    }

    /// Pauses before a try, if other processes contend for the lock.
    async fn spread(&mut self) -> Option<End> {
        let pause = self.pause();
        if pause.is_zero() {
            return None;
        }
        tokio::select! {
            () = sleep(pause) => None,
            why = given_up(&self.given_up, self.deadline) => Some(why),
        }
    }

    /// The outcome of a try; none yet if the lock is busy. `contends`: other processes try at the same time.
    async fn settle(&mut self, attempt: Attempt, contends: bool) -> Result<Option<End>, Error> {
        let Attempt { sent, mut outcome } = attempt;
        let deadline = if self.is_one_try { None } else { self.deadline };
        let why = tokio::select! {
            biased;
            outcome = &mut outcome => {
                let grant = outcome?;
                if contends && let Some(mut contention) = self.place.as_ref().and_then(Place::contention) {
                    contention.tried(grant.is_some(), sent.elapsed());
                }
                return Ok(grant.map(|grant| End::Granted { grant, sent }));
            }
            why = given_up(&self.given_up, deadline) => why,
        };
        let (locks, key, ttl) = (self.locks.clone(), self.wanted.key.clone(), self.wanted.ttl);
        self.locks.engine().owe(async move {
            if let Ok(Some(grant)) = outcome.await {
                locks.give_back(grant.key(&key), grant.owner, ttl, None);
            }
        });
        Ok(Some(why))
    }

    /// For how long a try retries transient failures.
    fn retry_time(&self) -> Duration {
        match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(leases::MAX_RETRY_TIME),
            None => leases::MAX_RETRY_TIME,
        }
    }

    fn report(&mut self, end: End, number: u32, lost: impl FnOnce() + Send + 'static) -> WaitEnd {
        match end {
            End::GivenUp => WaitEnd::GivenUp,
            End::TimeIsUp => {
                let seen_in_line = self.place.as_ref().and_then(Place::holder);
                WaitEnd::TimedOut { holder: self.holder.take().or(seen_in_line) }
            }
            End::Granted { grant, sent } => {
                // Those who are behind in line may run out of time before they look for themselves.
                self.saw(grant.owner.clone());
                if let Some(place) = &self.place {
                    place.granted();
                }
                self.keep(grant.clone(), sent, number, lost);
                WaitEnd::Granted(grant)
            }
        }
    }

    /// From here on its end is known under its number, and is moved if that is wanted.
    fn keep(&self, grant: Grant, sent: Instant, number: u32, lost: impl FnOnce() + Send + 'static) {
        let lease = Arc::new(Lease::new(grant.key(&self.wanted.key), grant, sent, self.wanted.ttl));
        self.locks.leases().keep(number, lease.clone());
        if self.wanted.renew {
            let locks = self.locks.clone();
            self.locks.engine().in_background(async move {
                if renew(&locks, &lease).await {
                    lost();
                }
            });
        }
    }
}

/// Until the reason to wait is gone.
async fn given_up(given_up: &Notify, deadline: Option<Instant>) -> End {
    let time_is_up = async {
        match deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = given_up.notified() => End::GivenUp,
        () = time_is_up => End::TimeIsUp,
    }
}
