//! Joins the outcomes of a call's items into one.

use std::sync::{Arc, Mutex};

use crate::engine::batching::joined_call::JoinedCall;
use crate::engine::batching::reply::{ItemSink, Reply};
use crate::engine::error::Error;
use crate::sync::lock;

/// The outcomes of some calls, in the order in which the calls were made. The caller gets the outcome when the last
/// call has finished. So when the caller sees a failure, no call is still under way. If several calls fail, the
/// caller gets the failure of the first of them in that order.
pub struct Join<T, U> {
    call: JoinedCall,
    state: Mutex<State<T, U>>,
}

struct State<T, U> {
    waiting_for: usize,
    /// None until the call has succeeded.
    outputs: Vec<Option<T>>,
    failure: Option<(usize, Error)>,
    reply: Option<Reply<U>>,
    join: fn(Vec<T>) -> U,
}

impl<T: Send + 'static, U: Send + 'static> Join<T, U> {
    /// `join` makes one output of those of all calls. If there are none, the caller gets it at once.
    pub fn new(calls: usize, join: fn(Vec<T>) -> U, reply: Reply<U>) -> Option<Arc<Self>> {
        if calls == 0 {
            reply.settle(Ok(join(Vec::new())));
            return None;
        }
        let outputs = std::iter::repeat_with(|| None).take(calls).collect();
        let state = State { waiting_for: calls, outputs, failure: None, reply: Some(reply), join };
        Some(Arc::new(Self { call: JoinedCall::begin(), state: Mutex::new(state) }))
    }

    /// The reply that gets the outcome of the call with this number.
    pub fn reply(self: &Arc<Self>, number: usize) -> Reply<T> {
        Reply::of_item(self.clone(), number)
    }
}

impl<T: Send + 'static, U: Send + 'static> ItemSink<T> for Join<T, U> {
    fn call(&self) -> JoinedCall {
        self.call
    }

    fn count_retry(&self) {
        lock(&self.state).reply.iter().for_each(Reply::note_retry);
    }

    fn complete_item(&self, number: usize, outcome: Result<T, Error>) {
        let mut state = lock(&self.state);
        match outcome {
            Ok(output) => state.outputs[number] = Some(output),
            Err(error) if state.failure.as_ref().is_none_or(|(first, _)| number < *first) => {
                state.failure = Some((number, error));
            }
            Err(_) => {}
        }
        state.waiting_for -= 1;
        if state.waiting_for > 0 {
            return;
        }
        let Some(reply) = state.reply.take() else { return };
        let (failure, outputs, join) = (state.failure.take(), std::mem::take(&mut state.outputs), state.join);
        drop(state);
        reply.settle(match failure {
            Some((_, error)) => Err(error),
            None => Ok(join(outputs.into_iter().flatten().collect())),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(outcomes: Vec<(usize, Result<String, Error>)>) -> Option<Result<String, String>> {
        let received = Arc::new(Mutex::new(None));
        let receiver = received.clone();
        let reply = Reply::new(move |outcome| {
            *lock(&receiver) = Some(outcome.map_err(|error| format!("{error:?}")));
        });
        let join = Join::new(2, |outputs: Vec<String>| outputs.join("+"), reply).expect("there are calls");
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
        assert!(Join::new(0, |outputs: Vec<()>| outputs.len(), reply).is_none());
        assert_eq!(lock(&received).take(), Some(0));
    }
}
