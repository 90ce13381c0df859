//! Pages of keys, from plain arguments.

use crate::store::{After, PageRequest};

/// A page begins after a key, as the caller knows it, or after the end of the page before.
pub(super) fn page_request(
    prefix: String,
    limit: Option<i64>,
    after: Option<String>,
    end: Option<String>,
) -> PageRequest {
    PageRequest { prefix, limit, after: end.map(After::Stored).or(after.map(After::Key)) }
}
