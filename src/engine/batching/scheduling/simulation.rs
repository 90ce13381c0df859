//! A simulated world for the scheduler: servers that answer in any order, requests that fail or are blocked,
//! connections that cannot be opened, time that passes in leaps. It checks after each event that order holds per key,
//! that batches are bounded and of one kind, that at most two pipelines carry requests and that there are at most `max`
//! of them, and that blocked requests leave a connection to the others.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::engine::batching::scheduling::events::{BatchEnd, Decision, DelayedRetry, Event};
use crate::engine::batching::scheduling::for_test::Tagged;
use crate::engine::batching::scheduling::ready::BatchKind;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::batching::scheduling::scheduler::Scheduler;
use crate::engine::batching::scheduling::simulated_requests::{Shape, Unsettled};
use crate::tuning::{batches, pipelines};

/// What the world does next. The numbers choose among what is possible.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Submit(Vec<Shape>),
    /// A pipeline, a single request or a round that is under way gets its answer.
    Answer {
        which: usize,
        outcomes: u64,
    },
    /// One that opens a connection has it, or not.
    Connection {
        which: usize,
        is_opened: bool,
    },
    /// The answered callers have their outcome.
    Handover,
    Pass(Duration),
}

/// See [`World::outcomes`]. The connection is kept.
const ALL_SUCCEED: u64 = 1 << 62;

/// A caller who has been answered calls again before the batch has ended.
const CALLS_AGAIN: u64 = 1 << 61;

/// Reads of several keys are split while they are under way.
const SPLITS: u64 = 1 << 59;

/// What is under way: decisions that the world has not answered yet.
enum Work {
    Batch { pipeline: usize, batch: Vec<Tagged>, connection: Connection },
    Opening { pipeline: usize, connection: Connection },
    Alone(Tagged),
    Round(Vec<Tagged>),
}

impl Work {
    fn connection(&self) -> Connection {
        match self {
            Self::Batch { connection, .. } | Self::Opening { connection, .. } => *connection,
            Self::Alone(_) | Self::Round(_) => Connection::Own,
        }
    }

    /// Whether the server has it.
    fn is_under_way(&self) -> bool {
        self.connection() == Connection::Own
    }
}

/// What a pipeline has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Own,
    /// One that is open, and comes from the pool at once.
    FromPool,
    /// None is free, so one must be opened.
    ToOpen,
}

pub(crate) struct World {
    pub(crate) scheduler: Scheduler<Tagged>,
    now: Instant,
    max: usize,
    work: Vec<Work>,
    unsettled: Unsettled,
    /// The tags that have been sent to the server, or are retries of such.
    pub(crate) begun: HashSet<i64>,
    connected: HashSet<usize>,
    /// Open connections that no pipeline has.
    idle_connections: usize,
    pub(crate) submitted: i64,
    settled: i64,
}

