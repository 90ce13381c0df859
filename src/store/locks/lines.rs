//! The waiters for one lock in this process, first-in, first-out. Only the first in line sends requests to the
//! server. All of them know the holder that was seen last.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use futures_util::FutureExt;
use tokio::sync::OwnedMutexGuard;

use super::contention::Contention;
use crate::sync::lock;

/// The engine, by its address, and the lock.
type Name = (usize, String);

#[derive(Default)]
struct Line {
    /// Held by the first.
    first: Arc<tokio::sync::Mutex<()>>,
    holder: Mutex<Option<String>>,
    /// Whether the waiter that has left last was granted the lock, and the next does not know it yet.
    is_granted: AtomicBool,
    contention: Mutex<Contention>,
}

/// The lines that have waiters. Adapters of one engine share them.
static LINES: LazyLock<Mutex<HashMap<Name, Arc<Line>>>> = LazyLock::new(Mutex::default);

type Wait = Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>>;

/// A place in a line, taken when this was made. It is given up when this is dropped.
pub(super) struct Place {
    name: Name,
    line: Option<Arc<Line>>,
    wait: Option<Wait>,
    first: Option<OwnedMutexGuard<()>>,
}

impl Place {
    /// `engine` must outlive the place.
    pub(super) fn at_the_end<L>(engine: &Arc<L>, lock_name: String) -> Self {
        let name = (Arc::as_ptr(engine).addr(), lock_name);
        let line = lock(&LINES).entry(name.clone()).or_default().clone();
        // Polled once, it has its place: the mutex is fair.
        let mut wait: Wait = Box::pin(line.first.clone().lock_owned());
        let first = (&mut wait).now_or_never();
        let wait = first.is_none().then_some(wait);
        Self { name, line: Some(line), wait, first }
    }

    pub(super) fn is_first(&self) -> bool {
        self.first.is_some()
    }

    /// The lock was seen with this holder.
    pub(super) fn saw(&self, holder: &str) {
        if let Some(line) = &self.line {
            *lock(&line.holder) = Some(holder.to_owned());
        }
    }

    /// This waiter leaves the line with the lock.
    pub(super) fn granted(&self) {
        if let Some(line) = &self.line {
            line.is_granted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the waiter before was granted the lock, so that it is held unless it was released since.
    pub(super) fn follows_a_grant(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_granted.swap(false, Ordering::Relaxed))
    }

    pub(super) fn contention(&self) -> Option<MutexGuard<'_, Contention>> {
        self.line.as_ref().map(|line| lock(&line.contention))
    }

    /// The last one that any waiter of the line has seen.
    pub(super) fn holder(&self) -> Option<String> {
        self.line.as_ref().and_then(|line| lock(&line.holder).clone())
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
        let mut lines = lock(&LINES);
        self.first = None;
        self.wait = None;
        self.line = None;
        // Every other waiter in line also holds a reference to the line.
        if lines.get(&self.name).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_first_when_all_before_have_gone() {
        let engine = Arc::new(());
        let place = |lock: &str| Place::at_the_end(&engine, lock.into());
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
        let place = || Place::at_the_end(&engine, "left".into());
        let (one, two, mut three) = (place(), place(), place());
        drop(two);
        drop(one);
        assert!(three.until_first().now_or_never().is_some());
        let name = three.name.clone();
        drop(three);
        assert!(!lock(&LINES).contains_key(&name));
    }
}
