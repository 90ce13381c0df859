//! The notifications that other processes send through PostgreSQL's `NOTIFY`: one listening connection per engine (see
//! [`listening`](crate::engine::notifications::listening)), for any number of subscribers.
//!
//! * All notifications come through one channel, and a notification's payload is its topic. A process that is
//!   interested in a topic [`listen`](crate::engine::Engine::listen)s to it. [`EVERYTHING`] goes to all subscribers.
//! * A notification carries no state: it reports that something may have changed, and the subscriber re-reads the row.
//!   So one notification stands for as many as have come since, a surplus notification does no harm, and no
//!   notification has to wait for another.
//! * A notification that is sent while the connection is down is lost. So a subscriber is notified when the connection
//!   is up (again), and re-reads.
//! * If no notifications can be received, for example through a pooler that shares sessions, the subscriber is notified
//!   of that, and polls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::sync::lock;
use crate::tuning::notifications;

/// The payload that concerns every topic, for changes that cannot be notified row by row.
const EVERYTHING: &str = "*";

/// What a subscriber receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// Notifications are received from here on; earlier ones may have been missed. The first notification of each
    /// subscriber is this one or [`Disconnected`](Self::Disconnected).
    Connected,
    /// No notifications are received until [`Connected`](Self::Connected).
    Disconnected,
    /// A topic has been notified, once or more often.
    Notified,
    /// The engine has been closed.
    Ended,
}

#[derive(Default)]
pub(crate) struct Notifier {
    state: Mutex<State>,
    /// Notified when the first subscriber comes, the last one goes, or the engine is closed.
    changed: Notify,
}

#[derive(Default)]
struct State {
    topics: HashMap<String, Vec<Arc<Subscriber>>>,
    /// Whether notifications are received; unknown until the first attempt.
    is_connected: Option<bool>,
    /// Whether a task attends to the connection.
    is_attended: bool,
    is_over: bool,
}

impl Notifier {
    /// Adds a subscriber. Also returns whether a task must attend to the connection now.
    pub(crate) fn subscribe(self: &Arc<Self>, topics: Vec<String>) -> (Subscription, bool) {
        let subscriber = Arc::new(Subscriber::default());
        let mut state = self.state();
        if let Some(is_connected) = state.is_connected {
            subscriber.set_connected(is_connected);
        }
        if state.is_over {
            subscriber.end();
        }
        let attend = !state.is_over && !std::mem::replace(&mut state.is_attended, true);
        for topic in &topics {
            state.topics.entry(topic.clone()).or_default().push(subscriber.clone());
        }
        self.changed.notify_one();
        drop(state);
        (Subscription { notifier: self.clone(), topics, subscriber }, attend)
    }

    /// Notifies the subscribers of this topic.
    pub(crate) fn notify(&self, topic: &str) {
        let state = self.state();
        match topic {
            EVERYTHING => state.subscribers().for_each(|subscriber| subscriber.notify()),
            topic => state.topics.get(topic).into_iter().flatten().for_each(|subscriber| subscriber.notify()),
        }
    }

    /// Notifies all subscribers whether notifications are received from here on.
    pub(crate) fn set_connected(&self, is_connected: bool) {
        let mut state = self.state();
        state.is_connected = Some(is_connected);
        state.subscribers().for_each(|subscriber| subscriber.set_connected(is_connected));
    }

    /// Whether notifications are received now.
    pub(crate) fn is_connected(&self) -> bool {
        self.state().is_connected == Some(true)
    }

    /// No subscriber receives anything any more.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.subscribers().for_each(|subscriber| subscriber.end());
        self.changed.notify_one();
    }

    /// Returns when the connection is not wanted: there has been no subscriber for a while, or the engine is closed.
    /// From here on no task attends to it.
    pub(crate) async fn unwanted(&self) {
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
            sleep(notifications::LINGER).await;
        }
    }

    fn leave(&self) -> bool {
        let mut state = self.state();
        let leaves = state.is_over || state.topics.is_empty();
        if leaves {
            state.is_attended = false;
            state.is_connected = None;
        }
        leaves
    }

    /// The task that attended to the connection has stopped, for whatever reason.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.is_attended) {
            state.is_connected = Some(false);
            state.subscribers().for_each(|subscriber| subscriber.set_connected(false));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn subscribers(&self) -> impl Iterator<Item = &Arc<Subscriber>> {
        self.topics.values().flatten()
    }
}

/// A subscription to one or more topics, until it is dropped.
pub struct Subscription {
    notifier: Arc<Notifier>,
    topics: Vec<String>,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// As [`next`](Self::next), for a caller that may have no subscription, and then receives nothing.
    pub async fn next_of(subscription: &mut Option<Self>) -> Notification {
        match subscription {
            Some(subscription) => subscription.next().await,
            None => std::future::pending().await,
        }
    }

