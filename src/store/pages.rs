//! Keys in pages: in the order of an index, at most so many at a time, each page after the last key of the one before.
//!
//! First come the keys that are stored as they are, then those that are stored as digests. So a page reads each part of
//! the index once, in the index's order, and sorts nothing.

use std::sync::Arc;

use super::cells::Cells;
use super::digested::{is_string, json_literal, told_by};
use super::keys::{Key, MARKER, malformed};
use super::place::Place;
use super::template::Template;
use crate::engine::{Answer, Arg, Call, Error, Row, Statement};

/// Which keys.
pub struct PageRequest {
    /// The text that the keys begin with, as the caller knows them. It is data, never a pattern.
    pub prefix: String,
    /// How many at most; none for all.
    pub limit: Option<i64>,
    pub after: Option<After>,
}

/// Where the page before ended.
pub enum After {
    /// At a key, as the caller knows it.
    Key(String),
    /// At a key as it is stored: [`Page::end`].
    Stored(String),
}

pub struct Page {
    pub keys: Vec<Key>,
    /// The last key as it is stored; none of an empty page. The original of a digest may be unknown.
    pub end: Option<String>,
}

/// The statements of pages of one kind.
///
/// * `$1` is the text before digests, `$2` the wanted prefix, `$3` its JSON literal without the last quotation mark.
/// * `$4` is the limit. `$5` is the digested key after which the page begins, as it is stored.
/// * `$6` is the wanted prefix as it is stored, and `$7` the plain key after which the page begins.
pub(super) struct PageStatements {
    /// Plain keys, then digests.
    pub(super) all: Template,
    /// For a page that begins among the digests: without `$6` and `$7`.
    pub(super) digests: Template,
}

