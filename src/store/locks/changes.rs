//! Until it is time to look at a busy lock again.

use std::time::Duration;

use tokio::time::sleep_until;

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

    /// The next try will see what has been notified so far.
    pub(super) fn are_known(&mut self) {
        if let Some(subscription) = &mut self.subscription {
            subscription.forget();
        }
    }

    /// Waits until it is time for another try, and returns whether that was notified. `left`: the remaining time of the
    /// lease that is in the way.
    pub(super) async fn wait(&mut self, left: Duration) -> Result<bool, Error> {
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
                        return Ok(false);
                    }
                    Notification::Notified => return Ok(true),
                },
                () = sleep_until(began + look.min(left)) => {
                    self.poll = (self.poll * 2).min(leases::LAST_POLL);
                    return Ok(false);
                }
            }
        }
    }
}