impl World {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            scheduler: Scheduler::new(max, None),
            now: Instant::now(),
            max,
            work: Vec::new(),
            unsettled: Unsettled::default(),
            begun: HashSet::new(),
            connected: HashSet::new(),
            idle_connections: 0,
            submitted: 0,
            settled: 0,
        }
    }

    fn on(&mut self, event: Event<Tagged>) {
        let decisions = self.scheduler.on(event, self.now);
        let mut refused = Vec::new();
        for decision in decisions {
            match decision {
                Decision::Run { pipeline, batch, is_connected } => {
                    self.begin(&batch);
                    assert!(
                        batch.iter().map(Scheduled::items).sum::<usize>() <= batches::MAX_ITEMS
                            && !batch.is_empty()
                    );
                    let kinds: HashSet<_> =
                        batch.iter().map(|request| BatchKind::of(&request.accesses) as u8).collect();
                    assert_eq!(kinds.len(), 1, "a batch is of one kind");
                    let is_busy = self.work.iter().any(|work| {
                        matches!(work, Work::Batch { pipeline: busy, .. } | Work::Opening { pipeline: busy, .. } if *busy == pipeline)
                    });
                    assert!(!is_busy, "pipeline {pipeline} has work already");
                    assert!(pipeline < self.max);
                    assert_eq!(is_connected, self.connected.contains(&pipeline));
                    let connection = if is_connected { Connection::Own } else { self.check_out() };
                    self.work.push(Work::Batch { pipeline, batch, connection });
                }
                Decision::Connect { pipeline } => {
                    assert!(pipeline < self.max && !self.connected.contains(&pipeline));
                    let connection = self.check_out();
                    self.work.push(Work::Opening { pipeline, connection });
                }
                Decision::RunAlone(request) => {
                    self.begin(std::slice::from_ref(&request));
                    self.work.push(Work::Alone(request));
                }
                Decision::RunRound(requests) => {
                    self.begin(&requests);
                    assert!(!self.work.iter().any(|work| matches!(work, Work::Round(_))));
                    self.work.push(Work::Round(requests));
                }
                Decision::Blocked { .. } => {}
                Decision::RefuseUnconnected(requests) => refused.extend(requests),
                Decision::RefuseOverdue(_) | Decision::RefuseClosed(_) => {
                    unreachable!("neither is used here")
                }
            }
        }
        let alone = self.work.iter().filter(|work| matches!(work, Work::Alone(_))).count();
        assert!(alone < self.max.max(1), "blocked requests leave a connection to the others");
        let opening = self.work.iter().filter(|work| matches!(work, Work::Opening { .. })).count();
        let pipelines = self.scheduler.pipelines();
        assert!(pipelines.active() - pipelines.blocked() - opening <= pipelines::EAGER);
        assert!(pipelines.active() <= self.max);
        if !refused.is_empty() {
            self.end(refused);
        }
    }

    /// Order per key: nothing begins that must wait for an unsettled earlier request.
    fn begin(&mut self, requests: &[Tagged]) {
        for request in requests {
            // Those that have been coalesced with it begin with it, and so do its items.
            let group: Vec<i64> = request.coalesced.iter().copied().chain([request.tag]).collect();
            self.begun.extend(&group);
            for tag in &group {
                for earlier in self.unsettled.before(*tag) {
                    assert!(group.contains(&earlier), "{tag} begins before {earlier}");
                }
            }
        }
    }

    pub(crate) fn submit(&mut self, shapes: &[Shape]) {
        let requests: Vec<_> = shapes
            .iter()
            .map(|shape| {
                let request = shape.request(self.submitted + 1);
                for item in shape.split() {
                    self.submitted += 1;
                    self.unsettled.add(self.submitted, &item);
                }
                request
            })
            .collect();
        self.on(Event::Submitted(requests));
    }

    /// These are settled.
    fn end(&mut self, requests: Vec<Tagged>) {
        let mut settled = Vec::new();
        for request in requests {
            let tags: HashSet<_> = request.coalesced.iter().copied().chain([request.tag]).collect();
            assert_eq!(tags.len(), request.calls);
            tags.iter().for_each(|tag| self.unsettled.remove(*tag));
            self.settled += request.calls as i64;
            settled.push((request.accesses, request.calls));
        }
        if !settled.is_empty() {
            self.on(Event::Settled(settled));
        }
    }

    /// Three bits decide on each request: it succeeds, is retried at once or later, or is blocked.
    fn outcomes(
        &mut self,
        requests: Vec<Tagged>,
        mut outcomes: u64,
    ) -> (Vec<Tagged>, Vec<DelayedRetry<Tagged>>, Vec<Tagged>) {
        let (mut done, mut retries, mut blocked) = (Vec::new(), Vec::new(), Vec::new());
        for mut request in requests {
            let outcome = outcomes & 7;
            outcomes = outcomes.rotate_right(3);
            match outcome {
                5 | 6 if request.failures < 3 => {
                    request.failures += 1;
                    let pause = Duration::from_millis(if outcome == 5 { 0 } else { 20 });
                    retries.push(DelayedRetry { request, pause });
                }
                7 => blocked.push(request),
                _ => done.push(request),
            }
        }
        (done, retries, blocked)
    }

    pub(crate) fn answer(&mut self, which: usize, outcomes: u64) {
        let answerable: Vec<usize> =
            (0..self.work.len()).filter(|at| self.work[*at].is_under_way()).collect();
        if answerable.is_empty() {
            return;
        }
        match self.work.remove(answerable[which % answerable.len()]) {
            Work::Batch { pipeline, batch, .. } => {
                // Some keys of a read of several may wait, or fail, and others not.
                let split =
                    |batch: Vec<Tagged>| batch.into_iter().flat_map(Tagged::items_by_themselves).collect();
                let batch = if outcomes & SPLITS == 0 { batch } else { split(batch) };
                let (done, retries, blocked) = self.outcomes(batch, outcomes);
                let items = done.iter().map(Scheduled::items).sum();
                let calls = done.iter().map(|request| request.calls).sum();
                self.scheduler.expect_answers(pipeline, items, calls, self.now);
                if retries.is_empty() && blocked.is_empty() && outcomes & CALLS_AGAIN != 0 {
                    self.call_before_the_batch_ends();
                }
                self.end(done);
                // Now and then the connection is lost.
                let has_connection = outcomes >> 60 != 0;
                self.connected.remove(&pipeline);
                if has_connection {
                    self.connected.insert(pipeline);
                }
                self.on(Event::BatchEnded(BatchEnd {
                    pipeline,
                    retries,
                    blocked,
                    has_connection,
                    answers_next: outcomes & 1 == 0,
                }));
                self.give_back_if_idle(pipeline);
            }
            Work::Alone(request) => {
                let (done, retries, blocked) = self.outcomes(vec![request], outcomes);
                self.end(done);
                self.on(Event::AloneEnded { retries, blocked });
            }
            Work::Round(requests) => {
                let (done, retries, blocked) = self.outcomes(requests, outcomes);
                self.end(done);
                self.on(Event::RoundEnded { retries, blocked });
            }
            Work::Opening { .. } => unreachable!("it is not answerable"),
        }
    }

    /// The call waits for the pipeline, which is about to be free.
    fn call_before_the_batch_ends(&mut self) {
        let under_way = self.work.len();
        self.submit(&[Shape::Read(20_000)]);
        assert_eq!(self.work.len(), under_way, "another pipeline starts");
    }

    pub(crate) fn connection(&mut self, which: usize, is_opened: bool) {
        let opening: Vec<usize> = (0..self.work.len()).filter(|at| !self.work[*at].is_under_way()).collect();
        if opening.is_empty() {
            return;
        }
        let at = opening[which % opening.len()];
        match self.work.swap_remove(at) {
            Work::Opening { pipeline, .. } if is_opened => {
                self.connected.insert(pipeline);
                self.on(Event::Connected { pipeline });
                self.give_back_if_idle(pipeline);
            }
            Work::Opening { pipeline, .. } => self.on(Event::NotConnected { pipeline, batch: Vec::new() }),
            Work::Batch { pipeline, batch, .. } if is_opened => {
                self.connected.insert(pipeline);
                self.work.push(Work::Batch { pipeline, batch, connection: Connection::Own });
                self.on(Event::BatchBegan { pipeline });
            }
            Work::Batch { pipeline, batch, .. } => self.on(Event::NotConnected { pipeline, batch }),
            Work::Alone(_) | Work::Round(_) => unreachable!("they need no pipeline"),
        }
    }

    fn check_out(&mut self) -> Connection {
        if self.idle_connections == 0 {
            return Connection::ToOpen;
        }
        self.idle_connections -= 1;
        Connection::FromPool
    }

    /// An idle pipeline gives its connection back to the pool.
    fn give_back_if_idle(&mut self, pipeline: usize) {
        let runs = |work: &Work| matches!(work, Work::Batch { pipeline: next, .. } if *next == pipeline);
        if !self.work.iter().any(runs) && self.connected.remove(&pipeline) {
            self.idle_connections += 1;
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        // The engine wakes the scheduler at each time that it has asked for.
        let mut wakes = 0;
        while let Some(wake) = self.scheduler.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.on(Event::Woken);
            wakes += 1;
            assert!(wakes < 10_000, "the scheduler wants to be woken for ever");
        }
        self.now = end;
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Submit(shapes) => self.submit(shapes),
            Step::Answer { which, outcomes } => self.answer(*which, *outcomes),
            Step::Connection { which, is_opened } => self.connection(*which, *is_opened),
            Step::Handover => self.on(Event::CallersAnswered),
            Step::Pass(time) => self.pass(*time),
        }
    }

    /// Every connection that is to be opened is refused at once. No time passes, so this must come to an end.
    pub(crate) fn refuse_connections(&mut self) {
        for attempt in 0.. {
            assert!(attempt < 1_000, "refused connections are tried again without a pause");
            if self.work.iter().all(Work::is_under_way) {
                break;
            }
            self.connection(attempt, false);
        }
    }

    /// From here on everything succeeds, but no further pipeline opens a connection: there are only those that are open.
    /// Then everything is settled, too, if there is one.
    pub(crate) fn finish_on_open_connections(&mut self) {
        if self.idle_connections + self.connected.len() == 0 {
            return self.finish();
        }
        for round in 0.. {
            assert!(round < 10_000, "{} requests are never settled", self.unsettled.all.len());
            let waiting: Vec<&Work> = self.work.iter().filter(|work| !work.is_under_way()).collect();
            // A pipeline that has requests is the only one, or was: nothing else could carry them.
            let opens = |work: &&Work| {
                work.connection() == Connection::FromPool || matches!(work, Work::Batch { .. })
            };
            if let Some(which) = waiting.iter().position(opens) {
                self.connection(which, true);
            } else if self.work.iter().any(Work::is_under_way) {
                self.answer(0, ALL_SUCCEED);
            } else if let Some(wake) = self.scheduler.next_wake() {
                self.now = self.now.max(wake);
                self.on(Event::Woken);
            } else {
                break;
            }
        }
        assert!(self.unsettled.all.is_empty(), "lost: {:?}", self.unsettled.all);
    }

    /// From here on everything succeeds. Then everything is settled: no wake-up is lost, and nothing starves.
    pub(crate) fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 10_000, "{} requests are never settled", self.unsettled.all.len());
            if !self.work.is_empty() {
                self.connection(0, true);
                self.answer(0, 0);
            } else if let Some(wake) = self.scheduler.next_wake() {
                self.now = self.now.max(wake);
                self.on(Event::Woken);
            } else {
                break;
            }
        }
        assert!(self.unsettled.all.is_empty(), "lost: {:?}", self.unsettled.all);
        assert_eq!((self.scheduler.in_flight(), self.scheduler.queued()), (0, 0));
        assert_eq!(self.scheduler.pipelines().active(), 0);
        assert_eq!(self.settled, self.submitted);
    }
}
