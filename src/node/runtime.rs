//! The tokio runtime: one worker thread for all environments of the process, stopped with the last environment.

use std::sync::{Arc, Mutex, Weak};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::engine::keep_quiet;
use crate::sync::lock;

static SHARED: Mutex<Weak<SharedRuntime>> = Mutex::new(Weak::new());

pub(super) struct SharedRuntime(Option<Runtime>);

impl SharedRuntime {
    /// The process's runtime, started if no environment has one.
    pub(super) fn get() -> std::io::Result<Arc<Self>> {
        let mut shared = lock(&SHARED);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        keep_quiet();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("goscope-postgres")
            .enable_all()
            .build()?;
        let started = Arc::new(Self(Some(runtime)));
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime is there until it is dropped").handle().clone()
    }
}

impl Drop for SharedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Without waiting: this may run in an environment's teardown, on the JavaScript thread.
            runtime.shutdown_background();
        }
    }
}
