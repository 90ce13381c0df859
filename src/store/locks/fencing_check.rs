//! Checks a fencing token in the application's transaction, before that writes.

use super::permit_key::as_lock_key;
use super::provider::Locks;
use super::token::Token;
use crate::engine::{AccessMode, Arg, Kind, Reply, Retry};
use crate::store::call::PlainCall;
use crate::store::template::Template;

/// The function raises GF001 unless the lock is held with this token, and locks the row until the transaction ends; see
/// `sql/source/additions.sql`. It raises, so that a transaction whose application overlooks the failure cannot commit.
static CHECK: Template = Template::of_one(
    "SELECT {with fencing check}{schema}go_goscope_check_fencing_token($1, $2, $3)::text{end}\
     {without fencing check}$1::text WHERE $2 IS NULL AND $3 IS NULL{end}",
    &[Kind::Text, Kind::Int, Kind::Text],
);

impl Locks {
    /// The function takes a permit by what stands behind `lock:` in its row's key.
    ///
    /// False if the table has no function for the check. `key_prefix` is the adapter's.
    pub fn check_token(&self, key: String, token: Token, key_prefix: String, reply: Reply<bool>) {
        let accesses = self.accesses(&key, AccessMode::Exclusive);
        let key = if self.is_of_permits { as_lock_key(&self.place, &key) } else { key };
        let args = vec![Arg::text(key), Arg::Int(Some(token.number())), Arg::text(key_prefix)];
        let call = PlainCall {
            place: self.place.clone(),
            statement: &CHECK,
            args,
            read: |rows| Ok(!rows.is_empty()),
        };
        self.place.submit(accesses, call, Retry::Never, reply);
    }
}
