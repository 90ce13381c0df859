//! The waiters for one lock in this process, first-in, first-out. Only the first in line sends requests to the
//! server. All of them know the holder that was seen last.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::OwnedMutexGuard;

use super::changes::Changes;
use super::contention::Contention;
use super::successor::Successor;
use crate::sync::lock;
use crate::tuning::leases;

/// The engine, by its address, and the lock.
type Name = (usize, String);

struct Line {
    /// A line may be kept longer than its engine. Until then no other engine gets the same address.
    engine: Weak<dyn Send + Sync>,
    /// Held by the first.
    first: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the numbers of their places. A waiter that a lock has been handed over to is no successor any more.
    waiters: VecDeque<(u64, Option<Successor>)>,
    last_place: u64,
    holder: Option<String>,
    /// Of the waiter that has left last, if the next does not know it yet.
    last_grant: Option<LastGrant>,
    /// When this process took the lock that it hands over to its own waiters.
    run_since: Option<Instant>,
    contention: Contention,
}

/// What a waiter that was granted the lock leaves to the one behind it.
pub(super) struct LastGrant {
    /// Whether the process has held the lock before, too.
    pub(super) is_handed_over: bool,
    pub(super) end: Instant,
    /// If the row has the mark of its waiters: the notifications about the lock. With another subscription, a release in
    /// between would be missed.
    pub(super) changes: Option<Changes>,
}

impl State {
    /// Whether the line is kept for later waiters although it has none: the lock was handed over, and is held.
    fn is_kept(&self) -> bool {
        self.last_grant.as_ref().is_some_and(|grant| grant.is_handed_over && grant.end > Instant::now())
    }

    /// The lock is released.
    fn successor(&mut self) -> Option<Successor> {
        let since = *self.run_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= leases::LONGEST_RUN {
            self.contention.released_to_all();
            self.last_grant = None;
            return None;
        }
        let successor = self.waiters.front_mut().and_then(|(_, successor)| successor.take());
        if successor.is_none() {
            self.last_grant = None;
        }
        successor
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.waiters.iter().position(|(place, _)| *place == number)
    }
}

/// The lines that have waiters, or are kept. Adapters of one engine share them.
static LINES: LazyLock<Mutex<Lines>> = LazyLock::new(Mutex::default);

/// How many there are. Each release reads this.
static NUMBER_OF_LINES: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Lines {
    by_name: HashMap<Name, Arc<Line>>,
    /// How many there were when those whose leases had ended were removed last.
    looked_through: usize,
}

impl Lines {
    fn line<L: Send + Sync + 'static>(&mut self, name: &Name, engine: &Arc<L>) -> Arc<Line> {
        const FEW: usize = 64;
        // Those that are kept, and whose leases have ended without a release.
        if self.by_name.len() > 2 * self.looked_through.max(FEW) {
            self.by_name.retain(|_, line| !is_left(line));
            self.looked_through = self.by_name.len();
        }
        let new = || {
            let engine = Arc::downgrade(engine);
            Arc::new(Line { engine, first: Arc::default(), state: Mutex::default() })
        };
        let line = self.by_name.entry(name.clone()).or_insert_with(new).clone();
        self.count();
        line
    }

    fn remove_if_left(&mut self, name: &Name) {
        if self.by_name.get(name).is_some_and(is_left) {
            self.by_name.remove(name);
            self.count();
        }
    }

    fn count(&self) {
        NUMBER_OF_LINES.store(self.by_name.len(), Ordering::Relaxed);
    }
}

fn is_left(line: &Arc<Line>) -> bool {
    let is_kept = || line.engine.strong_count() > 0 && lock(&line.state).is_kept();
    // Each waiter in line also holds a reference to the line.
    Arc::strong_count(line) == 1 && !is_kept()
}

/// A lock is released. Returns the waiter that it is handed over to. None if no waiter can take it, or if the process has handed the lock
/// over for long enough: other processes may wait, too.
pub(super) fn successor<L>(engine: &Arc<L>, lock_name: impl FnOnce() -> String) -> Option<Successor> {
    at_release(engine, lock_name, State::successor).flatten()
}

/// A lock is released, and not handed over.
pub(super) fn released<L>(engine: &Arc<L>, lock_name: impl FnOnce() -> String) {
    at_release(engine, lock_name, |state| state.last_grant = None);
}

fn at_release<L, T>(
    engine: &Arc<L>,
    lock_name: impl FnOnce() -> String,
    work: impl FnOnce(&mut State) -> T,
) -> Option<T> {
    if NUMBER_OF_LINES.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let name = (Arc::as_ptr(engine).addr(), lock_name());
    let mut lines = lock(&LINES);
    let done = work(&mut lock(&lines.by_name.get(&name)?.state));
    lines.remove_if_left(&name);
    Some(done)
}

type Wait = Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>>;

/// A place in a line, taken when this was made. It is given up when this is dropped.
pub(super) struct Place {
    name: Name,
    number: u64,
    line: Option<Arc<Line>>,
    wait: Option<Wait>,
    first: Option<OwnedMutexGuard<()>>,
}

