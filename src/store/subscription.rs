//! A breaker's state, told whenever it has changed, whoever changed it.
//!
//! 1. The state is read at the subscription's own place among the calls on its key. From that the first change is told.
//! 2. Then it listens, and whenever it hears that the breaker may have changed, or that hearing begins (again), it reads
//!    the state once more. Notices carry no state: what is read is what everybody else reads, and always later than what
//!    was read before, so changes are told in their order, and one that follows another too quickly stands for both.
//! 3. If no notifications arrive, because there is no connection for them or the table has no trigger, it reads every [`POLL`].
//! 4. Otherwise it still reads every [`SELDOM`]: a change under `session_replication_role = replica`, or by a logical
//!    subscription, runs no trigger. And if a notification shows no change, it reads once more after [`POLL`]: the read may
//!    have been answered by a replica that is behind.
//!
//! Reads of many breakers at one moment share statements, as those of any caller do.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::circuits::Circuits;
use super::leases::SELDOM;
use crate::link::{Awaited, Error, Listening, Notice, Outcome, Reply};

/// How long a change may go unseen if it is not announced.
const POLL: Duration = Duration::from_secs(1);

/// What a breaker is that has no row.
const ABSENT: &str = r#"{"state":"closed","failureCount":0}"#;

/// Goes on until it is dropped, or the link is closed.
pub struct Subscription {
    _ends_when_dropped: oneshot::Sender<()>,
}

/// Has `tell` called with a breaker's state, as `get_state` gives it, after each change of it.
pub(super) fn subscribe(
    circuits: &Circuits,
    key: String,
    tell: impl Fn(String) + Send + Sync + 'static,
) -> Subscription {
    let (ends_when_dropped, dropped) = oneshot::channel();
    let first = look(circuits, &key);
    let watch = Watch { circuits: circuits.clone(), key, known: None, is_behind: false, tell };
    circuits.link().in_background(async move {
        tokio::select! {
            () = watch.run(first) => {}
            _ = dropped => {}
        }
    });
    Subscription { _ends_when_dropped: ends_when_dropped }
}

/// Asks for a breaker's state.
fn look(circuits: &Circuits, key: &str) -> Awaited {
    let (reply, state) = Reply::awaited();
    circuits.get_state(key.to_owned(), reply);
    state
}

struct Watch<T> {
    circuits: Circuits,
    key: String,
    /// What the breaker was when it was last looked at.
    known: Option<String>,
    /// Whether the last look failed, so that something may have been missed.
    is_behind: bool,
    tell: T,
}

impl<T: Fn(String)> Watch<T> {
    async fn run(mut self, first: Awaited) {
        let mut ear = Ear::default();
        let mut looking = first;
        let mut is_notified = false;
        loop {
            let outcome = looking.await;
            if matches!(outcome, Err(Error::Closed)) {
                return;
            }
            let is_news = self.see(outcome);
            let soon = self.is_behind || (is_notified && !is_news);
            // Only now is the table known, and with it who tells of it.
            if ear.listening.is_none() {
                ear.listening = self.circuits.listen(&self.key);
            }
            let woken = ear.wait(soon).await;
            if woken == Some(Notice::Over) {
                return;
            }
            is_notified = woken == Some(Notice::Told);
            looking = look(&self.circuits, &self.key);
        }
    }

    /// Tells what has been seen, if it is news, and whether it is. If the first look failed, whatever comes after it is.
    fn see(&mut self, outcome: Outcome) -> bool {
        let was_behind = std::mem::replace(&mut self.is_behind, outcome.is_err());
        let Ok(circuit) = outcome else { return false };
        let circuit = if circuit == "null" { ABSENT.to_owned() } else { circuit };
        let Ok(Named { state }) = serde_json::from_str(&circuit) else { return false };
        let is_news = match &self.known {
            Some(known) => *known != state,
            None => was_behind,
        };
        self.known = Some(state.into_owned());
        if is_news {
            (self.tell)(circuit);
        }
        is_news
    }
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
}

/// What is heard of a breaker.
#[derive(Default)]
struct Ear {
    /// None where nobody tells.
    listening: Option<Listening>,
    hears: bool,
}

impl Ear {
    /// Until it is time to look again: by a notice, or by the clock, which is none.
    async fn wait(&mut self, soon: bool) -> Option<Notice> {
        let began = Instant::now();
        loop {
            let pause = if self.hears && !soon { SELDOM } else { POLL };
            tokio::select! {
                notice = Listening::next_of(&mut self.listening) => match notice {
                    Notice::Deaf => self.hears = false,
                    notice => {
                        self.hears |= notice == Notice::Resumed;
                        return Some(notice);
                    }
                },
                () = sleep_until(began + pause) => return None,
            }
        }
    }
}
