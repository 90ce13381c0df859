//! The message of a panic. The process continues: the call rejects with this message, and nothing is written to
//! stderr.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static QUIET: Once = Once::new();

/// Keeps panics of this library's own code off stderr. The hook is this library's alone: an addon carries its own copy
/// of the standard library.
pub fn keep_quiet() {
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            LAST.with(|last| *last.borrow_mut() = Some(panic.to_string()));
        }));
    });
}

/// The message and place of the panic that is unwinding this thread.
pub(crate) fn last() -> String {
    LAST.with(|last| last.borrow_mut().take()).unwrap_or_default()
}
