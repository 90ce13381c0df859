//! The ends of the exported objects: the garbage collector, which is C++, drops them.

use napi::bindgen_prelude::{Env, ObjectFinalize, Result};

use super::bridge::Bridge;
use super::client::Client;
use super::inspection::Inspection;
use super::pool::Pool;
use super::providers::{Cache, Checkpoints, Circuits, Idempotency, Locks};
use super::unwind::caught;

macro_rules! finalized {
    ($($class:ident)*) => {
        $(impl ObjectFinalize for $class {
            fn finalize(self, _: Env) -> Result<()> {
                caught(concat!("the finalizer of ", stringify!($class)), || drop(self));
                Ok(())
            }
        })*
    };
}

finalized!(Bridge Cache Checkpoints Circuits Client Idempotency Inspection Locks Pool);
