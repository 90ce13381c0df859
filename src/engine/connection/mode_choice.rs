//! Which of two threads does an engine's work, and when that changes: a pure function of what happens.
//!
//! Through the runtime's worker a call changes threads two times more than it does in the server itself. On an idle
//! machine each change is a wake-up of tens of microseconds: more than the server needs for the statement. So while few
//! calls are active, the thread of the application's event loop does the work. Many calls would keep that event loop from
//! its other work.
//!
//! | event | mode |
//! | --- | --- |
//! | calls begin on the event loop's thread, none of the others is active, and they are few | on the loop |
//! | the same while others are active, and the last [`threads::LIGHT_FLUSHES`](crate::tuning::threads::LIGHT_FLUSHES) such moments found few | on the loop |
//! | more calls are active than the limit | worker |
//! | a batch is blocked | worker |
//!
//! * A call is active if it is in a batch, or ready to be. A call that waits for another transaction's lock is not, and
//!   neither is one that waits behind it: that thread has nothing to do for them. So a call that is stuck for hours
//!   does not keep the others on the slower way.
//! * A blocked batch may mean that the event loop's thread does not return to its event loop. The worker must then do
//!   all the work. A call that begins on that thread shows that it has returned.
//! * Calls that many callers repeat begin in groups. Between two groups few calls may be active for a moment. That is
//!   why one such moment is not enough.

use crate::engine::connection::mode::Mode;
use crate::tuning::threads;

pub(crate) enum Event {
    /// Calls begin. `on_loop`: the event loop's thread makes them. `others`: how many calls were active before. `all`:
    /// how many are now, at least up to one more than the limit.
    Begun { on_loop: bool, others: usize, all: usize },
    /// So many calls are active now that others have ended.
    Active(usize),
    /// A batch takes longer than it should.
    Blocked,
}

#[derive(Debug)]
pub(crate) struct Choice {
    mode: Mode,
    /// Whether there is an event loop that can watch sockets.
    has_loop: bool,
    /// With more active calls than this the worker does the work.
    limit: usize,
    light_flushes: u32,
}

impl Choice {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self { mode: Mode::Worker, has_loop: false, limit, light_flushes: 0 }
    }

    pub(crate) fn allow_loop(&mut self) {
        self.has_loop = true;
    }

    /// The mode after this event.
    pub(crate) fn after(&mut self, event: &Event) -> Mode {
        match *event {
            Event::Begun { all: active, .. } | Event::Active(active) if active > self.limit => self.leave(),
            Event::Begun { on_loop: true, others, .. } if self.has_loop => {
                self.light_flushes = self.light_flushes.saturating_add(1);
                if others == 0 || self.light_flushes >= threads::LIGHT_FLUSHES {
                    self.mode = Mode::OnLoop;
                }
            }
            Event::Begun { .. } | Event::Active(_) => {}
            Event::Blocked => self.leave(),
        }
        self.mode
    }

    fn leave(&mut self) {
        self.mode = Mode::Worker;
        self.light_flushes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = threads::MAX_ON_LOOP;

    fn with_loop() -> Choice {
        let mut choice = Choice::with_limit(LIMIT);
        choice.allow_loop();
        choice
    }

    fn begun(others: usize, all: usize) -> Event {
        Event::Begun { on_loop: true, others, all }
    }

    #[test]
    fn few_calls_go_on_the_loop_if_there_is_one_and_its_thread_makes_them() {
        assert_eq!(Choice::with_limit(LIMIT).after(&begun(0, 1)), Mode::Worker);
        let mut choice = with_loop();
        assert_eq!(choice.after(&Event::Begun { on_loop: false, others: 0, all: 1 }), Mode::Worker);
        assert_eq!(choice.after(&begun(0, LIMIT)), Mode::OnLoop);
        assert_eq!(choice.after(&begun(LIMIT, LIMIT)), Mode::OnLoop);
    }

    #[test]
    fn many_calls_go_by_the_worker_also_if_they_become_active_without_beginning() {
        let mut choice = with_loop();
        assert_eq!(choice.after(&begun(0, LIMIT + 1)), Mode::Worker);
        assert_eq!(choice.after(&begun(0, 1)), Mode::OnLoop);
        assert_eq!(choice.after(&Event::Active(LIMIT)), Mode::OnLoop);
        assert_eq!(choice.after(&Event::Active(LIMIT + 1)), Mode::Worker);
        assert_eq!(choice.after(&Event::Active(0)), Mode::Worker, "no call has begun on the loop's thread");
    }

    #[test]
    fn after_a_blocked_batch_the_next_call_of_an_idle_engine_goes_on_the_loop() {
        let mut choice = with_loop();
        assert_eq!(choice.after(&begun(0, 1)), Mode::OnLoop);
        assert_eq!(choice.after(&Event::Blocked), Mode::Worker);
        assert_eq!(choice.after(&begun(0, 1)), Mode::OnLoop, "the blocked call is not active");
    }

    #[test]
    fn with_others_active_it_takes_several_light_moments_in_a_row() {
        for leave in [Event::Blocked, begun(0, LIMIT + 1), Event::Active(LIMIT + 1)] {
            let mut choice = with_loop();
            for _ in 0..100 {
                choice.after(&begun(5, 6));
            }
            assert_eq!(choice.after(&leave), Mode::Worker);
            for _ in 1..threads::LIGHT_FLUSHES {
                assert_eq!(choice.after(&begun(5, 6)), Mode::Worker);
            }
            // The many come again, before the last of the moments.
            assert_eq!(choice.after(&begun(5, LIMIT + 1)), Mode::Worker);
            for _ in 1..threads::LIGHT_FLUSHES {
                assert_eq!(choice.after(&begun(5, 6)), Mode::Worker);
            }
            assert_eq!(choice.after(&begun(5, 6)), Mode::OnLoop);
        }
    }
}
