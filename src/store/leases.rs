//! Waiting for locks, and renewing leases: `lock()`.
//!
//! **Waiting.** Of the waiters in this process, only the first in line for a lock sends requests to the server (see
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
//! **Giving up.** A try may be under way when its caller gives up. The caller does not wait for it. If the try takes
//! the lock, the lock is released. That release is owed (see [`Engine::owe`](crate::engine::Engine::owe)): the end of
//! the pool, and of the process, waits for it.
//!
//! **Renewing.** A task of the runtime extends the lease every third of its length, whatever the event loop does. It
//! stops when the lease is released or lost. A lease is lost if the server says so, or if its time is over before an
//! extension has succeeded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::json;
use super::lines::Place;
use super::locks::{Granted, Locks};
use crate::engine::{Error, FutureOutcome, Notification, Reply, Subscription};
use crate::sync::lock;
use crate::time::millis;
use crate::tuning::leases;

/// The options of a call of `lock()`.
pub struct Wanted {
    pub key: String,
    pub ttl: f64,
    pub owner: Option<String>,
    /// How long to wait, in milliseconds; without a limit if it is absent.
    pub wait: Option<f64>,
    pub renew: bool,
}

/// The waits and leases of an adapter, by the numbers that their callers use for them.
#[derive(Default)]
pub(super) struct Leases {
    waiting: Mutex<HashMap<u32, Arc<Notify>>>,
    held: Mutex<HashMap<u32, Arc<Lease>>>,
}

/// A lease, as far as this process knows it.
struct Lease {
    granted: Granted,
    state: Mutex<LeaseState>,
    /// Notified when the holder has extended the lease, or when it is no longer to be renewed.
    changed: Notify,
}

#[derive(Clone, Copy)]
struct LeaseState {
    /// The earliest time at which it ends: its length, counted from before the request was sent.
    end: Instant,
    ttl: f64,
    is_over: bool,
}

impl Lease {
    fn state(&self) -> LeaseState {
        *lock(&self.state)
    }

    fn has_ended(&self) -> bool {
        self.state().end <= Instant::now()
    }

    /// Submits a renewal, unless the lease is over, or its length is no longer `ttl`. The code that ends the lease
    /// takes the same mutex before it submits its own statement. So each renewal is either ahead of a release, and of
    /// all that follows it, in the order of calls on this key, or is never submitted.
    fn submit_renewal(&self, ttl: f64, submit: impl FnOnce()) -> bool {
        let state = lock(&self.state);
        let is_due = !state.is_over && state.ttl == ttl;
        if is_due {
            submit();
        }
        is_due
    }

    /// The holder has extended it. It now lasts for `ttl` from `sent`, and each later renewal for `ttl` from its own
    /// sending.
    fn extended(&self, sent: Instant, ttl: f64) {
        let mut state = lock(&self.state);
        state.end = end_of(sent, ttl);
        state.ttl = ttl;
    }

    /// It was renewed for `ttl` from `sent`. If the holder has asked for another length since then, that length
    /// stays.
    fn renewed(&self, sent: Instant, ttl: f64) {
        lock(&self.state).end = end_of(sent, ttl);
    }
}

impl Leases {
    /// The remaining time of a lease, in milliseconds, if it is known.
    pub(super) fn left(&self, number: u32) -> Option<f64> {
        let end = lock(&self.held).get(&number)?.state().end;
        let now = Instant::now();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Some(if end >= now { ms(end - now) } else { -ms(now - end) })
    }

    /// Stops renewing the lease, and forgets it.
    pub(super) fn forget(&self, number: u32) {
        let lease = lock(&self.held).remove(&number);
        if let Some(lease) = lease {
            lock(&lease.state).is_over = true;
            lease.changed.notify_one();
        }
    }

    pub(super) fn forget_all(&self) {
        for (_, lease) in lock(&self.held).drain() {
            lock(&lease.state).is_over = true;
            lease.changed.notify_one();
        }
    }

    /// The holder has extended it.
    pub(super) fn prolong(&self, number: u32, sent: Instant, ttl: f64) {
        let lease = lock(&self.held).get(&number).cloned();
        if let Some(lease) = lease {
            lease.extended(sent, ttl);
            lease.changed.notify_one();
        }
    }

    /// The caller no longer wants the lock.
    pub(super) fn give_up(&self, number: u32) {
        if let Some(given_up) = lock(&self.waiting).get(&number) {
            given_up.notify_one();
        }
    }
}

