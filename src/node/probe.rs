//! For the boundary tests, in a separate build: native code that panics.

use std::sync::Mutex;

use napi_derive::napi;

use super::bridge::Bridge;
use crate::sync::lock;

static REQUESTED: Mutex<Option<String>> = Mutex::new(None);

/// Panics in the native runtime, on behalf of the call in `slot`.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn panic_in_call(bridge: &Bridge, slot: u32) {
    let reply = bridge.queue().reply(slot);
    bridge.runtime.handle().spawn(async move {
        let _reply = reply;
        panic!("a panic on purpose");
    });
}

/// Panics on the JavaScript thread, before the call is under way.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn panic_on_js_thread(_slot: u32) {
    panic!("a panic on purpose");
}

/// Has the next run of a function that C calls panic, as it begins.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn panic_in_callback(function: String) {
    *lock(&REQUESTED) = Some(function);
}

/// Called as such a function begins.
pub(super) fn panic_if_requested(function: &str) {
    if lock(&REQUESTED).take_if(|requested| requested == function).is_some() {
        panic!("a panic on purpose");
    }
}
