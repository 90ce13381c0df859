//! Reports a breaker's state after each change, no matter which process made it.
//!
//! 1. The state is read at the subscription's own place among the calls on its key. The first reported change is
//!    relative to that state.
//! 2. Then it listens. It reads the state again when a notification says that the breaker may have changed, or when
//!    notifications start to arrive (again). Notifications carry no state. The state comes from the same read as for
//!    every other caller, and each read is later than the one before. So changes are reported in order, and one
//!    report stands for two changes that follow each other too quickly.
//! 3. If no notifications arrive, because there is no connection for them or the table has no trigger, it reads every
//!    [`notifications::POLL`](crate::tuning::notifications::POLL).
//! 4. Otherwise it still reads every [`leases::POLL_BESIDE_NOTIFICATIONS`](crate::tuning::leases::POLL_BESIDE_NOTIFICATIONS): a change under `session_replication_role = replica`, or by a logical
//!    subscription, runs no trigger. And if a notification shows no change, it reads once more after [`notifications::POLL`](crate::tuning::notifications::POLL): the
//!    read may have been answered by a replica that is behind.
//!
//! Reads of many breakers at one moment share statements, as those of any caller do.

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::circuits::{Circuit, CircuitState, Circuits};
use crate::engine::{Error, FutureOutcome, Notification, Reply, Subscription};
use crate::tuning::{leases, notifications};

/// Runs until it is dropped, or the engine is closed.
pub struct CircuitSubscription {
    _ends_when_dropped: oneshot::Sender<()>,
}

impl Circuits {
    /// Calls `report` with the breaker's state after each change, no matter which process makes it.
    pub fn subscribe(
        &self,
        key: String,
        report: impl Fn(Circuit) + Send + Sync + 'static,
    ) -> CircuitSubscription {
        let (ends_when_dropped, dropped) = oneshot::channel();
        let first = look(self, &key);
        let watch = Watch { circuits: self.clone(), key, known: None, is_behind: false, report };
        self.engine().in_background(async move {
            tokio::select! {
                () = watch.run(first) => {}
                _ = dropped => {}
            }
        });
        CircuitSubscription { _ends_when_dropped: ends_when_dropped }
    }
}

/// Reads a breaker's state.
fn look(circuits: &Circuits, key: &str) -> FutureOutcome<Option<Circuit>> {
    let (reply, circuit) = Reply::awaited();
    circuits.look(key.to_owned(), reply);
    circuit
}

struct Watch<T> {
    circuits: Circuits,
    key: String,
    /// The breaker's state at the last read.
    known: Option<CircuitState>,
    /// Whether the last read failed, so that a change may have been missed.
    is_behind: bool,
    report: T,
}

impl<T: Fn(Circuit)> Watch<T> {
    async fn run(mut self, first: FutureOutcome<Option<Circuit>>) {
        let mut changes = Changes::default();
        let mut looking = first;
        let mut is_notified = false;
        loop {
            let outcome = looking.await;
            if matches!(outcome, Err(Error::Closed)) {
                return;
            }
            let is_news = self.see(outcome);
            let soon = self.is_behind || (is_notified && !is_news);
            // Only now is the table known, and with it the source of its notifications.
            if changes.subscription.is_none() {
                changes.subscription = self.circuits.listen(&self.key);
            }
            let woken = changes.wait(soon).await;
            if woken == Some(Notification::Ended) {
                return;
            }
            is_notified = woken == Some(Notification::Notified);
            looking = look(&self.circuits, &self.key);
        }
    }

    /// Reports the state if it is news, and returns whether it is. If the first read failed, the next state that is
    /// read counts as news.
    fn see(&mut self, outcome: Result<Option<Circuit>, Error>) -> bool {
        let was_behind = std::mem::replace(&mut self.is_behind, outcome.is_err());
        let Ok(circuit) = outcome else { return false };
        let circuit = circuit.unwrap_or(Circuit::ABSENT);
        let is_news = match self.known {
            Some(known) => known != circuit.state,
            None => was_behind,
        };
        self.known = Some(circuit.state);
        if is_news {
            (self.report)(circuit);
        }
        is_news
    }
}

/// The notifications about a breaker.
#[derive(Default)]
struct Changes {
    /// None if no notifications are sent.
    subscription: Option<Subscription>,
    is_connected: bool,
}

impl Changes {
    /// Waits until it is time to read again. Returns the notification, or none if a timer has run out.
    async fn wait(&mut self, soon: bool) -> Option<Notification> {
        let began = Instant::now();
        loop {
            let pause = if self.is_connected && !soon {
                leases::POLL_BESIDE_NOTIFICATIONS
            } else {
                notifications::POLL
            };
            tokio::select! {
                notification = Subscription::next_of(&mut self.subscription) => match notification {
                    Notification::Disconnected => self.is_connected = false,
                    notification => {
                        self.is_connected |= notification == Notification::Connected;
                        return Some(notification);
                    }
                },
                () = sleep_until(began + pause) => return None,
            }
        }
    }
}
