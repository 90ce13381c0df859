//! How many statements may wait for a lock without a limit of ours.

use std::sync::Arc;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::scheduling::events::Event;

/// The right to wait for a lock for as long as the user allows. It is not given out if it would take the last
/// connection.
pub(crate) struct Slot(Arc<Engine>);

impl Slot {
    pub(crate) fn take(engine: &Arc<Engine>) -> Option<Self> {
        engine.state().scheduler.take_slot().then(|| Self(engine.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.on(Event::AloneEnded { retries: Vec::new(), blocked: Vec::new() });
    }
}
