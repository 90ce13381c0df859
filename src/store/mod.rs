//! The operations on each table. Each file opens with its SQL, under the reasoning that makes it right among
//! concurrent writers; the functions follow, one for each documented operation. Where there is much SQL, or where
//! tables share it, it is in a file of its own.
//!
//! Rules that hold for all statements:
//!
//! * The server's clock alone decides what has expired. Where a statement may wait for a row, it reads the clock
//!   after the wait.
//! * Rows are locked in the order of their keys (`COLLATE "C"`, the same in every database), so that two processes
//!   whose batches overlap wait for each other in one direction only and cannot deadlock.
//! * Expired rows are removed as a by-product of writes. The sweep runs only after the statement has done its own
//!   work. It removes only rows that no transaction has locked (`SKIP LOCKED`), a bounded number, found through the
//!   index on `expires_at`. So the sweep never waits, and a statement that waits for a swept row waits for a
//!   statement that itself waits for nothing.

mod cache;
mod call;
mod cells;
mod checkpoint_pages;
mod checkpoints;
mod circuit_statements;
mod circuits;
mod citus;
mod client_text;
mod computing;
mod conditional;
mod counter;
mod decimal;
mod definition;
mod digested;
mod entries;
mod get_many;
mod idempotency;
mod indexes;
mod inspection;
mod join;
mod key_pages;
mod keys;
mod locks;
mod marked_removal;
mod owner;
mod pages;
mod place;
mod relation;
mod removal;
mod schema;
mod source;
mod subscription;
mod table;
mod template;
mod value;

pub use cache::Cache;
pub use checkpoint_pages::ListRequest;
pub use checkpoints::{Checkpoints, GivenCheckpoint, SavedCheckpoint};
pub use circuits::{Circuit, CircuitState, Circuits};
pub use computing::{Observed, Seen, Version};
pub use definition::Durability;
pub use entries::Entry;
pub use idempotency::{Idempotency, Remembered};
pub use inspection::{IS_SPREAD, IS_SUPERUSER, IS_TRUSTED_OWNER, Inspection, Report, stored_prefixes};
pub use keys::Key;
pub use locks::{Grant, Holder, Locks, Token, WaitEnd, Wanted};
pub use pages::{After, Page, PageRequest};
pub use place::{TableRef, connect};
pub use subscription::CircuitSubscription;
pub use value::Value;
