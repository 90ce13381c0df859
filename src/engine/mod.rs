//! How statements reach PostgreSQL. Nothing here knows a table or Node-API.

mod batching;
mod connection;
mod errno;
mod error;
mod notifications;
mod panics;
mod row;
mod sqlstate;

pub use batching::call::{Answer, Call, ItemsCall};
pub use batching::client::{Client, ClientQuery};
pub use batching::engine::Engine;
pub use batching::join::Join;
pub use batching::prepare::{NothingToPrepare, Prepare};
pub use batching::reply::{Caller, FutureOutcome, Outcome, Reply, ReplySink};
pub use batching::request::{Request, Retry};
pub use batching::scheduling::access::{Access, AccessMode, Accesses};
pub use batching::statement::{Arg, ClientTexts, Kind, Statement, array};
pub use batching::stats::Stats;
pub use connection::application::Application;
pub use connection::connect::Connection;
pub use connection::description::{Description, PoolSettings};
pub use connection::key_operations::{Answered, KeyOperations, ToSign};
pub use connection::readiness::Readiness;
pub use connection::transaction::BEGIN;
pub use connection::verifier::Proof;
pub use errno::know_names;
pub use error::{Error, ServerError};
pub use notifications::notifier::{Notification, Subscription};
pub use panics::keep_quiet;
pub(crate) use panics::last as last_panic;
pub use row::{Record, Row, Unreadable};
pub use sqlstate::{LOCK_NOT_AVAILABLE, advice, is_of_a_creation_race};
