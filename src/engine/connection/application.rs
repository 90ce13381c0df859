//! The application whose pool this is, as seen from here.

use crate::engine::connection::connect::Connection;
use crate::engine::connection::description::Description;
use crate::engine::connection::key_operations::{Answered, KeyOperations};

pub trait Application: KeyOperations {
    /// Describes how to connect to a host, for each connection anew: a password may have been rotated since the last.
    /// `verify_again`: the server has shown a certificate that the last description did not contain.
    fn describe(&self, host: u32, verify_again: bool) -> Answered<'_, Description>;
    /// Inspects a new connection before any call uses it, if the description requests that.
    fn run_connect_hook<'a>(&'a self, connection: &'a Connection) -> Answered<'a, ()>;
}
