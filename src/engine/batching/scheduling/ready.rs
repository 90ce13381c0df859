//! Requests that are admitted to every key that they touch. They commute, so any of them may share a batch.
//!
//! Reads and writes go in separate batches: a commit waits until the log is on disk, and a read on the same connection
//! would wait with it. Reads of a whole table have batches of their own, too. They may take long, and they leave at
//! least one pipeline to the rest.
//!
//! A second pipeline writes only if there is much to write, or if the first has been writing for a while. The server
//! flushes its log for one pipeline after the other, so two pipelines with half of a few calls each wait twice as long
//! for the disk. (Measured with 16 sets in flight and flushes of 2 to 4 ms, where pg's ten connections share flushes:
//! with two pipelines that write whenever there is something, 0.55 to 0.85 times pg's rate.) And calls that are
//! answered together are followed by calls that can go together.
//!
//! For the same reason a small write batch lingers briefly after a response, so that the callers just answered can
//! join it: they often call again at once. Otherwise sixteen callers split into two halves that never meet again, and
//! each half has a flush of its own (measured: see docs/internals/performance.md). Lingering is worth it if the
//! handover to the callers is short compared to a batch, which is mostly the flush. It is not worth it if the callers
//! have work of their own to do: the server can do ours in that time. It ends after a millisecond in any case (see
//! [`linger`](crate::engine::batching::scheduling::linger)).

use std::time::{Duration, Instant};

use crate::engine::batching::scheduling::access::Accesses;
use crate::engine::batching::scheduling::linger::Linger;
use crate::engine::batching::scheduling::queue::Queue;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::tuning::batches;

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    Reads,
    Writes,
    /// Reads of whole tables.
    Scans,
}

impl BatchKind {
    pub(crate) fn of(accesses: &Accesses) -> Self {
        match accesses {
            accesses if accesses.are_of_a_write() => Self::Writes,
            accesses if accesses.are_of_a_table_scan() => Self::Scans,
            _ => Self::Reads,
        }
    }
}

/// What the pipelines carry now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// How many carry writes, and are not blocked.
    pub(crate) writing: usize,
    /// How many read whole tables.
    pub(crate) scanning: usize,
}

pub(crate) struct Ready<R> {
    reads: Queue<R>,
    writes: Queue<R>,
    scans: Queue<R>,
    /// How many pipelines there may be. If it is one, scans go one by one, and the rest goes between them.
    max_pipelines: usize,
    has_just_scanned: bool,
    linger: Linger,
}

impl<R: Scheduled> Ready<R> {
    /// For at most this many pipelines.
    pub(crate) fn of_pipelines(max_pipelines: usize) -> Self {
        Self {
            reads: Queue::default(),
            writes: Queue::default(),
            scans: Queue::default(),
            max_pipelines,
            has_just_scanned: false,
            linger: Linger::default(),
        }
    }

    fn queue(&mut self, request: &R) -> &mut Queue<R> {
        self.queue_of(BatchKind::of(request.accesses()))
    }

    fn queue_of(&mut self, kind: BatchKind) -> &mut Queue<R> {
        match kind {
            BatchKind::Reads => &mut self.reads,
            BatchKind::Writes => &mut self.writes,
            BatchKind::Scans => &mut self.scans,
        }
    }

    pub(crate) fn push(&mut self, mut request: R, now: Instant) {
        request.set_ready_since(now);
        self.queue(&request).push_back(request);
    }

    /// Puts back what was taken, in front of what has become ready since.
    pub(crate) fn give_back(&mut self, requests: Vec<R>) {
        for request in requests.into_iter().rev() {
            self.queue(&request).push_front(request);
        }
    }

    pub(crate) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Whether there is work that a further pipeline could carry now.
    pub(crate) fn has_work(&self, load: Load, now: Instant) -> bool {
        !self.reads.is_empty()
            || (!self.writes.is_empty() && self.may_write(load, now))
            || (!self.scans.is_empty() && self.may_scan(load))
    }

    /// Scans leave at least one pipeline to the rest, if there is more than one.
    fn may_scan(&self, load: Load) -> bool {
        load.scanning < self.max_pipelines.saturating_sub(1).max(1)
    }

    fn may_write(&self, load: Load, now: Instant) -> bool {
        (load.writing == 0 && !self.linger.is_lingering())
            || self.writes.items() >= batches::MANY_WRITES
            || self.linger.is_over(now)
    }