impl Place {
    /// `engine` must outlive the place. `successor`: how the lock is handed over to this waiter.
    pub(super) fn at_the_end<L: Send + Sync + 'static>(
        engine: &Arc<L>,
        lock_name: String,
        successor: Option<Successor>,
    ) -> Self {
        let name = (Arc::as_ptr(engine).addr(), lock_name);
        let line = lock(&LINES).line(&name, engine);
        let mut state = lock(&line.state);
        state.last_place += 1;
        let number = state.last_place;
        state.waiters.push_back((number, successor));
        // Polled once, it has its place, the same as among the waiters: the mutex is fair.
        let mut wait: Wait = Box::pin(line.first.clone().lock_owned());
        let first = (&mut wait).now_or_never();
        let wait = first.is_none().then_some(wait);
        drop(state);
        Self { name, number, line: Some(line), wait, first }
    }

    pub(super) fn is_first(&self) -> bool {
        self.first.is_some()
    }

    /// The lock was seen with this holder.
    pub(super) fn saw(&self, holder: &str) {
        self.with(|state| state.holder = Some(holder.to_owned()));
    }

    /// This waiter leaves the line with the lock.
    pub(super) fn granted(&self, grant: LastGrant) {
        self.with(|state| {
            if !grant.is_handed_over {
                state.run_since = Some(Instant::now());
            }
            state.last_grant = Some(grant);
        });
    }

    /// What the waiter before has left, if it was granted the lock. Then that is held unless it was released since.
    pub(super) fn take_last_grant(&self) -> Option<LastGrant> {
        self.with(|state| state.last_grant.take()).flatten()
    }

    /// For the same place: nothing came of handing the lock over to the first.
    pub(super) fn set_successor(&self, successor: Successor) {
        self.with(|state| {
            if let Some(place) = state.place(self.number) {
                state.waiters[place].1 = Some(successor);
            }
        });
    }

    /// A try was made because the lock may have become free; see [`Contention`].
    pub(super) fn tried(&self, has_won: bool, took: Duration) {
        self.with(|state| state.contention.tried(has_won, took));
    }

    /// See [`Contention`].
    pub(super) fn yields(&self) -> Duration {
        self.with(|state| state.contention.yields()).unwrap_or_default()
    }

    /// The longest pause before the next try.
    pub(super) fn spread(&self) -> Duration {
        self.with(|state| state.contention.spread()).unwrap_or_default()
    }

    /// The last one that any waiter of the line has seen.
    pub(super) fn holder(&self) -> Option<String> {
        self.with(|state| state.holder.clone()).flatten()
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.line.as_ref().map(|line| work(&mut lock(&line.state)))
    }

    /// Waits until all earlier waiters have left.
    pub(super) async fn until_first(&mut self) {
        if let Some(wait) = &mut self.wait {
            self.first = Some(wait.await);
            self.wait = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.with(|state| state.place(self.number).and_then(|place| state.waiters.remove(place)));
        let mut lines = lock(&LINES);
        self.first = None;
        self.wait = None;
        self.line = None;
        lines.remove_if_left(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_first_when_all_before_have_gone() {
        let engine = Arc::new(());
        let place = |lock: &str| Place::at_the_end(&engine, lock.into(), None);
        let (one, mut two, mut three) = (place("lock"), place("lock"), place("lock"));
        let other = place("other");
        assert!(one.is_first() && other.is_first() && !two.is_first() && !three.is_first());
        assert!(two.until_first().now_or_never().is_none());
        drop(one);
        assert!(three.until_first().now_or_never().is_none());
        assert!(two.until_first().now_or_never().is_some());
        two.saw("holder");
        assert_eq!((three.holder().as_deref(), other.holder()), (Some("holder"), None));
        drop(two);
        assert!(three.until_first().now_or_never().is_some());
    }

    #[test]
    fn who_leaves_the_line_holds_up_nobody_and_leaves_nothing_behind() {
        let engine = Arc::new(());
        let place = || Place::at_the_end(&engine, "left".into(), None);
        let (one, two, mut three) = (place(), place(), place());
        drop(two);
        drop(one);
        assert!(three.until_first().now_or_never().is_some());
        let name = three.name.clone();
        drop(three);
        assert!(!lock(&LINES).by_name.contains_key(&name));
    }

    #[test]
    fn a_line_is_kept_while_its_last_waiter_holds_the_lock_and_no_longer() {
        let engine = Arc::new(());
        let place = || Place::at_the_end(&engine, "kept".into(), None);
        let name = place().name.clone();
        let is_known = || lock(&LINES).by_name.contains_key(&name);
        let soon = Instant::now() + Duration::from_secs(600);
        let granted = |end, is_handed_over| place().granted(LastGrant { is_handed_over, end, changes: None });

        granted(soon, true);
        assert!(is_known());
        assert!(place().take_last_grant().is_some());
        assert!(!is_known());

        granted(soon, true);
        assert!(successor(&engine, || "kept".into()).is_none());
        assert!(!is_known(), "it was released to all");

        granted(soon, true);
        released(&engine, || "kept".into());
        assert!(!is_known(), "it was released in another way");

        granted(Instant::now(), true);
        assert!(!is_known(), "its lease has ended");

        granted(soon, false);
        assert!(!is_known(), "it was not handed over");

        granted(soon, true);
        drop(engine);
        assert!(is_left(&lock(&LINES).by_name[&name]), "its engine is no more");
        lock(&LINES).remove_if_left(&name);
    }
}