/// Takes the lock as soon as it is free. The reply is `token,owner` as [`Locks::acquire`] has it, `{ "holder" }` when
/// the time is up, or null if the wait was given up. `lost` is called if a lease that is renewed is lost.
pub(super) fn lock_when_free(
    locks: &Locks,
    number: u32,
    wanted: Wanted,
    lost: impl FnOnce() + Send + 'static,
    reply: Reply,
) {
    let given_up = Arc::new(Notify::new());
    lock(&locks.leases().waiting).insert(number, given_up.clone());
    let place = Place::at_the_end(locks.engine(), locks.name_in_line(&wanted.key));
    let wait = wanted.wait.map(millis);
    let mut waiting = Waiting {
        locks: locks.clone(),
        deadline: wait.map(|wait| Instant::now() + wait),
        is_one_try: wait.is_some_and(|wait| wait.is_zero()),
        wanted,
        given_up,
        place,
        under_way: None,
        holder: None,
    };
    // At its own place among the calls on this key.
    if waiting.place.is_first() {
        waiting.under_way = Some(waiting.attempt(Duration::ZERO));
    }
    locks.engine().in_background(async move {
        let end = waiting.run().await;
        lock(&waiting.locks.leases().waiting).remove(&number);
        reply.settle(end.map(|end| waiting.report(end, number, lost)));
    });
}

struct Waiting {
    // Dropped before `locks`, which keeps the engine that it is named after.
    place: Place,
    locks: Locks,
    wanted: Wanted,
    deadline: Option<Instant>,
    is_one_try: bool,
    given_up: Arc<Notify>,
    under_way: Option<Attempt>,
    /// The holder of the lock, as far as is known.
    holder: Option<String>,
}

/// A try that is under way.
struct Attempt {
    sent: Instant,
    outcome: FutureOutcome,
}

enum End {
    Granted { granted: String, sent: Instant },
    TimeIsUp,
    GivenUp,
}

impl Waiting {
    async fn run(&mut self) -> Result<End, Error> {
        let why = tokio::select! {
            biased;
            () = self.place.until_first() => None,
            why = given_up(&self.given_up, self.deadline) => Some(why),
        };
        if let Some(why) = why {
            return Ok(why);
        }
        let mut changes = Changes::new(None);
        let (mut is_first_try, mut unseen) = (true, 0);
        loop {
            // The first try fails as any call does; later tries retry transient failures.
            let retry_time = if is_first_try { Duration::ZERO } else { self.retry_time() };
            is_first_try = false;
            let attempt = self.under_way.take().unwrap_or_else(|| self.attempt(retry_time));
            if let Some(end) = self.settle(attempt).await? {
                return Ok(end);
            }
            if self.is_one_try {
                self.holder =
                    self.locks.await_release(&self.wanted.key, false, None).await?.map(|(owner, _)| owner);
                return Ok(End::TimeIsUp);
            }
            if changes.subscription.is_none() {
                changes.subscription = self.locks.listen(&self.wanted.key);
            }
            let marked = tokio::select! {
                biased;
                marked = self.locks.await_release(&self.wanted.key, true, None) => marked,
                why = given_up(&self.given_up, self.deadline) => return Ok(why),
            };
            let left = match marked {
                Ok(Some((owner, left))) => {
                    (self.holder, unseen) = (Some(owner), 0);
                    left
                }
                Ok(None) if unseen < leases::TRIES_AT_ONCE => {
                    unseen += 1;
                    continue;
                }
                Err(error) if retry_time.is_zero() || matches!(error, Error::Closed) => return Err(error),
                // The next try will see the cause. Or a policy hides the row from reads.
                Ok(None) | Err(_) => leases::LAST_POLL,
            };
            tokio::select! {
                changed = changes.wait(left) => changed?,
                why = given_up(&self.given_up, self.deadline) => return Ok(why),
            }
        }
    }

    fn attempt(&self, retry_time: Duration) -> Attempt {
        let (reply, outcome) = Reply::awaited();
        let Wanted { key, ttl, owner, .. } = &self.wanted;
        let sent = Instant::now();
        self.locks.acquire_with_retries(key.clone(), *ttl, owner.clone(), retry_time, reply);
        Attempt { sent, outcome }
    }

