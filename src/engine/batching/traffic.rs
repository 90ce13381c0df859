//! Counts what is sent to the server.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::{Histogram, Snapshot};

/// Powers of two, up to what few statements reach.
type Sizes = Histogram<0, 10, 0>;

/// Counted by the pipelines. Only one of them is polled at a time, so no two threads write here at once.
#[derive(Default)]
pub(crate) struct Traffic {
    batches: AtomicU64,
    statements: Sizes,
}

impl Traffic {
    pub(crate) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// A statement is sent to the server, for this many calls.
    pub(crate) fn count_statement(&self, calls: usize) {
        self.statements.add(calls as u64, 1);
    }

    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// By the number of their calls.
    pub(crate) fn statements(&self) -> Snapshot {
        self.statements.snapshot(1.0)
    }
}
