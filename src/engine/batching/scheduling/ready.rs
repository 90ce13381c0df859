//! Requests whose turn has come on every key that they touch. They commute, so any of them may share a batch.
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
//! each half has a flush of its own (measured: see CONTRIBUTING.md). Lingering is worth it if the callers' turn is
//! short compared to a batch, which is mostly the flush. It is not worth it if the callers have work of their own to
//! do: the server can do ours in that time. Lingering ends after [`MAX_LINGER`] in any case.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::engine::batching::request::Request;

/// From this many on, writes are worth a pipeline: they take the server longer than a quick flush.
const MANY_WRITES: usize = 64;

/// This long after a pipeline has begun to write, another may write: the server may be far away, with a disk that is
/// not slow.
pub(crate) const MAX_LINGER: Duration = Duration::from_millis(1);

/// What a batch consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    Reads,
    Writes,
    /// Reads of whole tables.
    Scans,
}

impl BatchKind {
    fn of(request: &Request) -> Self {
        match request {
            request if request.writes() => Self::Writes,
            request if request.scans_a_table() => Self::Scans,
            _ => Self::Reads,
        }
    }
}

#[derive(Default)]
pub(crate) struct Ready {
    incoming: VecDeque<Request>,
    reads: VecDeque<Request>,
    writes: VecDeque<Request>,
    scans: VecDeque<Request>,
    /// How many pipelines read whole tables now.
    scanning: usize,
    /// How many may do so, beyond the first.
    further_scans: usize,
    /// Whether there is only one pipeline. Then scans go one by one, and the rest goes between them.
    is_only_pipeline: bool,
    has_just_scanned: bool,
    /// How many pipelines carry writes now, and are not blocked.
    writing: usize,
    /// Whether writes wait for callers who have been answered, and are about to get their outcome.
    is_lingering: bool,
    /// When such callers' turn began, and how many they are.
    turn_began: Option<(Instant, u32)>,
    /// How long it took the last time, for each of them.
    turn_of_one: Duration,
    /// Whether the waiting writes have waited long enough behind those.
    is_overdue: bool,
    is_watched: bool,
}

impl Ready {
    /// For at most this many pipelines.
    pub(crate) fn of_pipelines(most: usize) -> Self {
        Self { further_scans: most.saturating_sub(2), is_only_pipeline: most <= 1, ..Self::default() }
    }

    fn queue(&mut self, kind: BatchKind) -> &mut VecDeque<Request> {
        match kind {
            BatchKind::Reads => &mut self.reads,
            BatchKind::Writes => &mut self.writes,
            BatchKind::Scans => &mut self.scans,
        }
    }

    /// Where the key scheduler puts what is ready, until it is sorted.
    pub(crate) fn incoming(&mut self) -> &mut VecDeque<Request> {
        &mut self.incoming
    }

