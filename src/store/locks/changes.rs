//! Until it is time to look at a busy lock again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::engine::{Error, Notification, Subscription};
use crate::tuning::leases;

/// The notifications about a lock.
pub(super) struct Changes {
    /// None if no notifications are sent.
    pub(super) subscription: Option<Subscription>,
    is_connected: bool,
    poll: Duration,
}

impl Changes {
    pub(super) fn new(subscription: Option<Subscription>) -> Self {
        Self { subscription, is_connected: false, poll: leases::FIRST_POLL }
    }

    pub(super) fn of_another_wait(self) -> Self {
        Self { poll: leases::FIRST_POLL, ..self }
    }

    /// The next request will see what has been notified so far.
    pub(super) fn are_known(&mut self) {
        if let Some(is_connected) = self.subscription.as_mut().and_then(Subscription::forget) {
            self.is_connected = is_connected;
        }
    }

    /// Waits until it is time for another try, and returns whether that was notified. `left`: the remaining time of the
    /// lease that is in the way.
    pub(super) async fn wait(&mut self, left: Duration) -> Result<bool, Error> {
        // Waits until the server's clock has passed the end, too: the reported time is cut to whole microseconds.
        let left = left + Duration::from_millis(1);
        let began = Instant::now();
        loop {
            let look = if self.is_connected { leases::POLL_BESIDE_NOTIFICATIONS } else { self.poll };
            match self.next(began + look.min(left)).await? {
                Change::Notified => return Ok(true),
                Change::Connected => return Ok(false),
                Change::Disconnected => {}
                Change::None => {
                    self.poll = (self.poll * 2).min(leases::LAST_POLL);
                    return Ok(false);
                }
            }
        }
    }

    /// Whether another process announces a release within this time.
    pub(super) async fn is_notified_within(&mut self, time: Duration) -> Result<bool, Error> {
        let until = Instant::now() + time;
        while self.is_connected {
            match self.next(until).await? {
                Change::Notified => return Ok(true),
                Change::None => return Ok(false),
                Change::Connected | Change::Disconnected => {}
            }
        }
        Ok(false)
    }

    async fn next(&mut self, until: Instant) -> Result<Change, Error> {
        tokio::select! {
            notification = Subscription::next_of(&mut self.subscription) => Ok(match notification {
                Notification::Ended => return Err(Error::Closed),
                Notification::Disconnected => {
                    self.is_connected = false;
                    Change::Disconnected
                }
                Notification::Connected => {
                    self.is_connected = true;
                    Change::Connected
                }
                Notification::Notified => Change::Notified,
            }),
            () = sleep_until(until) => Ok(Change::None),
        }
    }
}

enum Change {
    Notified,
    Connected,
    Disconnected,
    /// Not in time.
    None,
}