    /// The outcome of a try; none yet if the lock is busy.
    async fn settle(&mut self, attempt: Attempt) -> Result<Option<End>, Error> {
        let Attempt { sent, mut outcome } = attempt;
        let deadline = if self.is_one_try { None } else { self.deadline };
        let why = tokio::select! {
            biased;
            outcome = &mut outcome => {
                let granted = outcome?;
                return Ok((granted != "null").then_some(End::Granted { granted, sent }));
            }
            why = given_up(&self.given_up, deadline) => why,
        };
        let (locks, key, ttl) = (self.locks.clone(), self.wanted.key.clone(), self.wanted.ttl);
        self.locks.engine().owe(async move {
            if let Ok(granted) = outcome.await
                && let Some(granted) = Granted::read(key, &granted)
            {
                locks.give_back(granted.key, granted.owner, ttl, None);
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

    fn report(&self, end: End, number: u32, lost: impl FnOnce() + Send + 'static) -> String {
        match end {
            End::GivenUp => "null".into(),
            End::TimeIsUp => {
                format!(
                    r#"{{"holder":{}}}"#,
                    self.holder.as_deref().map_or_else(|| "null".into(), json::text)
                )
            }
            End::Granted { granted, sent } => {
                if let Some(lease) = Granted::read(self.wanted.key.clone(), &granted) {
                    self.keep(lease, sent, number, lost);
                }
                granted
            }
        }
    }

    /// From here on its end is known under its number, and is moved if that is wanted.
    fn keep(&self, granted: Granted, sent: Instant, number: u32, lost: impl FnOnce() + Send + 'static) {
        let ttl = self.wanted.ttl;
        let state = LeaseState { end: end_of(sent, ttl), ttl, is_over: false };
        let lease = Arc::new(Lease { granted, state: Mutex::new(state), changed: Notify::new() });
        lock(&self.locks.leases().held).insert(number, lease.clone());
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

/// The notifications about a lock.
pub(super) struct Changes {
    /// None if no notifications are sent.
    subscription: Option<Subscription>,
    is_connected: bool,
    poll: Duration,
}

impl Changes {
    pub(super) fn new(subscription: Option<Subscription>) -> Self {
        Self { subscription, is_connected: false, poll: leases::FIRST_POLL }
    }

    /// Waits until it is time for another try. `left`: the remaining time of the lease that is in the way.
    pub(super) async fn wait(&mut self, left: Duration) -> Result<(), Error> {
        // Waits until the server's clock has passed the end, too: the reported time is cut to whole microseconds.
        let left = left + Duration::from_millis(1);
        let began = tokio::time::Instant::now();
        loop {
            let look = if self.is_connected { leases::POLL_BESIDE_NOTIFICATIONS } else { self.poll };
            tokio::select! {
                notification = Subscription::next_of(&mut self.subscription) => match notification {
                    Notification::Ended => return Err(Error::Closed),
                    Notification::Disconnected => self.is_connected = false,
                    Notification::Connected => {
                        self.is_connected = true;
                        return Ok(());
                    }
                    Notification::Notified => return Ok(()),
                },
                () = sleep_until(began + look.min(left)) => {
                    self.poll = (self.poll * 2).min(leases::LAST_POLL);
                    return Ok(());
                }
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

/// Extends a lease until it is over, and returns whether it was lost.
///
/// The holder may extend the lease at any time, also while a renewal is under way. So the end is set where the
/// server's answers are read, in the order in which the server gave them. It is checked again after each wait. If the
/// holder changes the length while a renewal is on its way, another renewal with the new length follows at once.
async fn renew(locks: &Locks, lease: &Arc<Lease>) -> bool {
    let mut not_before = Instant::now();
    loop {
        let LeaseState { end, ttl, is_over } = lease.state();
        if is_over {
            return false;
        }
        let third = millis(ttl) / 3;
        let due = end.checked_sub(third * 2).unwrap_or(not_before).max(not_before);
        tokio::select! {
            () = sleep_until(due.into()) => {}
            () = lease.changed.notified() => continue,
        }
        let (reply, outcome) = Reply::awaited();
        let sent = Instant::now();
        let renewed = {
            let lease = lease.clone();
            move || lease.renewed(sent, ttl)
        };
        let retry_time = end.saturating_duration_since(sent);
        if !lease.submit_renewal(ttl, || locks.renew(&lease.granted, ttl, retry_time, renewed, reply)) {
            continue;
        }
        let outcome = tokio::select! {
            outcome = outcome => Some(outcome),
            // No answer in time. The request may still succeed, but no code can rely on that.
            () = sleep_until(end.into()) => None,
        };
        match outcome.as_ref().map(|outcome| outcome.as_deref()) {
            Some(Ok("true")) | None => {}
            Some(Ok(_)) => return !lease.state().is_over,
            Some(Err(Error::Closed)) => {
                tokio::select! {
                    () = sleep_until(end.into()) => {}
                    () = lease.changed.notified() => {}
                }
            }
            Some(Err(_)) => not_before = Instant::now() + leases::EXTEND_AGAIN,
        }
        if lease.has_ended() {
            return !lease.state().is_over;
        }
    }
}

fn end_of(sent: Instant, ttl: f64) -> Instant {
    sent + millis(ttl)
}
