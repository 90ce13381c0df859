//! Distributed locks: one row per lock, held until the server's clock passes `expires_at`.

mod acquire;
mod attempt;
mod changes;
mod contention;
mod extend;
mod fencing_check;
mod grant;
mod hand_over;
mod holders;
mod leases;
mod lines;
mod permit_key;
mod permits;
mod provider;
mod release;
mod renewal;
mod successor;
mod token;
mod until_free;
mod waiting;
mod wanted;

pub use grant::Grant;
pub use holders::Holder;
pub use provider::Locks;
pub use token::Token;
pub use wanted::{WaitEnd, Wanted};
