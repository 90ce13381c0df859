//! When a write also removes expired rows.
//!
//! A write that sweeps costs the server more: a single `set`, in the words that a sweep needs, 86 µs of its CPU against 68
//! without the sweep, and 32 in words of its own (measured). So where one write follows the other not every one sweeps.
//! What a sweep removes at the most (see the stores' SQL) is more than what the writes since the last can have added, so
//! that expired rows cannot pile up.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// After so many writes the next sweeps.
const WRITES: usize = 32;

/// After a pause like this the next write sweeps in any case: where little is written, what has expired goes at once. A
/// caller who awaits each write leaves none as long, where the disk is quick. (Measured with one `set` in flight: to sweep
/// once in a millisecond, which is with two writes of five, took a fifth of the rate.)
const PAUSE: Duration = Duration::from_millis(1);

/// And after such a time, whatever is written.
const INTERVAL: Duration = Duration::from_millis(20);

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Times are in microseconds after [`EPOCH`]; 0 where there was none.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    writes: AtomicUsize,
    last_write: AtomicU64,
    last_sweep: AtomicU64,
}

impl Sweep {
    /// Whether a statement with so many writes is to sweep; it is then taken to do so.
    pub(super) fn is_due(&self, writes: usize) -> bool {
        let now = EPOCH.elapsed().as_micros() as u64 + 1;
        let since = |time: u64| Duration::from_micros(now.saturating_sub(time));
        let pause = since(self.last_write.swap(now, Ordering::Relaxed));
        let last_sweep = self.last_sweep.load(Ordering::Relaxed);
        let written = self.writes.fetch_add(writes, Ordering::Relaxed) + writes;
        if last_sweep != 0 && written < WRITES && pause < PAUSE && since(last_sweep) < INTERVAL {
            return false;
        }
        self.writes.store(0, Ordering::Relaxed);
        self.last_sweep.store(now, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_write_sweeps_and_then_one_of_many() {
        let sweep = Sweep::default();
        assert!(sweep.is_due(1));
        // On a machine that stalls, a pause makes it due earlier, never later.
        let due = (0..WRITES).filter(|_| sweep.is_due(1)).count();
        assert!(due >= 1);
        assert!(sweep.is_due(WRITES));
    }

    #[test]
    fn a_write_after_a_pause_sweeps() {
        let sweep = Sweep::default();
        assert!(sweep.is_due(1));
        std::thread::sleep(PAUSE);
        assert!(sweep.is_due(1));
    }
}
