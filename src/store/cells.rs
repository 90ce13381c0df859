//! Columns of rows, read without trust: tables are used as they are found. They may hold unexpected values, such as a
//! NULL, a number that is not finite, or text in place of JSON. Such a row fails the calls that read it, with an
//! error that names table and column.

use serde::de::IgnoredAny;
use tokio_postgres::types::{FromSql, Type};

use super::place::Place;
use crate::engine::{Error, Row, Unreadable};

/// The table in an `Error::Row` until [`Place::name_row`] knows it.
const UNNAMED: String = String::new();

pub(super) trait Cells {
    /// The value of a column, by its place in the statement's list.
    fn cell<'a, T: FromSql<'a>>(&'a self, at: usize) -> Result<T, Error>;
    /// An integer, of a column that the statement writes as `{int:column}`.
    fn integer(&self, at: usize) -> Result<Option<i64>, Error>;
    /// A number, of a column that the statement writes as `{float:column}`.
    fn float(&self, at: usize) -> Result<f64, Error>;
    fn unreadable(&self, at: usize, problem: &str) -> Error;

    /// An integer that must be there.
    fn count(&self, at: usize) -> Result<i64, Error> {
        self.integer(at)?.ok_or_else(|| self.unreadable(at, NULL))
    }
}

const NULL: &str = "is NULL";

impl Cells for Row {
    fn cell<'a, T: FromSql<'a>>(&'a self, at: usize) -> Result<T, Error> {
        self.value(at).map_err(|error| match error {
            Unreadable::Null => self.unreadable(at, NULL),
            Unreadable::Otherwise(problem) => self.unreadable(at, &format!("cannot be read: {problem}")),
        })
    }

    fn integer(&self, at: usize) -> Result<Option<i64>, Error> {
        if *self.data_type(at) != Type::TEXT {
            return self.cell(at);
        }
        let Some(text) = self.cell::<Option<&str>>(at)? else { return Ok(None) };
        // NUMERIC(12, 2) has 7 as 7.00.
        let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
            if fraction.bytes().all(|digit| digit == b'0') { whole } else { text }
        });
        match whole.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.unreadable(at, "holds no integer of 64 bits")),
        }
    }

    fn float(&self, at: usize) -> Result<f64, Error> {
        let number = match *self.data_type(at) {
            Type::TEXT => self.cell::<&str>(at)?.parse().ok(),
            _ => Some(self.cell(at)?),
        };
        number.filter(|number: &f64| !number.is_nan()).ok_or_else(|| self.unreadable(at, "holds no number"))
    }

    fn unreadable(&self, at: usize, problem: &str) -> Error {
        Error::Row { table: UNNAMED, column: self.column_name(at), problem: problem.to_owned() }
    }
}

impl Place {
    /// A value as JSON text. It is about to be parsed together with the results of other calls, so text that is not
    /// JSON must not get there. The text is checked, unless the type of the table's `column` guarantees JSON.
    pub(super) fn json<'a>(&self, row: &'a Row, at: usize, column: &str) -> Result<&'a str, Error> {
        let text: &str = row.cell(at)?;
        let is_json = self.table.shape().holds_json(column);
        // An empty answer would be a miss.
        if (!is_json || text.is_empty()) && serde_json::from_str::<IgnoredAny>(text).is_err() {
            return Err(row.unreadable(at, "holds text that is not JSON"));
        }
        Ok(text)
    }

    /// Names the row's table in its error.
    pub(super) fn name_row<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        outcome.map_err(|error| match error {
            Error::Row { column, problem, .. } => {
                Error::Row { table: self.table.shape().name(), column, problem }
            }
            other => other,
        })
    }
}
