//! When a request runs again after a failure, and after which pause.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::request::{Request, Retry};
use crate::engine::batching::scheduling::events::DelayedRetry;
use crate::engine::connection::pool::Checkout;
use crate::engine::error::Error;
use crate::engine::sqlstate::{self, ADMIN_SHUTDOWN, Recovery};
use crate::tuning::retries;

/// Whether the server may still carry out the statement after this error.
pub(crate) fn may_be_under_way(error: &Error) -> bool {
    match error {
        Error::Unsent => false,
        Error::QueryTimeout => true,
        error => error.ends_connection(),
    }
}

/// Whether a call that got no connection is retried. It is if its first run may have reached the server and it is
/// harmless to repeat, or if it has a retry time of its own. It also is if the session was terminated while it was
/// being set up: an administrator has ended the application's sessions, and a session that serves calls is replaced,
/// too.
pub(crate) fn is_hopeful(engine: &Engine, request: &Request, error: &Error) -> bool {
    let was_terminated = error.sqlstate() == Some(ADMIN_SHUTDOWN);
    let has_begun = request.failures > 0 || request.maybe_done || was_terminated;
    let may_repeat = has_begun && request.failures < retries::MAX_FAILURES;
    (may_repeat || can_retry(engine, request)) && !matches!(error, Error::Closed)
}

/// Whether a retry may resolve a failure, and can do no harm.
pub(crate) fn runs_again(
    engine: &Arc<Engine>,
    checkout: &Checkout,
    request: &mut Request,
    error: &Error,
) -> bool {
    if error.ends_connection() {
        checkout.mark_broken();
        if matches!(error, Error::Unsent) {
            return true;
        }
        request.maybe_done = true;
        return request.retry == Retry::Harmless;
    }
    if matches!(error, Error::QueryTimeout) {
        // The statement may still run, ahead of whatever this connection would be given next.
        checkout.mark_broken();
        request.maybe_done = true;
        return can_retry(engine, request) && request.retry == Retry::Harmless;
    }
    let first = request.failures == 1;
    match error.sqlstate().map_or(Recovery::Report, sqlstate::recovery) {
        Recovery::Retry => true,
        Recovery::RetryUntilDeadline => can_retry(engine, request),
        Recovery::PrepareAgain => first && request.prepare.invalidate(),
        Recovery::SendUnnamed => {
            engine.unnamed_only.store(true, Ordering::Relaxed);
            true
        }
        Recovery::ForgetStatements => {
            checkout.forget_statements();
            first
        }
        Recovery::FindPrimary => {
            checkout.mark_broken();
            first || can_retry(engine, request)
        }
        Recovery::LoseConnection | Recovery::Report => false,
    }
}

/// Whether a call retries transient failures. Not after the pool has been ended, because its end waits for the call.
pub(crate) fn can_retry(engine: &Engine, request: &Request) -> bool {
    request.can_retry() && !engine.is_closed()
}

pub(crate) fn delayed_retry(request: Request) -> DelayedRetry<Request> {
    let pause = pause(&request);
    DelayedRetry { request, pause }
}

/// The first repetition is immediate; the pauses then double from 10 ms. No pause exceeds the retry time that a call
/// has left. Otherwise the next attempt would come after that.
pub(crate) fn pause(request: &Request) -> Duration {
    let pause = match request.failures.max(request.repetitions) {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(10 << more.min(retries::MAX_FAILURES - 1)),
    };
    match request.retry_time_left() {
        Some(left) if !left.is_zero() => pause.min(left / 2),
        _ => pause,
    }
}

/// Settles those for which a retry is of no use.
pub(crate) fn hopeful(engine: &Engine, requests: Vec<Request>, error: &Error) -> Vec<DelayedRetry<Request>> {
    let mut retries = Vec::new();
    for mut request in requests {
        if is_hopeful(engine, &request, error) {
            request.failures += 1;
            request.note_retry();
            retries.push(delayed_retry(request));
        } else {
            request.fail(error.clone());
        }
    }
    retries
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use crate::engine::row::Row;

    use super::*;
    use crate::engine::batching::call::{Answer, Call};
    use crate::engine::batching::prepare::NothingToPrepare;
    use crate::engine::batching::reply::{Completions, Reply};
    use crate::engine::batching::request::Answered;
    use crate::engine::batching::scheduling::access::Accesses;
    use crate::engine::batching::statement::{Arg, Statement};

    /// Its answer always asks for another run.
    struct AsksAgain;

    impl Call for AsksAgain {
        type Output = ();
        fn bind(&mut self) -> Arc<Statement> {
            unreachable!("it is not sent")
        }
        fn args(&self) -> &[Arg] {
            &[]
        }
        fn read(&mut self, _: &[Row]) -> Result<Answer<()>, Error> {
            Ok(Answer::Again)
        }
    }

    #[test]
    fn a_call_that_always_asks_for_another_run_pauses_and_ends() {
        let (reply, outcome) = Reply::awaited();
        let mut request =
            Request::new(Accesses::default(), Arc::new(NothingToPrepare), AsksAgain, Retry::Never, reply);
        let mut pauses = Vec::new();
        while let Answered::Again(again) = request.answer(&[], &mut Completions::default()) {
            request = again;
            pauses.push(pause(&request));
        }
        assert_eq!(pauses.len(), 7);
        assert_eq!(pauses[0], Duration::ZERO);
        assert!(pauses[1..].windows(2).all(|pair| !pair[0].is_zero() && pair[0] < pair[1]));
        let outcome = std::pin::pin!(outcome).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(Err(Error::Other { .. }))));
    }
}