    pub(crate) fn sort(&mut self) {
        while let Some(request) = self.incoming.pop_front() {
            self.queue(BatchKind::of(&request)).push_back(request);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Whether there is work that a further pipeline could carry now.
    pub(crate) fn has_work(&self) -> bool {
        !self.reads.is_empty()
            || (!self.writes.is_empty() && self.may_write())
            || (!self.scans.is_empty() && self.may_scan())
    }

    fn may_scan(&self) -> bool {
        self.scanning <= self.further_scans
    }

    fn may_write(&self) -> bool {
        (self.writing == 0 && !self.is_lingering) || self.writes.len() >= MANY_WRITES || self.is_overdue
    }

    /// Whether a watcher is needed, so that the writes do not wait for longer than [`MAX_LINGER`].
    pub(crate) fn wants_watch(&mut self) -> bool {
        !self.writes.is_empty() && !self.may_write() && !std::mem::replace(&mut self.is_watched, true)
    }

    /// The writes have waited that long.
    pub(crate) fn let_writes_go(&mut self) {
        self.is_watched = false;
        self.is_overdue = !self.writes.is_empty();
        // Callers who have not called again by now are busy with other work.
        self.is_lingering &= !self.is_overdue;
    }

    /// The next batch of one pipeline: the kind of request that has waited longest. `pipelines`: how many pipelines
    /// share the requests.
    pub(crate) fn take(
        &mut self,
        room: usize,
        pipelines: impl Fn(usize) -> usize,
    ) -> (BatchKind, Vec<Request>) {
        let waits = [
            (BatchKind::Writes, self.writes.front().filter(|_| self.may_write())),
            (BatchKind::Reads, self.reads.front()),
            (BatchKind::Scans, self.scans.front().filter(|_| self.may_scan())),
        ];
        let has_others = waits.iter().any(|(kind, first)| *kind != BatchKind::Scans && first.is_some());
        let is_others_turn = self.is_only_pipeline && self.has_just_scanned && has_others;
        let waits = waits.into_iter().filter(|(kind, _)| *kind != BatchKind::Scans || !is_others_turn);
        let since = waits.filter_map(|(kind, first)| Some((kind, first?.ready_since)));
        let Some((kind, _)) = since.min_by_key(|(_, since)| *since) else {
            return (BatchKind::Reads, Vec::new());
        };
        let is_scan = kind == BatchKind::Scans;
        self.has_just_scanned = is_scan;
        let room = if is_scan && self.is_only_pipeline { 1 } else { room };
        let requests = self.queue(kind);
        let is_whole = kind == BatchKind::Writes && requests.len() < 2 * MANY_WRITES;
        let pipelines = if is_whole { 1 } else { pipelines(requests.len()) };
        let taken = requests.drain(..room.min(requests.len().div_ceil(pipelines))).collect();
        if kind == BatchKind::Writes {
            self.is_overdue = false;
        }
        (kind, taken)
    }

    /// Puts back what was taken, in front of what has become ready since.
    pub(crate) fn give_back(&mut self, requests: Vec<Request>) {
        for request in requests.into_iter().rev() {
            self.queue(BatchKind::of(&request)).push_front(request);
        }
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Request> + use<> {
        let all = [&mut self.writes, &mut self.reads, &mut self.scans].map(std::mem::take);
        all.into_iter().flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.writes.iter().chain(&self.reads).chain(&self.scans)
    }

    /// A pipeline begins a batch of this kind.
    pub(crate) fn begin(&mut self, kind: BatchKind) {
        match kind {
            BatchKind::Reads => {}
            BatchKind::Writes => self.begin_writing(),
            BatchKind::Scans => self.scanning += 1,
        }
    }

    /// The batch is over, or no longer keeps other pipelines from carrying such batches.
    pub(crate) fn end(&mut self, kind: BatchKind) {
        match kind {
            BatchKind::Reads => {}
            BatchKind::Writes => self.end_writing(),
            BatchKind::Scans => self.scanning -= 1,
        }
    }

    pub(crate) fn begin_writing(&mut self) {
        self.writing += 1;
    }

    fn end_writing(&mut self) {
        self.writing -= 1;
    }

    /// This many callers, whose batch has been answered, get their outcome next, and may call again. The waiting
    /// writes wait for them if the turn of all of them together will be short compared to a batch.
    pub(crate) fn begin_turn(&mut self, answered: usize, waiting: usize, batch: Duration) {
        let [answered, waiting] = [answered, waiting].map(|calls| calls.max(1) as u32);
        self.turn_began = Some((Instant::now(), answered));
        self.is_lingering =
            self.turn_of_one.saturating_mul(answered.saturating_add(waiting)).saturating_mul(2) <= batch;
    }

    /// The answered callers have had their turn. Returns whether writes waited for it.
    pub(crate) fn end_turn(&mut self) -> bool {
        if let Some((began, answered)) = self.turn_began.take() {
            self.turn_of_one = began.elapsed() / answered;
        }
        self.stop_lingering()
    }

    /// Returns whether it was lingering.
    pub(crate) fn stop_lingering(&mut self) -> bool {
        std::mem::take(&mut self.is_lingering)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::engine::batching::scheduling::key_scheduler::{Access, AccessMode, Accesses};

    fn ready(requests: &[(i64, AccessMode)]) -> Ready {
        let mut ready = Ready::default();
        for &(tag, mode) in requests {
            let mut request = Request::for_test(tag, Accesses::new(&[Access { resource: 1, mode }]), None);
            request.ready_since = Some(Instant::now());
            ready.incoming().push_back(request);
        }
        ready.sort();
        ready
    }

    fn tags(requests: &[Request]) -> Vec<i64> {
        requests.iter().map(Request::tag_for_test).collect()
    }

    fn taken(ready: &mut Ready, room: usize, pipelines: usize) -> Vec<i64> {
        tags(&ready.take(room, |_| pipelines).1)
    }

    #[test]
    fn reads_and_writes_go_in_batches_of_their_own_the_older_first() {
        let mut ready = ready(&[
            (1, AccessMode::Exclusive),
            (2, AccessMode::Shared),
            (3, AccessMode::Exclusive),
            (4, AccessMode::Scan),
            (5, AccessMode::Shared),
        ]);
        assert_eq!(taken(&mut ready, 10, 1), [1, 3]);
        assert_eq!(taken(&mut ready, 1, 2), [2]);
        let (kind, scans) = ready.take(10, |_| 1);
        assert_eq!((kind, tags(&scans)), (BatchKind::Scans, vec![4]));
        assert_eq!(taken(&mut ready, 10, 1), [5]);
        assert!(ready.is_empty());
    }

    #[test]
    fn scans_leave_a_pipeline_to_the_rest() {
        for (most, scanning) in [(1, 1), (2, 1), (3, 2), (10, 9)] {
            let mut ready = Ready::of_pipelines(most);
            for pipeline in 0..most {
                ready.give_back(
                    super::tests::ready(&[(pipeline as i64, AccessMode::Scan)]).take_all().collect(),
                );
                let (kind, taken) = ready.take(10, |_| 1);
                assert_eq!(
                    taken.is_empty(),
                    pipeline >= scanning,
                    "{most} pipelines, of which {pipeline} scan"
                );
                assert!(!ready.has_work(), "{most} pipelines, of which {pipeline} scan");
                if !taken.is_empty() {
                    ready.begin(kind);
                }
            }
        }
    }

    #[test]
    fn on_the_only_pipeline_the_rest_goes_between_scans() {
        let mut ready = Ready::of_pipelines(1);
        let requests = [
            (1, AccessMode::Scan),
            (2, AccessMode::Scan),
            (3, AccessMode::Shared),
            (4, AccessMode::Shared),
            (5, AccessMode::Exclusive),
        ];
        ready.give_back(super::tests::ready(&requests).take_all().collect());
        let batches: Vec<_> =
            std::iter::from_fn(|| Some(taken(&mut ready, 10, 1)).filter(|requests| !requests.is_empty()))
                .collect();
        assert_eq!(
            batches.iter().filter(|requests| requests == &&[1] || requests == &&[2]).count(),
            2,
            "{batches:?}"
        );
        let first = batches.iter().position(|requests| requests == &[1]).expect("a scan");
        assert_ne!(batches.get(first + 1), Some(&vec![2]), "{batches:?}");
    }

    #[test]
    fn a_second_pipeline_writes_where_there_is_much_or_the_first_takes_long() {
        let mut ready =
            ready(&[(1, AccessMode::Exclusive), (2, AccessMode::Exclusive), (3, AccessMode::Shared)]);
        // All of them, though another pipeline could share them.
        assert_eq!(taken(&mut ready, 10, 2), [1, 2]);
        ready.begin_writing();
        assert_eq!(taken(&mut ready, 10, 1), [3]);

        ready.give_back(super::tests::ready(&[(4, AccessMode::Exclusive)]).take_all().collect());
        assert!(!ready.has_work() && taken(&mut ready, 10, 1).is_empty());
        assert!(ready.wants_watch() && !ready.wants_watch());
        ready.let_writes_go();
        assert_eq!(taken(&mut ready, 10, 1), [4]);

        ready.end_writing();
        ready.give_back(super::tests::ready(&[(5, AccessMode::Exclusive)]).take_all().collect());
        ready.begin_turn(1, 1, Duration::from_secs(60));
        assert!(!ready.has_work() && taken(&mut ready, 10, 1).is_empty());
        ready.incoming().extend(super::tests::ready(&[(6, AccessMode::Exclusive)]).take_all());
        ready.sort();
        assert!(ready.end_turn() && !ready.end_turn());
        assert_eq!(taken(&mut ready, 10, 1), [5, 6]);

        ready.give_back(super::tests::ready(&[(7, AccessMode::Exclusive)]).take_all().collect());
        ready.begin_turn(1, 1, Duration::ZERO);
        assert!(
            ready.has_work(),
            "for callers whose turn takes longer than a batch a pipeline does not wait"
        );
        assert!(!ready.end_turn());
        assert_eq!(taken(&mut ready, 10, 1), [7]);
        ready.begin_writing();

        let many: Vec<_> = (0..MANY_WRITES as i64).map(|tag| (tag, AccessMode::Exclusive)).collect();
        ready.give_back(super::tests::ready(&many).take_all().collect());
        assert!(ready.has_work(), "for many writes a pipeline does not wait");
        assert_eq!(taken(&mut ready, 1_000, 2).len(), MANY_WRITES);
    }
}
