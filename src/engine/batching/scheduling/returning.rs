//! How many callers have just been answered, and may call again at once.
//!
//! If an event loop gets the answers of two batches, it calls again for the first before it has seen the second. If
//! the calls of the first were divided between both pipelines, which are idle at that moment, those of the second would
//! find both busy. The batches would then stay small: more statements for the same calls. So a pipeline is left to the
//! callers that are still to come.

use std::time::Instant;

use crate::tuning::batches;

/// Counted in two periods, the current and the one before. What is older is forgotten: those callers are busy with other
/// work, or have ended.
#[derive(Default)]
pub(crate) struct Returning {
    current: usize,
    before: usize,
    /// When the current period began.
    since: Option<Instant>,
}

impl Returning {
    /// This many callers get their outcome now.
    pub(crate) fn answer(&mut self, callers: usize, now: Instant) {
        self.pass(now);
        self.current += callers;
    }

    /// This many calls have come. It does not matter whose they are: each answer may lead to one call.
    pub(crate) fn call(&mut self, calls: usize) {
        let others = calls.saturating_sub(self.before);
        self.before = self.before.saturating_sub(calls);
        self.current = self.current.saturating_sub(others);
    }

    /// How many may still call.
    pub(crate) fn callers(&mut self, now: Instant) -> usize {
        self.pass(now);
        self.before + self.current
    }

    fn pass(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let periods = now.saturating_duration_since(since).as_nanos() / batches::CALL_AGAIN_WITHIN.as_nanos();
        if periods > 0 {
            self.before = if periods == 1 { self.current } else { 0 };
            self.current = 0;
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::batching::scheduling::access::AccessMode;
    use crate::engine::batching::scheduling::events::{BatchEnd, Decision, Event};
    use crate::engine::batching::scheduling::for_test::Tagged;
    use crate::engine::batching::scheduling::scheduler::Scheduler;

    const CALLERS: usize = 10;

    #[test]
    fn each_call_is_one_of_those_that_were_awaited_and_the_oldest_are_forgotten() {
        let (now, period) = (Instant::now(), batches::CALL_AGAIN_WITHIN);
        let mut returning = Returning::default();
        returning.call(3);
        returning.answer(10, now);
        returning.answer(5, now + period);
        assert_eq!(returning.callers(now + period), 15);
        returning.call(12);
        assert_eq!(returning.callers(now + period), 3);
        assert_eq!(returning.callers(now + 2 * period - Duration::from_nanos(1)), 3);
        returning.answer(4, now + 2 * period);
        assert_eq!(returning.callers(now + 2 * period), 7);
        assert_eq!(returning.callers(now + 3 * period), 4);
        assert_eq!(returning.callers(now + 5 * period), 0);
    }

    /// Two pipelines, each of which has just answered this many callers.
    fn answered(now: Instant) -> Scheduler<Tagged> {
        let mut scheduler = Scheduler::new(2, None);
        scheduler.on(Event::Submitted(reads(0)), now);
        scheduler.on(Event::BatchBegan { pipeline: 0 }, now);
        scheduler.on(Event::Submitted(reads(1)), now);
        scheduler.on(Event::Connected { pipeline: 1 }, now);
        assert_eq!(scheduler.pipelines().carried_calls(), 2 * CALLERS);
        for pipeline in [0, 1] {
            scheduler.expect_answers(pipeline, CALLERS, CALLERS, now);
            let settled = reads(0).into_iter().map(|request| (request.accesses, request.calls)).collect();
            scheduler.on(Event::Settled(settled), now);
            let end = BatchEnd {
                pipeline,
                retries: vec![],
                blocked: vec![],
                has_connection: true,
                answers_next: false,
            };
            scheduler.on(Event::BatchEnded(end), now);
        }
        scheduler
    }

    fn reads(first: i64) -> Vec<Tagged> {
        (0..CALLERS as i64)
            .map(|tag| Tagged::new(CALLERS as i64 * first + tag, &[(1, AccessMode::Shared)]))
            .collect()
    }

    /// How many requests are in the batches that these calls start.
    fn submit(scheduler: &mut Scheduler<Tagged>, now: Instant) -> Vec<usize> {
        let decisions = scheduler.on(Event::Submitted(reads(0)), now);
        let batch = |decision: &Decision<Tagged>| match decision {
            Decision::Run { batch, .. } => Some(batch.len()),
            _ => None,
        };
        decisions.iter().filter_map(batch).collect()
    }

    #[test]
    fn a_pipeline_is_left_to_the_callers_that_are_still_to_come() {
        let now = Instant::now();
        let mut scheduler = answered(now);
        assert_eq!(submit(&mut scheduler, now), [CALLERS], "the callers of one batch have called again");
        let mut scheduler = answered(now);
        let later = now + 2 * batches::CALL_AGAIN_WITHIN;
        assert_eq!(submit(&mut scheduler, later), [CALLERS / 2], "the others do not");
    }
}
