//! How many processes contend for a lock, as one of them can know it: by how often its own tries win.
//!
//! A release wakes the first waiter of each process. If all of them tried at once, one would take the lock, and each of the
//! others would wait for that row, lock it, and commit for nothing: with 32 processes a hand-over took 55 statements and as many
//! flushes of the log, one after the other. So the tries are spread over as much time as they would take one after the other. Most
//! of them then find the lock taken, which is a plain read, or come after further releases.
//!
//! A process that meets no other never pauses for that.
//!
//! A process that has handed a lock over to its own waiters for a while (see [`hand_over`](super::hand_over)) yields when it releases
//! the lock to all: it would be the first to know of the release, and the process that wins pauses least. (Measured: without that,
//! one of two processes held a lock for half a second.) If no process takes the lock in that time, the next releases do not yield, for a
//! while. Of the others, those that have lost for longest pause least. (Measured with four processes and 20 ms for each: the longest wait
//! was 0.24 to 0.27 s with that, and 0.49 s without.)

use std::time::Duration;

use crate::tuning::leases;

#[derive(Debug, Default)]
pub(super) struct Contention {
    tries: u32,
    wins: u32,
    /// How many tries in a row have not won.
    losses: u32,
    /// How long a try takes.
    duration: Duration,
    yielding: Yielding,
    /// How many times in a row this process has yielded and no other has taken the lock.
    in_vain: u32,
    /// For how many more releases it does not yield.
    skipped: u32,
}

/// Whether this process leaves the lock that it has released to others.
#[derive(Debug, Default, PartialEq, Eq)]
enum Yielding {
    #[default]
    No,
    /// The next try comes after a pause.
    Due,
    /// That try is made.
    Done,
}

impl Contention {
    /// Counts a try that was made because the lock may have become free.
    pub(super) fn tried(&mut self, has_won: bool, took: Duration) {
        if self.tries == leases::COUNTED_TRIES {
            self.tries /= 2;
            self.wins /= 2;
        }
        self.tries += 1;
        self.wins += u32::from(has_won);
        self.losses = if has_won { 0 } else { self.losses + 1 };
        self.duration = if self.duration.is_zero() { took } else { (self.duration * 3 + took) / 4 };
        if self.yielding == Yielding::Done {
            self.yielding = Yielding::No;
            self.in_vain = if has_won { self.in_vain + 1 } else { 0 };
            self.skipped = (1 << self.in_vain.min(leases::SKIPPED_YIELDS)) - 1;
        }
    }

    /// This process has released the lock to all, after it has handed it over to its own waiters.
    pub(super) fn released_to_all(&mut self) {
        match self.skipped.checked_sub(1) {
            Some(skipped) => self.skipped = skipped,
            None => self.yielding = Yielding::Due,
        }
    }

    /// The pause in which other processes can take the lock that this one has released.
    pub(super) fn yields(&mut self) -> Duration {
        if self.yielding != Yielding::Due {
            return Duration::ZERO;
        }
        self.yielding = Yielding::Done;
        (self.duration * 3).clamp(leases::SHORTEST_YIELD, leases::LONGEST_SPREAD)
    }

    /// The longest pause before the next try.
    pub(super) fn spread(&self) -> Duration {
        let [tries, wins] = [self.tries, self.wins].map(|count| f64::from(count + leases::ASSUMED_WINS));
        let processes = tries / wins;
        // How many tries this process has lost beyond its share.
        let overdue = (f64::from(self.losses) - processes).clamp(0.0, leases::MOST_OVERDUE);
        self.duration.mul_f64((processes - 1.0) / (1.0 + overdue)).min(leases::LONGEST_SPREAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRY: Duration = Duration::from_millis(1);

    fn after(outcomes: impl IntoIterator<Item = bool>) -> Contention {
        let mut contention = Contention::default();
        outcomes.into_iter().for_each(|has_won| contention.tried(has_won, TRY));
        contention
    }

    #[test]
    fn a_process_that_meets_no_other_never_pauses() {
        assert_eq!(after([]).spread(), Duration::ZERO);
        assert_eq!(after([true; 500]).spread(), Duration::ZERO);
    }

    #[test]
    fn the_spread_is_the_time_that_the_others_tries_take() {
        for processes in [2, 4, 8] {
            let spread = after((1..=200).map(|at| at % processes == 0)).spread();
            let expected = TRY * (processes - 1);
            assert!(spread > expected / 2 && spread < expected * 2, "{processes}: {spread:?}");
        }
    }

    #[test]
    fn a_process_that_has_released_to_all_yields_and_seldom_if_no_other_comes() {
        let mut contention = Contention::default();
        let mut yields = |others_come: bool| {
            contention.released_to_all();
            let yields = !contention.yields().is_zero();
            contention.tried(!(yields && others_come), TRY);
            yields
        };
        assert!((0..10).all(|_| yields(true)));
        let in_vain = (0..1000).filter(|_| yields(false)).count();
        assert!(in_vain > 10 && in_vain < 100, "{in_vain}");
        // When others come again, it yields each time.
        assert!((0..1000).any(|_| yields(true)));
        assert!((0..10).all(|_| yields(true)));
    }

    #[test]
    fn a_process_that_loses_for_too_long_pauses_less() {
        let among_four = |losses| after((1..=200).map(|at| at % 4 == 0).chain((0..losses).map(|_| false)));
        assert!(among_four(12).spread() < among_four(0).spread() / 2);
        assert!(!among_four(60).spread().is_zero());
    }

    #[test]
    fn the_spread_has_a_limit_and_is_forgotten() {
        let mut slow = Contention::default();
        (0..60).for_each(|at| slow.tried(at == 59, TRY * 40));
        assert_eq!(slow.spread(), leases::LONGEST_SPREAD);
        assert!(after([false; 100].into_iter().chain([true; 500])).spread() < TRY);
    }
}