    /// Forgets what was to be notified: the subscriber is about to re-read the topics. Returns whether notifications are received
    /// from here on, if that has changed.
    pub fn forget(&mut self) -> Option<bool> {
        let mut pending = lock(&self.subscriber.pending);
        pending.is_notified = false;
        pending.is_connected.take()
    }

    /// The next notification. Nothing is lost if this future is dropped before it completes.
    pub async fn next(&mut self) -> Notification {
        loop {
            if let Some(notification) = lock(&self.subscriber.pending).take() {
                return notification;
            }
            self.subscriber.woken.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.notifier.state();
        for topic in self.topics.drain(..) {
            if let Entry::Occupied(mut subscribers) = state.topics.entry(topic) {
                subscribers.get_mut().retain(|subscriber| !Arc::ptr_eq(subscriber, &self.subscriber));
                if subscribers.get().is_empty() {
                    subscribers.remove();
                }
            }
        }
        if state.topics.is_empty() {
            self.notifier.changed.notify_one();
        }
    }
}

#[derive(Default)]
struct Subscriber {
    pending: Mutex<Pending>,
    woken: Notify,
}

/// The notifications that a subscriber has not taken yet.
#[derive(Default)]
struct Pending {
    is_notified: bool,
    is_connected: Option<bool>,
    is_over: bool,
}

impl Pending {
    fn take(&mut self) -> Option<Notification> {
        if self.is_over {
            return Some(Notification::Ended);
        }
        match self.is_connected.take() {
            Some(true) => {
                // A subscriber that re-reads because of `Connected` has covered this notification, too.
                self.is_notified = false;
                Some(Notification::Connected)
            }
            Some(false) => Some(Notification::Disconnected),
            None => std::mem::take(&mut self.is_notified).then_some(Notification::Notified),
        }
    }
}

impl Subscriber {
    fn notify(&self) {
        lock(&self.pending).is_notified = true;
        self.woken.notify_one();
    }

    fn set_connected(&self, is_connected: bool) {
        lock(&self.pending).is_connected = Some(is_connected);
        self.woken.notify_one();
    }

    fn end(&self) {
        lock(&self.pending).is_over = true;
        self.woken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn received(subscription: &mut Subscription) -> Option<Notification> {
        subscription.next().now_or_never()
    }

    #[test]
    fn notifications_of_a_topic_merge_and_reach_only_its_subscribers() {
        let notifier = Arc::new(Notifier::default());
        let (mut one, attend) = notifier.subscribe(vec!["one".into()]);
        let (mut two, attend_again) = notifier.subscribe(vec!["two".into()]);
        assert_eq!((attend, attend_again), (true, false));
        notifier.set_connected(true);
        assert_eq!(received(&mut one), Some(Notification::Connected));
        assert_eq!(received(&mut two), Some(Notification::Connected));
        notifier.notify("one");
        notifier.notify("one");
        notifier.notify("three");
        assert_eq!(received(&mut one), Some(Notification::Notified));
        assert_eq!(received(&mut one), None);
        assert_eq!(received(&mut two), None);
        notifier.notify(EVERYTHING);
        assert_eq!(received(&mut one), Some(Notification::Notified));
        assert_eq!(received(&mut two), Some(Notification::Notified));
    }

    #[test]
    fn a_subscriber_to_several_topics_learns_of_the_connection_once() {
        let notifier = Arc::new(Notifier::default());
        let (mut both, _) = notifier.subscribe(vec!["one".into(), "two".into()]);
        notifier.set_connected(true);
        assert_eq!(received(&mut both), Some(Notification::Connected));
        assert_eq!(received(&mut both), None);
        for topic in ["one", "two"] {
            notifier.notify(topic);
            assert_eq!(received(&mut both), Some(Notification::Notified));
        }
        drop(both);
        assert!(notifier.state().topics.is_empty());
    }

    #[test]
    fn a_late_subscriber_learns_at_once_whether_the_connection_is_up() {
        let notifier = Arc::new(Notifier::default());
        let (mut first, _) = notifier.subscribe(vec!["topic".into()]);
        assert_eq!(received(&mut first), None);
        notifier.set_connected(false);
        let (mut second, _) = notifier.subscribe(vec!["topic".into()]);
        assert_eq!(received(&mut second), Some(Notification::Disconnected));
        notifier.set_connected(true);
        assert_eq!(received(&mut first), Some(Notification::Connected));
        notifier.end();
        assert_eq!(received(&mut second), Some(Notification::Ended));
        assert_eq!(received(&mut notifier.subscribe(vec!["topic".into()]).0), Some(Notification::Ended));
    }

    #[test]
    fn the_last_subscription_leaves_no_topic_behind() {
        let notifier = Arc::new(Notifier::default());
        let (first, _) = notifier.subscribe(vec!["topic".into()]);
        let (second, _) = notifier.subscribe(vec!["topic".into()]);
        drop(first);
        assert_eq!(notifier.state().topics.len(), 1);
        drop(second);
        assert!(notifier.state().topics.is_empty());
    }
}
