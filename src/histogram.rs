//! Counts how often each size occurred, in fixed buckets of atomic counters. Counting takes no lock and allocates no
//! memory. A reader sees numbers that only increase.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Buckets whose bounds are whole numbers: each power of two is divided into 2^`PARTS` of the same width, from
/// `2^FIRST` to `2^LAST`. Values above the last bound have a bucket of their own.
#[derive(Debug)]
pub(crate) struct Histogram<const FIRST: u32, const LAST: u32, const PARTS: u32> {
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// In the form that metrics exporters take: `counts[i]` values were above `bounds[i - 1]` and at most `bounds[i]`.
/// The last of `counts` has no bound: those values were above all bounds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Snapshot {
    pub bounds: Vec<f64>,
    pub counts: Vec<u64>,
    pub sum: f64,
    pub count: u64,
}

impl<const FIRST: u32, const LAST: u32, const PARTS: u32> Default for Histogram<FIRST, LAST, PARTS> {
    fn default() -> Self {
        Self { counts: (0..=Self::BOUNDS).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }
}

impl<const FIRST: u32, const LAST: u32, const PARTS: u32> Histogram<FIRST, LAST, PARTS> {
    const BOUNDS: usize = 1 + ((LAST - FIRST) << PARTS) as usize;

    /// Counts `times` values of this size.
    pub(crate) fn add(&self, value: u64, times: u64) {
        self.counts[Self::bucket(value)].fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
    }

    /// The first whose bound is not below the value.
    fn bucket(value: u64) -> usize {
        if value <= 1 << FIRST {
            return 0;
        }
        // A bound belongs to the bucket that it ends, so the number before the value decides.
        let before = value - 1;
        let power = before.ilog2();
        if power >= LAST {
            return Self::BOUNDS;
        }
        // FIRST is at least PARTS if there are parts at all.
        let part = (before >> (power - PARTS.min(power))) & ((1 << PARTS) - 1);
        1 + ((power - FIRST) << PARTS) as usize + part as usize
    }

    fn bound(at: usize) -> u64 {
        let Some(at) = at.checked_sub(1) else { return 1 << FIRST };
        let power = FIRST + (at >> PARTS) as u32;
        let part = (at & ((1 << PARTS) - 1)) as u64;
        (1 << power) + (((part + 1) << power) >> PARTS)
    }

    /// What has been counted so far, in units of so many of the values'.
    pub(crate) fn snapshot(&self, unit: f64) -> Snapshot {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Snapshot {
            bounds: (0..Self::BOUNDS).map(|at| Self::bound(at) as f64 / unit).collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 / unit,
            count: counts.iter().sum(),
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sizes = Histogram<0, 4, 0>;
    type Times = Histogram<4, 8, 2>;

    #[test]
    fn a_value_is_in_the_bucket_that_its_bound_ends() {
        let sizes = Sizes::default();
        for value in [0, 1, 2, 3, 4, 5, 16, 17, 1_000_000] {
            sizes.add(value, 1);
        }
        let found = sizes.snapshot(1.0);
        assert_eq!(found.bounds, [1.0, 2.0, 4.0, 8.0, 16.0]);
        assert_eq!(found.counts, [2, 1, 2, 1, 1, 2]);
        assert_eq!((found.count, found.sum), (9, 1_000_048.0));
    }

    #[test]
    fn each_power_of_two_is_parted_evenly() {
        let bounds = Times::default().snapshot(1.0).bounds;
        assert_eq!(bounds[..9], [16.0, 20.0, 24.0, 28.0, 32.0, 40.0, 48.0, 56.0, 64.0]);
        assert_eq!(bounds.last(), Some(&256.0));
    }

    #[test]
    fn every_value_is_above_the_bound_before_and_at_most_at_its_own() {
        let bounds = Times::default().snapshot(1.0).bounds;
        for value in 0..300u64 {
            let at = Times::bucket(value);
            assert!(at == bounds.len() || value as f64 <= bounds[at], "{value}");
            assert!(at == 0 || bounds[at - 1] < value as f64, "{value}");
        }
    }

    #[test]
    fn what_is_told_is_in_the_wanted_unit() {
        let times = Times::default();
        times.add(20, 3);
        let found = times.snapshot(10.0);
        assert_eq!((found.bounds[1], found.counts[1], found.sum, found.count), (2.0, 3, 6.0, 3));
    }
}
