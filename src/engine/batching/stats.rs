//! What an engine counts of its own work, for monitoring from outside.

use serde::Serialize;

use crate::engine::batching::engine::Engine;
use crate::engine::batching::scheduling::scheduled::Scheduled;
use crate::engine::connection::pool::PoolStats;
use crate::histogram::Snapshot;
use crate::sync::lock;

/// An engine as it is now, and what it has done since it was made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pool: PoolStats,
    /// Connections for notifications, of which there is at most one, outside of the pool.
    listening: usize,
    pipelines: PipelineStats,
    calls: CallStats,
    batches: u64,
    statements: Snapshot,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PipelineStats {
    active: usize,
    blocked: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallStats {
    in_flight: usize,
    queued: usize,
}

impl Engine {
    pub fn stats(&self) -> Stats {
        let unflushed: usize = lock(&self.submitted).iter().map(Scheduled::calls).sum();
        let state = self.state();
        let scheduler = &state.scheduler;
        let pipelines = scheduler.pipelines();
        Stats {
            pool: self.pool.stats(),
            listening: usize::from(self.notifier.is_connected()),
            pipelines: PipelineStats { active: pipelines.active(), blocked: pipelines.blocked() },
            calls: CallStats {
                in_flight: scheduler.in_flight() + unflushed,
                queued: scheduler.queued() + unflushed,
            },
            batches: self.traffic.batches(),
            statements: self.traffic.statements(),
        }
    }
}
