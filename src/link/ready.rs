//! Jobs whose turn has come on every key they touch. They commute, so any of them may share a round.
//!
//! Reads and writes go in rounds of their own: a commit waits until the disk has the log, and a read that shared its
//! connection would wait with it.
//!
//! Where the disk is what writes wait for, one lane carries them all: the server flushes its log for one lane after the
//! other, so two lanes with half of the calls each wait twice as long. (Measured with 16 sets in flight where a flush takes
//! 4 ms: 0.85 times the rate of pg with ten connections, which share flushes, with two lanes.)

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::job::Job;

/// What a write's round takes beyond this, the round trip and its calls' own time, it takes for the disk.
const QUICK_FLUSH: Duration = Duration::from_micros(500);

/// What a call of a round may take the server.
const CALL: Duration = Duration::from_micros(20);

#[derive(Default)]
pub(super) struct Ready {
    incoming: VecDeque<Job>,
    reads: VecDeque<Job>,
    writes: VecDeque<Job>,
    /// How many lanes carry writes now, and are not held up.
    writing: usize,
    /// How long a flush has taken of late.
    flush: Duration,
}

impl Ready {
    /// Where the sequencer puts what is ready, until it is sorted.
    pub(super) fn incoming(&mut self) -> &mut VecDeque<Job> {
        &mut self.incoming
    }

    pub(super) fn sort(&mut self) {
        for job in self.incoming.drain(..) {
            if job.writes() { self.writes.push_back(job) } else { self.reads.push_back(job) }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty()
    }

    /// Whether there is something that a further lane could carry now.
    pub(super) fn has_work(&self) -> bool {
        !self.reads.is_empty() || (!self.writes.is_empty() && self.may_write())
    }

    fn may_write(&self) -> bool {
        self.writing == 0 || !self.flushes_slowly()
    }

    fn flushes_slowly(&self) -> bool {
        self.flush > QUICK_FLUSH
    }

    /// The next round of one lane, of which there are `lanes` to share what there is: whichever kind has waited longest.
    pub(super) fn take(&mut self, room: usize, lanes: impl Fn(usize) -> usize) -> Vec<Job> {
        let since = |jobs: &VecDeque<Job>| jobs.front().map(|job| job.ready_since);
        let writes = since(&self.writes).filter(|_| self.may_write());
        let of_writes = match (writes, since(&self.reads)) {
            (Some(write), Some(read)) => write <= read,
            (write, _) => write.is_some(),
        };
        let lanes = |ready: usize| if of_writes && self.flushes_slowly() { 1 } else { lanes(ready) };
        let share = |ready: usize| room.min(ready.div_ceil(lanes(ready)));
        let (share, jobs) = match of_writes {
            true => (share(self.writes.len()), &mut self.writes),
            false => (share(self.reads.len()), &mut self.reads),
        };
        jobs.drain(..share).collect()
    }

    /// Puts back what was taken, in front of what has become ready since.
    pub(super) fn give_back(&mut self, jobs: Vec<Job>) {
        for job in jobs.into_iter().rev() {
            if job.writes() { self.writes.push_front(job) } else { self.reads.push_front(job) }
        }
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Job> + use<> {
        std::mem::take(&mut self.writes).into_iter().chain(std::mem::take(&mut self.reads))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.writes.iter().chain(&self.reads)
    }

    pub(super) fn begin_writing(&mut self) {
        self.writing += 1;
    }

    pub(super) fn end_writing(&mut self) {
        self.writing -= 1;
    }

    /// Learns from a round of so many writes, begun at `start`, on a connection with this round trip.
    pub(super) fn learn(&mut self, start: Instant, calls: usize, round_trip: Duration) {
        let flush = start.elapsed().saturating_sub(round_trip + CALL * calls as u32);
        self.flush = (self.flush * 7 + flush) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::sequencer::{Mode, Turn, Turns};

    fn ready(jobs: &[(i64, Mode)]) -> Ready {
        let mut ready = Ready::default();
        for &(tag, mode) in jobs {
            let mut job = Job::for_test(tag, Turns::new(&[Turn { resource: 1, mode }]), None);
            job.ready_since = Some(Instant::now());
            ready.incoming().push_back(job);
        }
        ready.sort();
        ready
    }

    fn tags(jobs: &[Job]) -> Vec<i64> {
        jobs.iter().map(Job::tag_for_test).collect()
    }

    fn write_at(ready: &mut Ready, took: Duration) {
        let start = Instant::now().checked_sub(took).expect("the clock has run for a while");
        ready.learn(start, 1, Duration::ZERO);
    }

    #[test]
    fn reads_and_writes_go_in_rounds_of_their_own_the_older_first() {
        let mut ready =
            ready(&[(1, Mode::Alone), (2, Mode::Read), (3, Mode::Alone), (4, Mode::Scan), (5, Mode::Read)]);
        assert_eq!(tags(&ready.take(10, |_| 1)), [1, 3]);
        assert_eq!(tags(&ready.take(10, |_| 2)), [2, 4]);
        assert_eq!(tags(&ready.take(10, |_| 1)), [5]);
        assert!(ready.is_empty());
    }

    #[test]
    fn where_the_disk_is_slow_one_lane_writes_and_others_read() {
        let mut ready = ready(&[(1, Mode::Alone), (2, Mode::Alone), (3, Mode::Read)]);
        for _ in 0..20 {
            write_at(&mut ready, Duration::from_millis(4));
        }
        // All of them, though there are lanes to share them with.
        assert_eq!(tags(&ready.take(10, |_| 2)), [1, 2]);
        ready.begin_writing();
        let mut later = super::tests::ready(&[(4, Mode::Alone)]);
        ready.give_back(later.take(10, |_| 1));
        assert_eq!(tags(&ready.take(10, |_| 1)), [3]);
        assert!(!ready.has_work() && ready.take(10, |_| 1).is_empty());
        ready.end_writing();
        assert!(ready.has_work());

        for _ in 0..40 {
            write_at(&mut ready, Duration::from_micros(50));
        }
        ready.begin_writing();
        assert_eq!(tags(&ready.take(10, |_| 1)), [4], "with a quick disk several lanes write");
    }
}
