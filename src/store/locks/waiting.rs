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
//! Of several processes, each tries after a pause of its own (see [`contention`](super::contention)). A lock that this process releases
//! itself is handed over to its first waiter (see [`hand_over`](super::hand_over)). The row keeps its mark, so the waiter behind needs step 3
//! alone.
//!
//! **Giving up.** A try may be under way when its caller gives up. The caller does not wait for it. If the try takes
//! the lock, the lock is released. That release is owed (see [`Engine::owe`](crate::engine::Engine::owe)): the end of
//! the pool, and of the process, waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::attempt::Attempt;
use super::changes::Changes;
use super::grant::Grant;
use super::holders::HeldLease;
use super::leases::Lease;
use super::lines::{LastGrant, Place};
use super::permits::Permits;
use super::provider::Locks;
use super::renewal::keep;
use super::successor::HandOver;
use super::wanted::{WaitEnd, Wanted};
use crate::engine::{Error, Reply, Subscription};
use crate::time::{any_part, millis};
use crate::tuning::leases;

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
    let (successor, hand_over) = if is_one_try { None } else { wanted.successor(locks) }.unzip();
    let place = is_in_line.then(|| Place::at_the_end(locks.engine(), line(), successor));
    let mut waiting = Waiting {
        locks: locks.clone(),
        deadline: wait.map(|wait| Instant::now() + wait),
        is_one_try,
        wanted,
        permits,
        given_up,
        place,
        hand_over,
        under_way: None,
        holder: None,
        last_grant: None,
        changes: Changes::new(None),
        unseen: 0,
    };
    if waiting.place.as_ref().is_none_or(Place::is_first) {
        waiting.last_grant = waiting.take_last_grant();
        if waiting.last_grant.is_none() {
            // At its own place among the calls on this key.
            waiting.under_way = Some(waiting.attempt(Duration::ZERO));
        }
    }
    locks.engine().in_background(async move {
        let end = waiting.run().await;
        if let Some(attempt) = waiting.hand_over.take().and_then(HandOver::end) {
            attempt.abandon(&waiting.locks, &waiting.wanted.key, waiting.wanted.ttl);
        }
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
    /// Where it learns that the lock is being handed over to it.
    hand_over: Option<HandOver>,
    under_way: Option<Attempt>,
    /// The holder of the lock, if one try outside of the line has seen it.
    holder: Option<String>,
    /// Of the waiter before, if this one was the first at once.
    last_grant: Option<LastGrant>,
    changes: Changes,
    /// How many times in a row a try has found the lock busy, and the read after it has not.
    unseen: u32,
}

enum End {
    Granted { grant: Grant, sent: Instant, is_handed_over: bool },
    TimeIsUp,
    GivenUp,
}

/// What a waiter sees of a busy lock.
enum Seen {
    Held {
        left: Duration,
    },
    /// It may be free, and others may see it now, too.
    Changed,
    Ends(End),
}

/// Why a waiter at rest goes on.
enum Woken {
    HandedOver(Attempt),
    /// The lock may be free. `is_notified`: other processes that wait know it, too.
    Tries {
        is_notified: bool,
    },
    Ends(End),
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
        // Whether the other processes that wait try now, too.
        let mut contends = false;
        let mut is_first_try = true;
        let last_grant = self.last_grant.take().or_else(|| self.take_last_grant());
        let mut is_held = last_grant.is_some();
        let mut left = self.left_of(last_grant);
        loop {
            if self.under_way.is_none() {
                self.under_way = self.hand_over.as_mut().and_then(HandOver::take);
            }
            if self.under_way.as_ref().is_some_and(|attempt| attempt.is_hand_over) {
                (is_held, contends) = (false, false);
            }
            // The first try fails as any call does; later tries retry transient failures.
            let retry_time = if is_first_try { Duration::ZERO } else { self.retry_time() };
            if !std::mem::take(&mut is_held) {
                let is_later = !is_first_try && self.under_way.is_none();
                if is_later && let Some(end) = self.spread().await {
                    return Ok(end);
                }
                self.changes.are_known();
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
            let seen = match left.take() {
                Some(left) => Seen::Held { left },
                None => self.mark(contends, retry_time).await?,
            };
            let woken = match seen {
                Seen::Held { left } => self.rest(left).await?,
                Seen::Changed => Woken::Tries { is_notified: true },
                Seen::Ends(end) => Woken::Ends(end),
            };
            match woken {
                Woken::HandedOver(attempt) => self.under_way = Some(attempt),
                Woken::Tries { is_notified } => contends = is_notified,
                Woken::Ends(end) => return Ok(end),
            }
        }
    }

    /// How long the lease of the waiter before lasts, if its row is marked: then there is nothing to do but wait.
    fn left_of(&mut self, last_grant: Option<LastGrant>) -> Option<Duration> {
        let LastGrant { end, changes, .. } = last_grant?;
        self.changes = changes?.of_another_wait();
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// Subscribes to the changes of a busy lock, marks its row, and learns how long its lease lasts. `contends`: others do so at the same
    /// time.
    async fn mark(&mut self, contends: bool, retry_time: Duration) -> Result<Seen, Error> {
        if self.changes.subscription.is_none() {
            self.changes.subscription = self.listen();
        }
        if contends {
            // One mark serves all processes. If another process has made it, the next release comes without this one's.
            let pause = self.pause();
            tokio::select! {
                attempt = HandOver::attempt_of(&mut self.hand_over) => {
                    self.under_way = Some(attempt);
                    return Ok(Seen::Changed);
                }
                notified = self.changes.is_notified_within(pause) => if notified? { return Ok(Seen::Changed) },
                why = given_up(&self.given_up, self.deadline) => return Ok(Seen::Ends(why)),
            }
        }
        self.changes.are_known();
        let marked = tokio::select! {
            biased;
            marked = self.await_release(true) => marked,
            why = given_up(&self.given_up, self.deadline) => return Ok(Seen::Ends(why)),
        };
        Ok(match marked {
            Ok(Some(HeldLease { owner, left })) => {
                self.saw(owner);
                self.unseen = 0;
                Seen::Held { left }
            }
            Ok(None) if self.unseen < leases::TRIES_AT_ONCE => {
                self.unseen += 1;
                Seen::Changed
            }
            Err(error) if retry_time.is_zero() || matches!(error, Error::Closed) => return Err(error),
            // The next try will see the cause. Or a policy hides the row from reads.
            Ok(None) | Err(_) => Seen::Held { left: leases::LAST_POLL },
        })
    }

    /// Waits until the lock may be free, or is being handed over. `left`: the remaining time of its lease.
    async fn rest(&mut self, left: Duration) -> Result<Woken, Error> {
        Ok(tokio::select! {
            biased;
            attempt = HandOver::attempt_of(&mut self.hand_over) => Woken::HandedOver(attempt),
            why = given_up(&self.given_up, self.deadline) => Woken::Ends(why),
            is_notified = self.changes.wait(left) => Woken::Tries { is_notified: is_notified? },
        })
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
        Attempt { sent, outcome, is_hand_over: false }
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

    /// What the last waiter in this process has left, if a try would only find the lock held: it has just been granted to that waiter,
    /// who cannot have released it before this waiter's next request. An owner who is named may be that holder, and
    /// takes it again.
    fn take_last_grant(&self) -> Option<LastGrant> {
        let last_grant = self.place.as_ref().and_then(Place::take_last_grant);
        let would_fail = self.wanted.owner.is_none()
            && self.permits.is_none()
            && self.under_way.is_none()
            && !self.is_one_try;
        last_grant.filter(|_| would_fail)
    }

    /// A random part of the time over which the processes that contend for the lock spread what all of them do.
    fn pause(&self) -> Duration {
        let longest = self.place.as_ref().map(Place::spread);
        longest.unwrap_or_default().mul_f64(any_part())
    }

    /// Pauses before a try, if other processes contend for the lock.
    async fn spread(&mut self) -> Option<End> {
        let pause = self.pause() + self.place.as_ref().map(Place::yields).unwrap_or_default();
        if pause.is_zero() {
            return None;
        }
        tokio::select! {
            biased;
            attempt = HandOver::attempt_of(&mut self.hand_over) => {
                self.under_way = Some(attempt);
                None
            }
            why = given_up(&self.given_up, self.deadline) => Some(why),
            () = sleep(pause) => None,
        }
    }

    /// The outcome of a try; none yet if the lock is busy. `contends`: other processes try at the same time.
    async fn settle(&mut self, mut attempt: Attempt, contends: bool) -> Result<Option<End>, Error> {
        let deadline = if self.is_one_try { None } else { self.deadline };
        let why = tokio::select! {
            biased;
            outcome = &mut attempt.outcome => {
                let Attempt { sent, is_hand_over: is_handed_over, .. } = attempt;
                let grant = match outcome {
                    Err(_) if is_handed_over => None,
                    outcome => outcome?,
                };
                if contends && !is_handed_over && let Some(place) = &self.place {
                    place.tried(grant.is_some(), sent.elapsed());
                }
                if grant.is_none() && is_handed_over {
                    self.wait_for_hand_over();
                }
                return Ok(grant.map(|grant| End::Granted { grant, sent, is_handed_over }));
            }
            why = given_up(&self.given_up, deadline) => why,
        };
        attempt.abandon(&self.locks, &self.wanted.key, self.wanted.ttl);
        Ok(Some(why))
    }

    fn wait_for_hand_over(&mut self) {
        if let (Some(place), Some((successor, hand_over))) = (&self.place, self.wanted.successor(&self.locks))
        {
            place.set_successor(successor);
            self.hand_over = Some(hand_over);
        }
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
            End::Granted { grant, sent, is_handed_over } => {
                // Those who are behind in line may run out of time before they look for themselves.
                self.saw(grant.owner.clone());
                let changes = std::mem::replace(&mut self.changes, Changes::new(None));
                // Without a subscription of its own, the next waiter must begin with that.
                let changes = Some(changes).filter(|it| grant.is_marked && it.subscription.is_some());
                let end = sent + millis(self.wanted.ttl);
                // The holder may release it as soon as this is reported. By then the next one is first.
                if let Some(place) = self.place.take().filter(|_| self.permits.is_none()) {
                    place.granted(LastGrant { is_handed_over, end, changes });
                }
                let Wanted { key, ttl, renew, .. } = &self.wanted;
                let lease = Lease::new(grant.key(key), grant.clone(), sent, *ttl);
                keep(&self.locks, number, lease, renew.then_some(lost));
                WaitEnd::Granted(grant)
            }
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
