//! What the caller of an acquisition gets.

use super::permit_key::permit_key;
use super::token::Token;
use crate::engine::{Error, Row};
use crate::store::cells::Cells;
use crate::tuning::leases;

/// A lock, or a permit of a semaphore, that was granted to its caller.
#[derive(Clone)]
pub struct Grant {
    pub owner: String,
    /// None if the table has no tokens.
    pub token: Option<Token>,
    /// The number of the permit, from 1; none for a lock.
    pub permit: Option<u32>,
    /// Whether its row is known to have the mark of the waiters behind it.
    pub is_marked: bool,
}

impl Grant {
    /// The key of its row, given that of the lock or the semaphore.
    pub(super) fn key(&self, wanted: &str) -> String {
        self.permit.map_or_else(|| wanted.to_owned(), |permit| permit_key(permit, wanted))
    }
}

const NOT_DRAWN: &str = "does not hold what acquire() draws: a trigger of the table may change it";

/// Reads the row of an acquisition, of which there may be several for one call.
pub(super) struct Granted {
    owner: String,
    renewals: u32,
    draws: u32,
}

impl Granted {
    pub(super) fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), renewals: 0, draws: 0 }
    }

    /// None: it must run again, for an expiry or a token that a second run sets under the row's lock.
    pub(super) fn read(&mut self, row: &Row) -> Result<Option<Grant>, Error> {
        if row.cell(1)? && self.renewals < leases::STALE_RENEWALS {
            self.renewals += 1;
            return Ok(None);
        }
        let token = match row.width() {
            2 => None,
            _ => match Token::new(row.cell(2)?, row.cell(3)?) {
                Some(token) => Some(token),
                // Too far: the row is in place now, and the next run draws under its lock.
                None => {
                    self.draws += 1;
                    return if self.draws < leases::TOKEN_DRAWS {
                        Ok(None)
                    } else {
                        Err(row.unreadable(3, NOT_DRAWN))
                    };
                }
            },
        };
        Ok(Some(Grant { owner: std::mem::take(&mut self.owner), token, permit: None, is_marked: false }))
    }
}