/// The plain keys of a page: a sub-select that is in brackets. `$key` is the column, `$select` begins the sub-select, and
/// `$also` is a further condition.
///
/// `key >= coalesce(…)` can bound the scan of the index in a plan for any parameters, as `$7 IS NULL OR …` could not. No
/// text is before the empty one.
macro_rules! plain_keys {
    ($select:literal, $key:literal, $also:expr) => {
        concat!(
            "(",
            $select,
            " ",
            $key,
            " AS key, false AS is_digest, NULL::text AS name, NULL::text AS literal
      FROM {table}
     WHERE starts_with(",
            $key,
            ", $6) AND NOT starts_with(",
            $key,
            ", $1)
       AND ",
            $key,
            " >= coalesce($7, '') AND ",
            $key,
            " IS DISTINCT FROM $7",
            $also,
            "
     ORDER BY ",
            $key,
            " LIMIT $4)"
        )
    };
}
pub(super) use plain_keys;

/// As [`plain_keys`], the digests. `$name` and `$literal` are what the row knows of the original: its text, or its JSON
/// literal. A row that does not know it goes by its stored key. `$or` is what counts in place of the wanted prefix.
macro_rules! digested_keys {
    ($select:literal, $key:literal, $name:literal, $literal:literal, $also:expr, $or:literal) => {
        concat!(
            "(",
            $select,
            " ",
            $key,
            " AS key, true AS is_digest, ",
            $name,
            " AS name, ",
            $literal,
            " AS literal
      FROM {table}
     WHERE starts_with(",
            $key,
            ", $1) AND ",
            $key,
            " >= coalesce($5, '') AND ",
            $key,
            " IS DISTINCT FROM $5",
            $also,
            "
       AND (CASE WHEN ",
            $literal,
            " IS NOT NULL THEN starts_with(",
            $literal,
            ", $3)
                 ELSE starts_with(coalesce(",
            $name,
            ", substr(",
            $key,
            ", length($1) - 1)), $2) END",
            $or,
            ")
     ORDER BY ",
            $key,
            " LIMIT $4)"
        )
    };
}
pub(super) use digested_keys;

/// A call for a page, or about its rows.
pub(super) struct PageCall<T> {
    place: Arc<Place>,
    statements: &'static PageStatements,
    /// The column that holds the keys.
    column: &'static str,
    request: PageRequest,
    args: Vec<Arg>,
    read: fn(&Place, &str, &[Row]) -> Result<T, Error>,
    /// The text before digests.
    before_digests: String,
}

impl<T> PageCall<T> {
    /// `read` gets the text before digests, and the rows.
    pub(super) fn new(
        place: &Arc<Place>,
        statements: &'static PageStatements,
        column: &'static str,
        request: PageRequest,
        read: fn(&Place, &str, &[Row]) -> Result<T, Error>,
    ) -> Self {
        let before_digests = String::new();
        Self { place: place.clone(), statements, column, request, args: Vec::new(), read, before_digests }
    }
}

impl<T: Send + 'static> Call for PageCall<T> {
    type Output = T;

    fn bind(&mut self) -> Arc<Statement> {
        let shape = self.place.table.shape();
        let (prefix, max_chars) = (&self.place.prefix, shape.max_chars(self.column));
        self.before_digests = prefix.before_digests(max_chars);
        let PageRequest { prefix: wanted, limit, after } = &self.request;
        let after = match after {
            None => None,
            Some(After::Stored(stored)) => Some((stored.clone(), stored.starts_with(&self.before_digests))),
            Some(After::Key(key)) => {
                let stored = prefix.stored(key, max_chars);
                Some((stored.text, stored.is_digest))
            }
        };
        // Only a key that UTF-8 cannot hold begins with a prefix that it cannot hold: a digest, which has a literal.
        let (text, literal) = match malformed(wanted) {
            Some((_, literal)) => (None, literal.to_owned()),
            None => (Some(wanted.as_str()), json_literal(wanted)),
        };
        let literal = literal.strip_suffix('"').unwrap_or(&literal);
        let first =
            [Arg::text(self.before_digests.as_str()), Arg::Text(text.map(str::to_owned)), Arg::text(literal)];
        self.args = first.into_iter().chain([Arg::Int(*limit)]).collect();
        match after {
            Some((stored, true)) => {
                self.args.push(Arg::text(stored));
                shape.statement(&self.statements.digests)
            }
            after => {
                let plain = Arg::Text(text.map(|text| format!("{}{text}", prefix.as_str())));
                self.args.extend([Arg::Text(None), plain, Arg::Text(after.map(|(stored, _)| stored))]);
                shape.statement(&self.statements.all)
            }
        }
    }

    fn args(&self) -> &[Arg] {
        &self.args
    }

    fn read(&mut self, rows: &[Row]) -> Result<Answer<T>, Error> {
        let outcome = (self.read)(&self.place, &self.before_digests, rows);
        self.place.name_row(outcome).map(Answer::Done)
    }
}

/// The page of rows that have the stored key, whether it is a digest, and the original's text and JSON literal.
pub(super) fn read_page(place: &Place, before_digests: &str, rows: &[Row]) -> Result<Page, Error> {
    let key = |row: &Row| {
        let stored: &str = row.cell(0)?;
        if !row.cell::<bool>(1)? {
            return Ok(Key::new(stored.strip_prefix(place.prefix.as_str()).unwrap_or(stored)));
        }
        let tail = &stored[before_digests.len().saturating_sub(MARKER.len()).min(stored.len())..];
        let original = match (row.cell::<Option<&str>>(2)?, row.cell::<Option<&str>>(3)?) {
            (Some(name), literal) => told_by(tail, name, literal),
            (None, Some(literal)) if is_string(literal) => Some(Key::Literal(literal.to_owned())),
            _ => None,
        };
        Ok(original.unwrap_or_else(|| Key::new(tail)))
    };
    let end = rows.last().map(|row| row.cell::<&str>(0)).transpose()?.map(str::to_owned);
    Ok(Page { keys: rows.iter().map(key).collect::<Result<_, Error>>()?, end })
}
