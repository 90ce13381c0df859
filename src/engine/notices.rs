//! The notices that other processes send through PostgreSQL's `NOTIFY`: one listening connection per engine (see
//! [`hearing`](super::hearing)), for any number of listeners.
//!
//! * All notices come through one channel, and a notice's payload is its topic. A process that is interested in a
//!   topic [`listen`](super::Engine::listen)s to it. [`EVERYTHING`] goes to all listeners.
//! * A notice carries no state: it reports that something may have changed, and the listener re-reads the row. So one
//!   notice stands for as many as have come since, a surplus notice does no harm, and no notice has to wait for
//!   another.
//! * A notice that is sent while the connection is down is lost. So a listener is notified when the connection is up
//!   (again), and re-reads.
//! * If no notices can be received, for example through a pooler that shares sessions, the listener is notified of
//!   that, and polls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::sync::lock;

/// The payload that concerns every topic, for changes that cannot be notified row by row.
const EVERYTHING: &str = "*";

/// How long the connection stays open when there are no more listeners: waits for a lock come and go.
const LINGER: Duration = Duration::from_secs(10);

/// What a listener receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Notices are received from here on; earlier ones may have been missed. The first notice of each listener is
    /// this one or [`Deaf`](Self::Deaf).
    Resumed,
    /// No notices are received until [`Resumed`](Self::Resumed).
    Deaf,
    /// The topic has been notified, once or more often.
    Told,
    /// The engine has been closed.
    Over,
}

#[derive(Default)]
pub(super) struct Notices {
    state: Mutex<State>,
    /// Notified when the first listener comes, the last one goes, or the engine is closed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    topics: HashMap<String, Vec<Arc<Ear>>>,
    /// Whether notices are received; unknown until the first attempt.
    hears: Option<bool>,
    /// Whether a task attends to the connection.
    is_attended: bool,
    is_over: bool,
}

impl Notices {
    /// Adds a listener. Also returns whether a task must attend to the connection now.
    pub(super) fn enter(self: &Arc<Self>, topic: String) -> (Listening, bool) {
        let ear = Arc::new(Ear::default());
        let mut state = self.state();
        if let Some(hears) = state.hears {
            ear.turn(hears);
        }
        if state.is_over {
            ear.end();
        }
        let attend = !state.is_over && !std::mem::replace(&mut state.is_attended, true);
        state.topics.entry(topic.clone()).or_default().push(ear.clone());
        self.changed.notify_one();
        drop(state);
        (Listening { notices: self.clone(), topic, ear }, attend)
    }

    /// Notifies the listeners of this topic.
    pub(super) fn tell(&self, topic: &str) {
        let state = self.state();
        match topic {
            EVERYTHING => state.ears().for_each(|ear| ear.tell()),
            topic => state.topics.get(topic).into_iter().flatten().for_each(|ear| ear.tell()),
        }
    }

    /// Notifies all listeners whether notices are received from here on.
    pub(super) fn turn(&self, hears: bool) {
        let mut state = self.state();
        state.hears = Some(hears);
        state.ears().for_each(|ear| ear.turn(hears));
    }

    /// Whether notices are received now.
    pub(super) fn are_heard(&self) -> bool {
        self.state().hears == Some(true)
    }

    /// No listener receives anything any more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.ears().for_each(|ear| ear.end());
        self.changed.notify_one();
    }

    /// Returns when the connection is not wanted: there has been no listener for a while, or the engine is closed. From
    /// here on no task attends to it.
    pub(super) async fn unwanted(&self) {
        loop {
            let is_wanted = {
                let state = self.state();
                !state.is_over && !state.topics.is_empty()
            };
            if !is_wanted {
                tokio::select! {
                    () = self.lingered() => if self.leave() { return },
                    () = self.changed.notified() => {}
                }
            } else {
                self.changed.notified().await;
            }
        }
    }

    async fn lingered(&self) {
        if !self.state().is_over {
            sleep(LINGER).await;
        }
    }

    fn leave(&self) -> bool {
        let mut state = self.state();
        let leaves = state.is_over || state.topics.is_empty();
        if leaves {
            state.is_attended = false;
            state.hears = None;
        }
        leaves
    }

    /// The task that attended to the connection has stopped, for whatever reason.
    pub(super) fn forsake(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.is_attended) {
            state.hears = Some(false);
            state.ears().for_each(|ear| ear.turn(false));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn ears(&self) -> impl Iterator<Item = &Arc<Ear>> {
        self.topics.values().flatten()
    }
}

