//! The pipelines of an engine: one task each, from the first batch that it gets to the end of the engine.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::batching::engine::Engine;
use crate::engine::batching::pipeline::{self, Step};
use crate::sync::lock;

/// How each pipeline is reached. When the engine is dropped, the tasks end.
#[derive(Default)]
pub(crate) struct Pipelines(Mutex<Vec<Contact>>);

struct Contact {
    steps: UnboundedSender<Step>,
    /// Notified if the batch takes long.
    blocked: Arc<Notify>,
}

impl Pipelines {
    pub(crate) fn send(&self, engine: &Arc<Engine>, pipeline: usize, step: Step) {
        let steps = {
            let mut pipelines = lock(&self.0);
            while pipelines.len() <= pipeline {
                let next = pipelines.len();
                pipelines.push(start(engine, next));
            }
            pipelines[pipeline].steps.clone()
        };
        // A task that panics is replaced before its pipeline gets another step. If the tasks are gone, the requests are
        // dropped here, without the lock: that may send another step.
        let _ = steps.send(step);
    }

    /// After a panic.
    pub(crate) fn replace(&self, engine: &Arc<Engine>, pipeline: usize) {
        if let Some(contact) = lock(&self.0).get_mut(pipeline) {
            *contact = start(engine, pipeline);
        }
    }

    /// The batch of this pipeline takes long.
    pub(crate) fn report_blocked(&self, pipeline: usize) {
        if let Some(contact) = lock(&self.0).get(pipeline) {
            contact.blocked.notify_one();
        }
    }
}

fn start(engine: &Arc<Engine>, pipeline: usize) -> Contact {
    let (sender, steps) = unbounded_channel();
    let blocked = Arc::new(Notify::new());
    engine.io.executor.spawn(pipeline::run(Arc::downgrade(engine), pipeline, steps, blocked.clone()));
    Contact { steps: sender, blocked }
}
