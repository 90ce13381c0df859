//! Makes each item of a call as a call of its own.

use crate::engine::{Join, Reply};

/// Makes one call for each item, all at one moment, so that they share statements and keep their places among other calls.
/// `join` makes one output of theirs.
pub(super) fn each<I, T: Send + 'static, U: Send + 'static>(
    items: Vec<I>,
    join: fn(Vec<T>) -> U,
    reply: Reply<U>,
    call: impl Fn(I, Reply<T>),
) {
    let Some(join) = Join::new(items.len(), join, reply) else { return };
    for (number, item) in items.into_iter().enumerate() {
        call(item, join.reply(number));
    }
}
