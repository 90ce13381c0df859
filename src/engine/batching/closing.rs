//! The end of an engine: what it waits for, and for how long. The work that is owed, which it waits for.

use std::sync::Arc;

use tokio::time::timeout;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::owed::Piece;
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
        let _ = timeout(closing::LOST_SESSIONS, self.lost_sessions.all_gone()).await;
        let _ = timeout(closing::TERMINATE, self.pool.close()).await;
    }

    /// As [`close`](Self::close), if no caller is left to wait: the environment is ending.
    pub fn abandon(self: &Arc<Self>) {
        self.on(Event::Closed);
        self.notifier.end();
        self.pool.abandon();
    }

    /// Runs work that is owed. It counts before this returns. The requests that it submits must be marked as owed (see
    /// `Request::owed`). Otherwise they would be refused while the pool is being ended.
    pub fn owe(&self, work: impl Future<Output = ()> + Send + 'static) {
        let piece = Piece::of(&self.owed);
        self.in_background(async move {
            let mut work = std::pin::pin!(work);
            let is_done = timeout(closing::OWED_WORK, &mut work).await.is_ok();
            drop(piece);
            if !is_done {
                work.await;
            }
        });
    }

    /// Whether the process should not exit yet.
    pub fn owes(&self) -> bool {
        self.owed.is_any()
    }

    pub async fn until_nothing_is_owed(&self) {
        self.owed.settled().await;
    }
}
