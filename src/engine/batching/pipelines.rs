//! The pipelines of an engine: one task each, from the first batch that it gets to the end of the engine.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::batching::engine::Engine;
use crate::engine::batching::pipeline;
use crate::engine::batching::request::Request;
use crate::sync::lock;

/// What a pipeline does next.
pub(crate) enum Step {
    /// Open a connection. Then it may get a batch.
    Connect,
    /// `is_connected`: it has a connection, as far as the scheduler knows.
    Run { batch: Vec<Request>, is_connected: bool },
}

/// Where each pipeline receives its steps. When the engine is dropped, the tasks end.
#[derive(Default)]
pub(crate) struct Pipelines(Mutex<Vec<UnboundedSender<Step>>>);

impl Pipelines {
    pub(crate) fn send(&self, engine: &Arc<Engine>, pipeline: usize, step: Step) {
        let mut pipelines = lock(&self.0);
        while pipelines.len() <= pipeline {
            let next = pipelines.len();
            pipelines.push(start(engine, next));
        }
        // A task that panics is replaced before its pipeline gets another step.
        let _ = pipelines[pipeline].send(step);
    }

    /// After a panic.
    pub(crate) fn replace(&self, engine: &Arc<Engine>, pipeline: usize) {
        if let Some(sender) = lock(&self.0).get_mut(pipeline) {
            *sender = start(engine, pipeline);
        }
    }
}

fn start(engine: &Arc<Engine>, pipeline: usize) -> UnboundedSender<Step> {
    let (sender, steps) = unbounded_channel();
    engine.io.executor.spawn(pipeline::run(Arc::downgrade(engine), pipeline, steps));
    sender
}
