//! What must be true before a request's statement can run.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::engine::connection::connect::Connection;
use crate::engine::error::Error;

/// What must be true before a request's statement can run: its table exists, and its shape is known.
pub trait Prepare: Send + Sync {
    fn is_prepared(&self) -> bool;
    fn prepare<'a>(
        &'a self,
        connection: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;
    /// How long it may take, from when it is sent; none: as long as the configuration allows.
    fn limit(&self) -> Option<Duration> {
        None
    }
    /// The server has shown that the known state is out of date (the table is gone). Returns whether preparing again
    /// may help.
    fn invalidate(&self) -> bool;
}

/// For a statement that needs no table of ours.
pub struct NothingToPrepare;

impl Prepare for NothingToPrepare {
    fn is_prepared(&self) -> bool {
        true
    }

    fn prepare<'a>(
        &'a self,
        _: &'a Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async { Ok(()) })
    }

    fn invalidate(&self) -> bool {
        false
    }
}
