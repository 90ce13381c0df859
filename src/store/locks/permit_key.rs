//! The keys of permits: the permit's number, a colon, and the semaphore's key.
//!
//! All of them stand behind a text that no stored key of a lock begins with, unless it is a digest; and no digest has a colon,
//! or the mark of a digest, after its own mark. So no lock is a permit.

use crate::store::keys::MARKER;
use crate::store::place::Place;

/// What stands between the prefix and the keys of permits.
pub(super) fn namespace() -> String {
    format!("lock:{MARKER}")
}

/// The key of a permit, among those of the provider of permits.
pub(super) fn permit_key(permit: u32, semaphore: &str) -> String {
    format!("{permit}:{semaphore}")
}

/// The semaphore that a permit belongs to, from the permit's key.
pub(super) fn semaphore_of(permit_key: &str) -> &str {
    permit_key.split_once(':').map_or(permit_key, |(_, semaphore)| semaphore)
}

/// The key of a lock that would be stored as this permit is.
pub(super) fn as_lock_key(place: &Place, permit_key: &str) -> String {
    let stored = place.prefix.stored(permit_key, place.table.shape().max_chars("key")).text;
    let before = [place.prefix.as_str(), place.prefix.spare()];
    let tail = before.into_iter().find_map(|before| stored.strip_prefix(before)).unwrap_or(&stored);
    format!("{MARKER}{tail}")
}
