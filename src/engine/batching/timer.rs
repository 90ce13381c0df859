//! Wakes the scheduler when it wants to be woken: one task per engine.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// The task wakes at the earliest time that has been set since it last woke. A later time does not postpone it: at the
/// usual rate of calls each batch has its own deadline, and most pass without need. So the task wakes once in 10 ms,
/// and not once in a batch.
#[derive(Default)]
pub(crate) struct Alarm(Option<Instant>);

impl Alarm {
    /// Returns whether the task must be notified, because this is earlier than what it waits for.
    pub(crate) fn set(&mut self, due: Option<Instant>) -> bool {
        let is_earlier = due.is_some_and(|due| self.0.is_none_or(|set| due < set));
        if is_earlier {
            self.0 = due;
        }
        is_earlier
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.0
    }
}

/// What has an alarm.
pub(crate) trait Sleeper: Send + Sync {
    fn due(&self) -> Option<Instant>;
    /// It is due. This resets the alarm.
    fn wake(self: Arc<Self>);
}

pub(crate) async fn run(sleeper: Weak<impl Sleeper>, changed: Arc<Notify>) {
    loop {
        let Some(due) = sleeper.upgrade().map(|sleeper| sleeper.due()) else { return };
        match due {
            Some(due) if due <= Instant::now() => {
                let Some(sleeper) = sleeper.upgrade() else { return };
                sleeper.wake();
            }
            Some(due) => tokio::select! {
                () = sleep_until(due.into()) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
    }
}