/// A subscription to a topic, until it is dropped.
pub struct Listening {
    notices: Arc<Notices>,
    topic: String,
    ear: Arc<Ear>,
}

impl Listening {
    /// As [`next`](Self::next), for a caller that may have no subscription, and then receives nothing.
    pub async fn next_of(listening: &mut Option<Self>) -> Notice {
        match listening {
            Some(listening) => listening.next().await,
            None => std::future::pending().await,
        }
    }

    /// The next notice. Nothing is lost if this future is dropped before it completes.
    pub async fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = lock(&self.ear.heard).take() {
                return notice;
            }
            self.ear.woken.notified().await;
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.notices.state();
        if let Entry::Occupied(mut ears) = state.topics.entry(std::mem::take(&mut self.topic)) {
            ears.get_mut().retain(|ear| !Arc::ptr_eq(ear, &self.ear));
            if ears.get().is_empty() {
                ears.remove();
            }
        }
        if state.topics.is_empty() {
            self.notices.changed.notify_one();
        }
    }
}

#[derive(Default)]
struct Ear {
    heard: Mutex<Heard>,
    woken: Notify,
}

/// The notices that a listener has not taken yet.
#[derive(Default)]
struct Heard {
    told: bool,
    hears: Option<bool>,
    is_over: bool,
}

impl Heard {
    fn take(&mut self) -> Option<Notice> {
        if self.is_over {
            return Some(Notice::Over);
        }
        match self.hears.take() {
            Some(true) => {
                // A listener that re-reads because of `Resumed` has covered this notice, too.
                self.told = false;
                Some(Notice::Resumed)
            }
            Some(false) => Some(Notice::Deaf),
            None => std::mem::take(&mut self.told).then_some(Notice::Told),
        }
    }
}

impl Ear {
    fn tell(&self) {
        lock(&self.heard).told = true;
        self.woken.notify_one();
    }

    fn turn(&self, hears: bool) {
        lock(&self.heard).hears = Some(hears);
        self.woken.notify_one();
    }

    fn end(&self) {
        lock(&self.heard).is_over = true;
        self.woken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn heard(listening: &mut Listening) -> Option<Notice> {
        listening.next().now_or_never()
    }

    #[test]
    fn many_notices_of_a_topic_are_heard_as_one_by_those_who_listen_to_it() {
        let notices = Arc::new(Notices::default());
        let (mut one, attend) = notices.enter("one".into());
        let (mut two, attend_again) = notices.enter("two".into());
        assert_eq!((attend, attend_again), (true, false));
        notices.turn(true);
        assert_eq!(heard(&mut one), Some(Notice::Resumed));
        assert_eq!(heard(&mut two), Some(Notice::Resumed));
        notices.tell("one");
        notices.tell("one");
        notices.tell("three");
        assert_eq!(heard(&mut one), Some(Notice::Told));
        assert_eq!(heard(&mut one), None);
        assert_eq!(heard(&mut two), None);
        notices.tell(EVERYTHING);
        assert_eq!(heard(&mut one), Some(Notice::Told));
        assert_eq!(heard(&mut two), Some(Notice::Told));
    }

    #[test]
    fn who_comes_later_hears_at_once_whether_there_is_anything_to_hear() {
        let notices = Arc::new(Notices::default());
        let (mut first, _) = notices.enter("topic".into());
        assert_eq!(heard(&mut first), None);
        notices.turn(false);
        let (mut second, _) = notices.enter("topic".into());
        assert_eq!(heard(&mut second), Some(Notice::Deaf));
        notices.turn(true);
        assert_eq!(heard(&mut first), Some(Notice::Resumed));
        notices.end();
        assert_eq!(heard(&mut second), Some(Notice::Over));
        assert_eq!(heard(&mut notices.enter("topic".into()).0), Some(Notice::Over));
    }

    #[test]
    fn the_last_to_go_leaves_nothing_behind() {
        let notices = Arc::new(Notices::default());
        let (first, _) = notices.enter("topic".into());
        let (second, _) = notices.enter("topic".into());
        drop(first);
        assert_eq!(notices.state().topics.len(), 1);
        drop(second);
        assert!(notices.state().topics.is_empty());
    }
}
