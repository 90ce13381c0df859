//! Calls in the form that the engine takes: the common parts of most operations.

use std::sync::Arc;

use super::digested::without_key;
use super::place::Place;
use super::template::Template;
use super::value::Value;
use crate::engine::{Answer, Arg, Call, Error, Row, Statement};

/// A call whose first argument is a key, and whose others are known from the start.
pub(super) struct KeyCall<R> {
    place: Arc<Place>,
    statement: &'static Template,
    /// The column that holds the key.
    column: &'static str,
    key: String,
    is_digest: bool,
    args: Vec<Arg>,
    read: R,
}

impl<R> KeyCall<R> {
    /// `rest` are the arguments after the key.
    pub(super) fn new<const N: usize>(
        place: &Arc<Place>,
        statement: &'static Template,
        column: &'static str,
        key: String,
        rest: [Arg; N],
        read: R,
    ) -> Self {
        let args = std::iter::once(Arg::Text(None)).chain(rest).collect();
        Self { place: place.clone(), statement, column, key, is_digest: false, args, read }
    }
}

impl<T, R> Call for KeyCall<R>
where
    T: Send + 'static,
    R: FnMut(Found<'_>) -> Result<Answer<T>, Error> + Send + 'static,
{
    type Output = T;

    fn bind(&mut self) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let stored = self.place.prefix.stored(&self.key, shape.max_chars(self.column));
        self.is_digest = stored.is_digest;
        self.args[0] = Arg::text(stored.text);
        shape.statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<T>, Error> {
        let outcome = (self.read)(Found { place: &self.place, rows, is_digest: self.is_digest });
        self.place.name_row(outcome)
    }
}

/// What the server has answered to a call.
pub(super) struct Found<'a> {
    pub(super) place: &'a Place,
    pub(super) rows: &'a [Row],
    /// Whether the key is stored as a digest.
    pub(super) is_digest: bool,
}

impl Found<'_> {
    /// The value of a row, without what was stored beside it.
    pub(super) fn value(&self, row: &Row, at: usize) -> Result<Value, Error> {
        let stored = self.place.json(row, at, "value")?;
        Ok(Value::new(if self.is_digest { without_key(stored) } else { stored }))
    }
}

/// A call that names no key.
pub(super) struct PlainCall<T> {
    pub(super) place: Arc<Place>,
    pub(super) statement: &'static Template,
    pub(super) args: Vec<Arg>,
    pub(super) read: fn(&[Row]) -> Result<T, Error>,
}

impl<T: Send + 'static> Call for PlainCall<T> {
    type Output = T;

    fn bind(&mut self) -> Arc<Statement> {
        self.place.table.shape().statement(self.statement)
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<T>, Error> {
        self.place.name_row((self.read)(rows)).map(Answer::Done)
    }
}

/// Of a call that has no output.
pub(super) fn nothing(_: Found<'_>) -> Result<Answer<()>, Error> {
    Ok(Answer::Done(()))
}

/// Whether the statement gave a row for this call.
pub(super) fn any_row(found: Found<'_>) -> Result<Answer<bool>, Error> {
    Ok(Answer::Done(!found.rows.is_empty()))
}

/// What the row of this call says, if the statement gave one.
pub(super) fn one_row<T>(
    read: fn(&Found<'_>, &Row) -> Result<T, Error>,
) -> impl Fn(Found<'_>) -> Result<Answer<Option<T>>, Error> {
    move |found| {
        let row = found.rows.first();
        row.map(|row| read(&found, row)).transpose().map(Answer::Done)
    }
}
