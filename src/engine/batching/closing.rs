//! The end of an engine: what it waits for, and for how long.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::scheduling::events::Event;

/// How long `close` waits for connections to send their Terminate to the server before it leaves them to the runtime.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long `close` waits for the server to end sessions whose connection was lost.
const LOST_SESSIONS: Duration = Duration::from_secs(1);

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
        let _ = tokio::time::timeout(LOST_SESSIONS, self.lost_sessions.all_gone()).await;
        let _ = tokio::time::timeout(GOODBYE, self.pool.close()).await;
    }

    /// As [`close`](Self::close), if no caller is left to wait: the environment is ending.
    pub fn abandon(self: &Arc<Self>) {
        self.on(Event::Closed);
        self.notifier.end();
        self.pool.abandon();
    }
}
