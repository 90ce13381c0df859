//! If the event loop cannot watch a socket, calls go through the runtime's worker.

use std::sync::Arc;

use napi::bindgen_prelude::Env;

use super::bridge::Queue;
use crate::engine::Engine;

pub(super) struct Watch;

impl Watch {
    pub(super) fn new(_: Env, _: &Arc<Queue>) -> Option<Self> {
        None
    }

    pub(super) fn pump(&self, _: &Arc<Engine>) {}
}
