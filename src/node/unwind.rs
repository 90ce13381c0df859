//! Panics in functions that C calls: libuv's callbacks, Node-API's finalizers, the threadsafe function's.
//!
//! A panic that reached C would abort the process. These functions have no caller that could get it as an error, so it
//! is written to stderr. No call is lost: what such a function works on is in queues, so it runs once more, or another
//! thread takes over.

use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::last_panic;

/// Runs the body of a function that C calls. False if it panicked.
pub(super) fn caught(function: &str, body: impl FnOnce()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "panic-probe")]
        super::probe::panic_if_requested(function);
        body();
    }));
    let Err(payload) = outcome else { return true };
    // Its drop may panic, too.
    std::mem::forget(payload);
    let message = last_panic();
    let _ = writeln!(stderr(), "goscope-postgres: internal error in {function}, please report it: {message}");
    false
}

/// As [`caught`]. A body that panicked runs once more, and finds in its queues what it has left undone.
pub(super) fn caught_or_again(function: &str, body: impl Fn()) {
    if !caught(function, &body) {
        caught(function, &body);
    }
}
