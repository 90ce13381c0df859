//! Fencing tokens: see [`ACQUIRE`](super::acquire).

use std::fmt;

/// How many of a token's bits hold the distance between the deciding number and the stored one.
const DISTANCE_BITS: u32 = 12;

/// A fencing token: the number that was drawn while the row was in place, and its distance from the one that the row
/// stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(i64);

impl Token {
    /// None if the distance is too far.
    pub(super) fn new(drawn: i64, stored: i64) -> Option<Self> {
        let distance = drawn - stored;
        (distance >> DISTANCE_BITS == 0).then_some(Self(drawn << DISTANCE_BITS | distance))
    }

    /// From its digits, as [`Display`](fmt::Display) writes them.
    pub fn parse(digits: &str) -> Option<Self> {
        digits.parse().ok().map(Self)
    }

    pub(super) fn number(self) -> i64 {
        self.0
    }

    /// The number that the row stores for the lease with this token.
    pub(super) fn stored(self) -> i64 {
        (self.0 >> DISTANCE_BITS) - (self.0 & ((1 << DISTANCE_BITS) - 1))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_stored_number() {
        for (drawn, stored) in [(1, 1), (9, 4), (1 << 40, (1 << 40) - 4095)] {
            let token = Token::new(drawn, stored).expect("it is near enough");
            assert_eq!(token.stored(), stored);
            assert_eq!(Token::parse(&token.to_string()), Some(token));
        }
        assert_eq!(Token::new(5000, 900), None);
        assert_eq!(Token::parse(""), None);
    }
}
