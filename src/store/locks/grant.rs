//! What the caller of an acquisition gets.

use super::token::Token;

/// A lock that was granted to its caller.
#[derive(Clone)]
pub struct Grant {
    pub owner: String,
    /// None if the table has no tokens.
    pub token: Option<Token>,
}
