//! Lengths of time. JavaScript gives them as numbers, any number at all, so each conversion ends within bounds.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Longer than any process lives, and short enough to be added to an `Instant`: 136 years.
pub(crate) const LONGEST: Duration = Duration::from_secs(1 << 32);

/// Milliseconds as a duration. What is not above 0, NaN included, is none; the longest is [`LONGEST`].
pub(crate) fn millis(ms: f64) -> Duration {
    seconds(ms / 1e3)
}

/// As [`millis`].
pub(crate) fn seconds(seconds: f64) -> Duration {
    // A comparison with NaN is false.
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
    } else {
        Duration::ZERO
    }
}

/// A random number from 0 to 1, to spread what many processes would do at the same time.
pub(crate) fn any_part() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

/// A limit, of which 0 and less means that there is none.
pub(crate) fn limit(length: Duration) -> Option<Duration> {
    (!length.is_zero()).then_some(length)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn every_number_is_a_length_that_can_be_added_to_an_instant() {
        for (ms, expected) in [
            (0.0, Duration::ZERO),
            (-0.0, Duration::ZERO),
            (-1.0, Duration::ZERO),
            (f64::NEG_INFINITY, Duration::ZERO),
            (f64::NAN, Duration::ZERO),
            (0.5, Duration::from_micros(500)),
            (1_500.0, Duration::from_millis(1_500)),
            (1e15, LONGEST),
            (1e22, LONGEST),
            (f64::MAX, LONGEST),
            (f64::INFINITY, LONGEST),
        ] {
            assert_eq!(millis(ms), expected, "{ms}");
            assert!(Instant::now().checked_add(millis(ms)).is_some(), "{ms}");
        }
        assert_eq!(limit(millis(f64::NAN)), None);
        assert_eq!(limit(seconds(1e22)), Some(LONGEST));
    }
}
