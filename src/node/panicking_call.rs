//! For the boundary tests, in a separate build: a call that panics.

use napi_derive::napi;

use super::bridge::Bridge;

/// Panics in the native runtime, on behalf of the call in `slot`.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn panic_in_call(bridge: &Bridge, slot: u32) {
    let reply = bridge.queue().reply::<()>(slot);
    bridge.runtime.handle().spawn(async move {
        let _reply = reply;
        panic!("a panic on purpose");
    });
}
