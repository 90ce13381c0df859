//! Waits that JavaScript may give up. It identifies each by the slot of its call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::sync::lock;

#[derive(Default)]
pub(super) struct Waits {
    by_slot: Mutex<HashMap<u32, Arc<Notify>>>,
}

impl Waits {
    /// Ends the wait of this slot, if there is one.
    pub(super) fn give_up(&self, slot: u32) {
        if let Some(given_up) = lock(&self.by_slot).get(&slot) {
            given_up.notify_one();
        }
    }
}

/// One wait. It must be dropped before its call is answered: from then on the slot may belong to another call.
pub(super) struct Wait {
    waits: Arc<Waits>,
    slot: u32,
    given_up: Arc<Notify>,
}

impl Wait {
    pub(super) fn new(waits: &Arc<Waits>, slot: u32) -> Self {
        let given_up = Arc::new(Notify::new());
        lock(&waits.by_slot).insert(slot, given_up.clone());
        Self { waits: waits.clone(), slot, given_up }
    }

    /// Resolves when JavaScript gives the wait up.
    pub(super) async fn given_up(self) {
        self.given_up.notified().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        lock(&self.waits.by_slot).remove(&self.slot);
    }
}
