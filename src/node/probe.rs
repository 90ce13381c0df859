//! For the boundary tests, in a separate build: native code that panics, and what no metric shows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use napi_derive::napi;

use crate::sync::lock;

static REQUESTED: Mutex<Option<String>> = Mutex::new(None);
static READS_ON_LOOP: AtomicU32 = AtomicU32::new(0);

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

/// How many times the event loop's thread has read what a server had sent.
#[napi(catch_unwind)]
#[allow(unreachable_pub, dead_code)] // exported to JavaScript
pub fn reads_on_loop() -> u32 {
    READS_ON_LOOP.load(Ordering::Relaxed)
}

pub(super) fn count_read_on_loop() {
    READS_ON_LOOP.fetch_add(1, Ordering::Relaxed);
}
