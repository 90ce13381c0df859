//! Work that is owed to the server though no caller waits for it, such as giving back a lock that was granted when
//! its caller had gone. The end of the pool and the end of the process wait for it, for at most [`closing::OWED_WORK`](crate::tuning::closing::OWED_WORK).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::engine::batching::engine::Engine;
use crate::tuning::closing;

#[derive(Default)]
pub(crate) struct Owed {
    pieces: AtomicUsize,
    none: Notify,
}

impl Owed {
    pub(crate) fn is_any(&self) -> bool {
        self.pieces.load(Ordering::Acquire) > 0
    }

    /// Returns when nothing is owed: within the time of one piece, if no more is added.
    pub(crate) async fn settled(&self) {
        loop {
            let none = self.none.notified();
            if !self.is_any() {
                return;
            }
            none.await;
        }
    }
}

/// One piece of work, counted until it is dropped.
struct Piece(Arc<Owed>);

impl Piece {
    fn of(owed: &Arc<Owed>) -> Self {
        owed.pieces.fetch_add(1, Ordering::AcqRel);
        Self(owed.clone())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.0.pieces.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

impl Engine {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_goes_on_when_the_last_piece_is_done() {
        let owed = Arc::new(Owed::default());
        owed.settled().await;
        let pieces = [Piece::of(&owed), Piece::of(&owed)];
        let waits = tokio::spawn({
            let owed = owed.clone();
            async move { owed.settled().await }
        });
        let [first, last] = pieces;
        drop(first);
        tokio::task::yield_now().await;
        assert!(owed.is_any() && !waits.is_finished());
        drop(last);
        waits.await.expect("it goes on");
    }
}
