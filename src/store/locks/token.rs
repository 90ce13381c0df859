//! Fencing tokens: see [`ACQUIRE`](super::acquire).

/// How many of a token's bits hold the distance between the deciding number and the stored one.
const DISTANCE_BITS: u32 = 12;

/// A fencing token: the number that was drawn while the row was in place, and its distance from the one that the row
/// stores. None if that is too far.
pub(super) fn token(drawn: i64, stored: i64) -> Option<i64> {
    let distance = drawn - stored;
    (distance >> DISTANCE_BITS == 0).then_some(drawn << DISTANCE_BITS | distance)
}

/// The number that the row stores for the lease with this token: see [`token`].
pub(super) fn stored(token: i64) -> i64 {
    (token >> DISTANCE_BITS) - (token & ((1 << DISTANCE_BITS) - 1))
}
