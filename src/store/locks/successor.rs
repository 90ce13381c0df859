//! The waiter that a lock can be handed over to.

use tokio::sync::oneshot;

use super::attempt::Attempt;
use super::provider::Locks;

/// What the release of a lock must know of a waiter.
pub(super) struct Successor {
    pub(super) locks: Locks,
    pub(super) key: String,
    pub(super) ttl: f64,
    sender: oneshot::Sender<Attempt>,
}

impl Successor {
    pub(super) fn new(locks: Locks, key: String, ttl: f64) -> (Self, HandOver) {
        let (sender, receiver) = oneshot::channel();
        (Self { locks, key, ttl, sender }, HandOver(Some(receiver)))
    }

    /// The lock is being handed over. If the waiter has just given up, the lock is released.
    pub(super) fn hand_over(self, attempt: Attempt) {
        let Self { locks, key, ttl, sender } = self;
        if let Err(attempt) = sender.send(attempt) {
            attempt.abandon(&locks, &key, ttl);
        }
    }
}

/// Where the waiter learns that the lock is being handed over, once.
pub(super) struct HandOver(Option<oneshot::Receiver<Attempt>>);

impl HandOver {
    /// Waits for what is handed over, which may never come.
    pub(super) async fn attempt_of(hand_over: &mut Option<Self>) -> Attempt {
        if let Some(Self(receiver)) = hand_over
            && let Some(received) = receiver
        {
            let received = received.await;
            *receiver = None;
            if let Ok(attempt) = received {
                return attempt;
            }
        }
        std::future::pending().await
    }

    /// What is being handed over by now.
    pub(super) fn take(&mut self) -> Option<Attempt> {
        let attempt = self.0.as_mut()?.try_recv().ok()?;
        self.0 = None;
        Some(attempt)
    }

    /// From here on nothing is handed over. Returns what already was.
    pub(super) fn end(mut self) -> Option<Attempt> {
        self.0.as_mut()?.close();
        self.take()
    }
}
