//! Carries out what the scheduler decides: on pipelines, and for requests that another transaction blocks.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::engine::batching::engine::{Dispatch, Engine};
use crate::engine::batching::isolation;
use crate::engine::batching::pipeline::Step;
use crate::engine::batching::pipelines::Pipelines;
use crate::engine::batching::request::Request;
use crate::engine::batching::scheduling::events::Decision;
use crate::engine::connection::application::Application;
use crate::engine::connection::description::PoolSettings;

#[derive(Default)]
struct Dispatcher {
    pipelines: Pipelines,
}

impl Dispatch for Dispatcher {
    fn carry_out(&self, engine: &Arc<Engine>, decision: Decision<Request>) {
        match decision {
            Decision::Run { pipeline, batch, is_connected } => {
                self.pipelines.send(engine, pipeline, Step::Run { batch, is_connected });
            }
            Decision::Connect { pipeline } => self.pipelines.send(engine, pipeline, Step::Connect),
            Decision::RunAlone(request) => {
                engine.io.executor.spawn(isolation::run_alone(engine.clone(), request));
            }
            Decision::RunRound(requests) => {
                engine.io.executor.spawn(isolation::run_round(engine.clone(), requests));
            }
            // The event loop's thread may not come back to this batch soon.
            Decision::Blocked { pipeline } => {
                engine.leave_loop();
                self.pipelines.report_blocked(pipeline);
            }
            Decision::RefuseOverdue(_) | Decision::RefuseClosed(_) | Decision::RefuseUnconnected(_) => {
                unreachable!("the engine refuses requests by itself")
            }
        }
    }

    fn replace_pipeline(&self, engine: &Arc<Engine>, pipeline: usize) {
        self.pipelines.replace(engine, pipeline);
    }
}

impl Engine {
    /// An engine with no connection yet. `application` is asked for each connection anew, as `pg` builds a client for
    /// each.
    pub fn new(settings: PoolSettings, application: Arc<dyn Application>, runtime: Handle) -> Arc<Self> {
        Self::with(settings, application, runtime, Box::new(Dispatcher::default()))
    }
}
