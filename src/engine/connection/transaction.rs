//! Transactions of several statements of ours.

/// Begins one. If the network loses what follows, the server would keep the locks of the transaction until it notices, which
/// is two hours by its defaults. So it ends a session of which nothing comes for this long.
pub const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'";
