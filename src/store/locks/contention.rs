//! How many processes contend for a lock, as one of them can know it: by how often its own tries win.
//!
//! A release wakes the first waiter of each process. If all of them tried at once, one would take the lock, and each of the
//! others would wait for that row, lock it, and commit for nothing: with 32 processes a hand-over took 55 statements and as many
//! flushes of the log, one after the other. So the tries are spread over as much time as they would take one after the other. Most
//! of them then find the lock taken, which is a plain read, or come after further releases.
//!
//! A process that meets no other never pauses.

use std::time::Duration;

use crate::tuning::leases;

#[derive(Debug, Default)]
pub(super) struct Contention {
    tries: u32,
    wins: u32,
    /// How long a try takes.
    duration: Duration,
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
        self.duration = if self.duration.is_zero() { took } else { (self.duration * 3 + took) / 4 };
    }

    /// The longest pause before the next try.
    pub(super) fn spread(&self) -> Duration {
        let processes = f64::from(self.tries + 1) / f64::from(self.wins + 1);
        self.duration.mul_f64(processes - 1.0).min(leases::LONGEST_SPREAD)
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
            let spread = after((0..200).map(|at| at % processes == 0)).spread();
            let expected = TRY * (processes - 1);
            assert!(spread > expected / 2 && spread < expected * 2, "{processes}: {spread:?}");
        }
    }

    #[test]
    fn the_spread_has_a_limit_and_is_forgotten() {
        assert_eq!(after([false; 60]).spread(), leases::LONGEST_SPREAD);
        assert!(after([false; 100].into_iter().chain([true; 500])).spread() < TRY);
    }
}
