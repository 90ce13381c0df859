//! The end of an engine: what it waits for, and for how long.

use std::sync::Arc;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::scheduling::events::Event;
use crate::tuning::closing;

impl Engine {
    /// Refuses new calls. Waits, within a limit, for the calls under way and for the work that is owed. Then closes
    /// every connection with a Terminate.
    pub async fn close(self: &Arc<Self>) {
        self.flush();
        self.on(Event::Closing);
        self.notifier.end();
        loop {
            let idle = self.idle.notified();
            if self.state().scheduler.in_flight() == 0 {
                break;
            }
            idle.await;
        }
        self.owed.settled().await;
        self.on(Event::Closed);
        // Work that may still be under way must not take effect after the application has continued.
        let _ = tokio::time::timeout(closing::LOST_SESSIONS, self.lost_sessions.all_gone()).await;
        let _ = tokio::time::timeout(closing::TERMINATE, self.pool.close()).await;
    }

    /// As [`close`](Self::close), if no caller is left to wait: the environment is ending.
    pub fn abandon(self: &Arc<Self>) {
        self.on(Event::Closed);
        self.notifier.end();
        self.pool.abandon();
    }
}
