//! Wakes the scheduler when it wants to be woken: one task per engine.

use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::scheduling::events::Event;

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
}

pub(crate) async fn run(engine: Weak<Engine>, changed: Arc<Notify>) {
    loop {
        let Some(due) = engine.upgrade().map(|engine| engine.state().alarm.0) else { return };
        match due {
            Some(due) if due <= Instant::now() => {
                let Some(engine) = engine.upgrade() else { return };
                engine.state().alarm = Alarm::default();
                engine.on(Event::Woken);
            }
            Some(due) => tokio::select! {
                () = sleep_until(due.into()) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
    }
}
