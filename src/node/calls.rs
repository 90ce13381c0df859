//! The calls of one pool: each outcome goes to JavaScript through the environment's queue, and is counted on the way.
//!
//! A call is counted when it is answered, before its caller can know. So a caller that awaits a call and then reads
//! the metrics finds the call counted. The answers of a statement come together, mostly for calls that were made
//! together. Such calls share one reading of the clock, and one step of the counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use super::operation::{OPERATIONS, Operation};
use super::outputs::{Output, UNDEFINED};
use super::queue::Queue;
use super::waits::Wait;
use crate::engine::{Caller, Error, Outcome, Reply, ReplySink, Stats};
use crate::histogram::{Histogram, Snapshot};
use crate::sync::lock;

/// In microseconds: from 16 µs, which no call is faster than, to 67 s. A bound is at most a quarter above the one
/// before.
type Latencies = Histogram<4, 26, 2>;

const MICROS_A_MILLISECOND: f64 = 1e3;

/// How many error codes are distinguished per operation: an application's own hooks may invent any number.
const MOST_CODES: usize = 32;

/// The code of errors that have none, and of those beyond [`MOST_CODES`]: OpenTelemetry's term for it.
const OTHER: &str = "_OTHER";

pub(super) struct Calls {
    pub(super) queue: Arc<Queue>,
    counted: Box<[OnceLock<Counted>]>,
}

/// What is counted of one operation.
#[derive(Default)]
struct Counted {
    latency: Latencies,
    repetitions: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

#[derive(Serialize)]
struct OperationStats {
    calls: u64,
    errors: BTreeMap<String, u64>,
    retries: u64,
    latency: Snapshot,
}

#[derive(Serialize)]
pub(super) struct Metrics {
    #[serde(flatten)]
    engine: Stats,
    operations: BTreeMap<&'static str, OperationStats>,
}

impl Calls {
    pub(super) fn new(queue: Arc<Queue>) -> Arc<Self> {
        Arc::new(Self { queue, counted: OPERATIONS.iter().map(|_| OnceLock::new()).collect() })
    }

    /// Reports the outcome to the caller in `slot`, and counts the call.
    pub(super) fn reply<T: Output>(self: &Arc<Self>, slot: u32, operation: Operation) -> Reply<T> {
        let caller = Caller { slot, operation: operation as u32, since: self.queue.moment() };
        Reply::to(self.clone(), caller, T::json)
    }

    /// As [`reply`](Self::reply), for a wait. Also returns a future that resolves when JavaScript gives the wait up.
    pub(super) fn wait<T: Output>(
        self: &Arc<Self>,
        slot: u32,
        operation: Operation,
    ) -> (impl Future<Output = ()> + use<T>, Reply<T>) {
        (Wait::new(&self.queue.waits, slot).given_up(), self.reply(slot, operation))
    }

    /// Counts a call for which no caller waits.
    pub(super) fn only_counted(self: &Arc<Self>, operation: Operation) -> Reply<()> {
        let (calls, since) = (self.clone(), self.queue.moment());
        Reply::new(move |outcome: Result<(), Error>| {
            let caller = Caller { slot: 0, operation: operation as u32, since };
            calls.count(&[(caller, outcome.map(|()| UNDEFINED.into()))])
        })
    }

    /// Everything that has been counted, together with the engine's own. An operation is included after its
    /// first call that was answered, or retried.
    pub(super) fn metrics(&self, engine: Stats) -> Metrics {
        let of = |(name, counted): (&&'static str, &OnceLock<Counted>)| Some((*name, counted.get()?.stats()));
        Metrics { engine, operations: OPERATIONS.iter().zip(&self.counted).filter_map(of).collect() }
    }

    fn counted(&self, operation: u32) -> &Counted {
        self.counted[operation as usize].get_or_init(Counted::default)
    }

    fn count(&self, outcomes: &[(Caller, Outcome)]) {
        let now = self.queue.now();
        let together =
            |(a, _): &(Caller, _), (b, _): &(Caller, _)| (a.operation, a.since) == (b.operation, b.since);
        for run in outcomes.chunk_by(together) {
            let (Caller { operation, since, .. }, _) = run[0];
            let counted = self.counted(operation);
            counted.latency.add(now.saturating_sub(since).div_ceil(1_000), run.len() as u64);
            for error in run.iter().filter_map(|(_, outcome)| outcome.as_ref().err()) {
                counted.count_error(error);
            }
        }
    }
}

impl ReplySink for Calls {
    fn complete(&self, outcomes: Vec<(Caller, Outcome)>) {
        self.count(&outcomes);
        ReplySink::complete(&*self.queue, outcomes);
    }

    fn count_retry(&self, caller: Caller) {
        self.counted(caller.operation).repetitions.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counted {
    fn count_error(&self, error: &Error) {
        let code = error.code();
        let code = code.as_deref().unwrap_or(OTHER);
        let mut errors = lock(&self.errors);
        let code = if errors.len() < MOST_CODES || errors.contains_key(code) { code } else { OTHER };
        *errors.entry(code.to_owned()).or_default() += 1;
    }

    fn stats(&self) -> OperationStats {
        // Read before the calls, so that there are never more errors than calls.
        let errors = lock(&self.errors).clone();
        let latency = self.latency.snapshot(MICROS_A_MILLISECOND);
        OperationStats {
            calls: latency.count,
            errors,
            retries: self.repetitions.load(Ordering::Relaxed),
            latency,
        }
    }
}
