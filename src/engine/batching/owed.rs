//! Work that is owed to the server though no caller waits for it, such as giving back a lock that was granted when
//! its caller had gone. The end of the pool and the end of the process wait for it, for at most [`closing::OWED_WORK`](crate::tuning::closing::OWED_WORK).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

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
pub(crate) struct Piece(Arc<Owed>);

impl Piece {
    pub(crate) fn of(owed: &Arc<Owed>) -> Self {
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
