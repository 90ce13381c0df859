//! Deletes of cache entries in a transaction of the application.
//!
//! A `DELETE` that finds no row leaves nothing behind. So a computation (see [`computing`](super::computing)) that begins
//! after it and before the commit would read the data from before the transaction, and nothing would keep it from storing
//! the result. Therefore the key gets a row first:
//!
//! 1. **Mark.** An expired entry is inserted if there is no row; otherwise the row is locked, and stays as it is.
//! 2. **Delete**, by the usual statement, with its usual answer: a mark is no live entry.
//!
//! An insert of the same key waits until the transaction ends. The unique index makes it wait for any transaction that
//! has inserted the key, also if that has deleted the row since. A computation that begins after the commit reads the
//! new data. After a rollback there was no mark.
//!
//! One statement for both would not do: the `DELETE` would not see the row that is inserted beside it. Without an open
//! transaction the two are transactions of their own. A mark that is left over then is swept as any expired entry is.

use std::sync::Arc;

use super::call::{KeyCall, nothing};
use super::place::Place;
use super::template::{Template, one_or_many};
use crate::engine::{Answer, Arg, Call, Error, Kind, Row, Statement};

/// `DO UPDATE` locks the row that it finds, although its `WHERE` lets it write nothing.
static MARK: Template = one_or_many!(
    r#"
INSERT INTO {table} AS entry (key, value, expires_at, {touched}{created})"#,
    one: "\nVALUES ($1, 'null'::jsonb, {epoch:expires_at}, {now:touched}{created_now})",
    many: r#"
SELECT key, 'null'::jsonb, {epoch:expires_at}, {now:touched}{created_now}
  FROM unnest($1) AS call (key) ORDER BY key COLLATE "C""#,
    r#"
ON CONFLICT (key) DO UPDATE SET {touched} = entry.{touched} WHERE false"#,
    &[Kind::Text],
);

/// A delete that marks its key before it runs.
pub(super) struct MarkedRemoval<C> {
    mark: Option<Mark>,
    delete: C,
}

type Mark = KeyCall<fn(super::call::Found<'_>) -> Result<Answer<()>, Error>>;

impl<C: Call> MarkedRemoval<C> {
    pub(super) fn new(place: &Arc<Place>, key: String, delete: C) -> Self {
        Self { mark: Some(KeyCall::new(place, &MARK, "key", key, [], nothing)), delete }
    }
}

impl<C: Call> Call for MarkedRemoval<C> {
    type Output = C::Output;

    fn bind(&mut self) -> Arc<Statement> {
        match &mut self.mark {
            Some(mark) => mark.bind(),
            None => self.delete.bind(),
        }
    }

    fn args(&self) -> &[Arg] {
        match &self.mark {
            Some(mark) => mark.args(),
            None => self.delete.args(),
        }
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<C::Output>, Error> {
        match self.mark.take() {
            Some(_) => Ok(Answer::Again),
            None => self.delete.read(rows),
        }
    }
}