    /// The next batch of one pipeline: the kind of request that has waited longest. `share`: how many of this many
    /// items are for that pipeline, if there are so many.
    pub(crate) fn take(
        &mut self,
        room: usize,
        share: impl Fn(usize) -> usize,
        load: Load,
        now: Instant,
    ) -> Option<(BatchKind, Vec<R>)> {
        let waits = [
            (BatchKind::Writes, self.writes.front().filter(|_| self.may_write(load, now))),
            (BatchKind::Reads, self.reads.front()),
            (BatchKind::Scans, self.scans.front().filter(|_| self.may_scan(load))),
        ];
        let is_only_pipeline = self.max_pipelines <= 1;
        let has_others = waits.iter().any(|(kind, first)| *kind != BatchKind::Scans && first.is_some());
        let is_others_turn = is_only_pipeline && self.has_just_scanned && has_others;
        let waits = waits.into_iter().filter(|(kind, _)| *kind != BatchKind::Scans || !is_others_turn);
        let since = waits.filter_map(|(kind, first)| Some((kind, first?.ready_since())));
        let (kind, _) = since.min_by_key(|(_, since)| *since)?;
        let is_scan = kind == BatchKind::Scans;
        self.has_just_scanned = is_scan;
        let room = if is_scan && is_only_pipeline { 1 } else { room };
        let requests = self.queue_of(kind);
        let is_whole = kind == BatchKind::Writes && requests.items() < 2 * batches::MANY_WRITES;
        let share = if is_whole { requests.items() } else { share(requests.items()) };
        let taken = requests.take(room.min(share));
        if kind == BatchKind::Writes {
            self.linger.stop();
            self.linger.hold(false, now);
        }
        Some((kind, taken))
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = R> + use<R> {
        let all = [&mut self.writes, &mut self.reads, &mut self.scans].map(std::mem::take);
        all.into_iter().flat_map(Queue::into_requests)
    }

    /// The requests that have waited for this long by now.
    pub(crate) fn take_overdue(&mut self, limit: Duration, now: Instant) -> Vec<R> {
        // Not simply from the front: a pipeline that got no connection puts its requests back there.
        let is_late = |request: &R| {
            request.ready_since().is_some_and(|since| since + limit <= now) && !request.can_retry(now)
        };
        let (late, waiting): (Vec<R>, Vec<R>) = self.take_all().partition(is_late);
        self.give_back(waiting);
        late
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.writes.iter().chain(self.reads.iter()).chain(self.scans.iter())
    }

    pub(crate) fn linger(&mut self) -> &mut Linger {
        &mut self.linger
    }

    /// When the writes that are held back now must be sent.
    pub(crate) fn held_until(&mut self, load: Load, now: Instant) -> Option<Instant> {
        let is_held = self.linger.is_over(now) || !self.may_write(load, now);
        self.linger.hold(is_held && !self.writes.is_empty(), now);
        // If that is past, they wait only for a pipeline.
        self.linger.due().filter(|due| *due > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::batching::scheduling::access::AccessMode;
    use crate::engine::batching::scheduling::for_test::Tagged;

    const ONE_WRITES: Load = Load { writing: 1, scanning: 0 };
    const IDLE: Load = Load { writing: 0, scanning: 0 };

    fn add(ready: &mut Ready<Tagged>, requests: &[(i64, AccessMode)], now: Instant) {
        for (nth, &(tag, mode)) in (0..).zip(requests) {
            ready.push(Tagged::new(tag, &[(1, mode)]), now + Duration::from_nanos(nth));
        }
    }

    fn ready(pipelines: usize, requests: &[(i64, AccessMode)], now: Instant) -> Ready<Tagged> {
        let mut ready = Ready::of_pipelines(pipelines);
        add(&mut ready, requests, now);
        ready
    }

    fn tags(requests: &[Tagged]) -> Vec<i64> {
        requests.iter().map(|request| request.tag).collect()
    }

    fn taken(
        ready: &mut Ready<Tagged>,
        room: usize,
        sharing: usize,
        load: Load,
        now: Instant,
    ) -> Option<(BatchKind, Vec<i64>)> {
        ready
            .take(room, |ready| ready.div_ceil(sharing), load, now)
            .map(|(kind, requests)| (kind, tags(&requests)))
    }

    #[test]
    fn reads_and_writes_go_in_batches_of_their_own_the_older_first() {
        let now = Instant::now();
        let requests = [
            (1, AccessMode::Exclusive),
            (2, AccessMode::Shared),
            (3, AccessMode::Exclusive),
            (4, AccessMode::Scan),
            (5, AccessMode::Shared),
        ];
        let mut ready = ready(2, &requests, now);
        assert_eq!(taken(&mut ready, 10, 1, IDLE, now), Some((BatchKind::Writes, vec![1, 3])));
        assert_eq!(taken(&mut ready, 1, 2, IDLE, now), Some((BatchKind::Reads, vec![2])));
        assert_eq!(taken(&mut ready, 10, 1, IDLE, now), Some((BatchKind::Scans, vec![4])));
        assert_eq!(taken(&mut ready, 10, 1, IDLE, now), Some((BatchKind::Reads, vec![5])));
        assert_eq!(ready.iter().count(), 0);
    }

    #[test]
    fn scans_leave_a_pipeline_to_the_rest() {
        let now = Instant::now();
        for (most, may_scan) in [(1, 1), (2, 1), (3, 2), (10, 9)] {
            for scanning in 0..most {
                let mut ready = ready(most, &[(1, AccessMode::Scan)], now);
                let load = Load { writing: 0, scanning };
                let is_taken = taken(&mut ready, 10, 1, load, now).is_some();
                assert_eq!(is_taken, scanning < may_scan, "{most} pipelines, of which {scanning} scan");
                assert!(!ready.has_work(load, now), "{most} pipelines, of which {scanning} scan");
            }
        }
    }

    #[test]
    fn on_the_only_pipeline_the_rest_goes_between_scans() {
        let now = Instant::now();
        let requests = [
            (1, AccessMode::Scan),
            (2, AccessMode::Scan),
            (3, AccessMode::Shared),
            (4, AccessMode::Shared),
            (5, AccessMode::Exclusive),
        ];
        let mut ready = ready(1, &requests, now);
        let batches: Vec<_> = std::iter::from_fn(|| taken(&mut ready, 10, 1, IDLE, now)).collect();
        let kinds: Vec<_> = batches.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == BatchKind::Scans).count(), 2, "{batches:?}");
        assert_eq!(kinds[..3], [BatchKind::Scans, BatchKind::Reads, BatchKind::Scans], "{batches:?}");
    }

    #[test]
    fn a_second_pipeline_writes_if_there_is_much_or_the_first_takes_long() {
        let now = Instant::now();
        let requests = [(1, AccessMode::Exclusive), (2, AccessMode::Exclusive), (3, AccessMode::Shared)];
        let mut ready = ready(2, &requests, now);
        // All of them, though another pipeline could share them.
        assert_eq!(taken(&mut ready, 10, 2, IDLE, now), Some((BatchKind::Writes, vec![1, 2])));
        assert_eq!(taken(&mut ready, 10, 1, ONE_WRITES, now), Some((BatchKind::Reads, vec![3])));

        add(&mut ready, &[(4, AccessMode::Exclusive)], now);
        assert!(!ready.has_work(ONE_WRITES, now) && taken(&mut ready, 10, 1, ONE_WRITES, now).is_none());
        let due = ready.held_until(ONE_WRITES, now).expect("it is held back");
        assert!(!ready.has_work(ONE_WRITES, due - Duration::from_nanos(1)));
        assert!(ready.has_work(ONE_WRITES, due));
        assert_eq!(ready.held_until(ONE_WRITES, due), None, "it waits only for a pipeline");
        assert!(ready.has_work(ONE_WRITES, due));
        assert_eq!(taken(&mut ready, 10, 1, ONE_WRITES, due), Some((BatchKind::Writes, vec![4])));
        assert_eq!(ready.held_until(ONE_WRITES, due), None);

        let many: Vec<_> = (0..batches::MANY_WRITES as i64).map(|tag| (tag, AccessMode::Exclusive)).collect();
        add(&mut ready, &many, now);
        assert!(ready.has_work(ONE_WRITES, now), "for many writes a pipeline does not wait");
        assert_eq!(
            ready.take(1_000, |ready| ready.div_ceil(2), ONE_WRITES, now).map(|(_, taken)| taken.len()),
            Some(batches::MANY_WRITES)
        );
    }

    #[test]
    fn writes_linger_for_the_callers_just_answered_if_their_handover_is_short() {
        let now = Instant::now();
        let mut ready = ready(2, &[(5, AccessMode::Exclusive)], now);
        ready.linger().begin(now, 1, 1, Duration::from_secs(60));
        assert!(!ready.has_work(IDLE, now) && taken(&mut ready, 10, 1, IDLE, now).is_none());
        add(&mut ready, &[(6, AccessMode::Exclusive)], now);
        let handed_over = now + Duration::from_micros(100);
        ready.linger().end(handed_over);
        assert_eq!(taken(&mut ready, 10, 1, IDLE, handed_over), Some((BatchKind::Writes, vec![5, 6])));

        // Each of those callers took 100 µs: twice that for two callers is longer than this batch.
        add(&mut ready, &[(7, AccessMode::Exclusive)], now);
        ready.linger().begin(now, 1, 1, Duration::from_micros(399));
        assert!(ready.has_work(IDLE, now), "the handover takes longer than a batch");
        ready.linger().begin(now, 1, 1, Duration::from_micros(400));
        assert!(!ready.has_work(IDLE, now));
    }
}
