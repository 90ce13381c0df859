//! Which requests are items of the same call.

use std::sync::atomic::{AtomicU64, Ordering};

/// A call of the application that is made as several calls, its items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JoinedCall(u64);

impl JoinedCall {
    /// Another one than any before.
    pub fn begin() -> Self {
        static BEGUN: AtomicU64 = AtomicU64::new(0);
        Self(BEGUN.fetch_add(1, Ordering::Relaxed))
    }
}
