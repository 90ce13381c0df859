//! Many calls that are made, and answered, as one.

use std::sync::{Arc, Mutex};

use crate::engine::{Error, Outcome, Reply};
use crate::sync::lock;

/// The outcomes of some calls, in the order in which the calls were made. The caller gets the outcome when the last
/// call has finished. So when the caller sees a failure, no call is still under way. If several calls fail, the
/// caller gets the failure of the first of them in that order.
pub(super) struct Join<J> {
    state: Mutex<State<J>>,
}

struct State<J> {
    waiting_for: usize,
    outcomes: Vec<String>,
    failure: Option<(usize, Error)>,
    asked_by: Option<(J, Reply)>,
}

impl<J: FnOnce(Vec<String>) -> String + Send + 'static> Join<J> {
    /// `json` joins the results of the calls into one text.
    pub(super) fn new(calls: usize, json: J, reply: Reply) -> Option<Arc<Self>> {
        if calls == 0 {
            reply.settle(Ok(json(Vec::new())));
            return None;
        }
        let state = State {
            waiting_for: calls,
            outcomes: vec![String::new(); calls],
            failure: None,
            asked_by: Some((json, reply)),
        };
        Some(Arc::new(Self { state: Mutex::new(state) }))
    }

    /// The reply that gets the outcome of the call with this number.
    pub(super) fn reply(self: &Arc<Self>, number: usize) -> Reply {
        let join = self.clone();
        Reply::new(move |outcome| join.take(number, outcome))
    }

    fn take(&self, number: usize, outcome: Outcome) {
        let mut state = lock(&self.state);
        match outcome {
            Ok(json) => state.outcomes[number] = json,
            Err(error) if state.failure.as_ref().is_none_or(|(first, _)| number < *first) => {
                state.failure = Some((number, error));
            }
            Err(_) => {}
        }
        state.waiting_for -= 1;
        if state.waiting_for > 0 {
            return;
        }
        let Some((json, reply)) = state.asked_by.take() else { return };
        let outcome = match state.failure.take() {
            Some((_, error)) => Err(error),
            None => Ok(json(std::mem::take(&mut state.outcomes))),
        };
        drop(state);
        reply.settle(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(outcomes: Vec<(usize, Outcome)>) -> Option<Result<String, String>> {
        let received = Arc::new(Mutex::new(None));
        let receiver = received.clone();
        let reply = Reply::new(move |outcome| {
            *lock(&receiver) = Some(outcome.map_err(|error| format!("{error:?}")));
        });
        let join = Join::new(2, |outcomes| outcomes.join("+"), reply).expect("there are calls");
        let replies: Vec<_> = outcomes.iter().map(|(number, _)| join.reply(*number)).collect();
        for (reply, (_, outcome)) in replies.into_iter().zip(outcomes) {
            reply.settle(outcome);
        }
        lock(&received).take()
    }

    #[test]
    fn the_last_answer_tells_all_in_order() {
        assert_eq!(joined(vec![(1, Ok("b".into()))]), None);
        assert_eq!(joined(vec![(1, Ok("b".into())), (0, Ok("a".into()))]), Some(Ok("a+b".into())));
    }

    #[test]
    fn the_first_call_that_failed_says_why() {
        let failure = |message: &str| Err(Error::other(message));
        let received = joined(vec![(1, failure("later")), (0, failure("earlier"))]);
        assert!(received.is_some_and(|outcome| outcome.is_err_and(|error| error.contains("earlier"))));
    }

    #[test]
    fn no_calls_are_answered_at_once() {
        let received = Arc::new(Mutex::new(None));
        let receiver = received.clone();
        let reply = Reply::new(move |outcome| *lock(&receiver) = outcome.ok());
        assert!(Join::new(0, |outcomes| outcomes.len().to_string(), reply).is_none());
        assert_eq!(lock(&received).take(), Some("0".into()));
    }
}
