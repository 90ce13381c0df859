//! If the event loop cannot poller a socket, calls go through the runtime's worker.

use std::sync::Arc;

use napi::bindgen_prelude::Env;

use super::queue::Queue;
use crate::engine::Engine;

pub(super) struct Poller;

impl Poller {
    pub(super) fn new(_: Env, _: &Arc<Queue>) -> Option<Self> {
        None
    }

    pub(super) fn poll(&self, _: &Arc<Engine>) {}
}
