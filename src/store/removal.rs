//! Deletes that report what they have deleted.

use super::call::Found;
use super::cells::Cells;
use super::template::{Template, one_or_many};
use super::value::Value;
use crate::engine::{Answer, Error, Kind};

/// Which rows: see [`DELETE_BY_KEY`](super::template::DELETE_BY_KEY), of which these statements differ only in their
/// answer.
macro_rules! delete {
    ($returning:expr) => {
        one_or_many!(
            "\nDELETE FROM {table} WHERE ",
            one: "key = $1",
            many: r#"key = ANY (ARRAY(
  SELECT key FROM {table} WHERE key = ANY ($1) ORDER BY key COLLATE "C" FOR UPDATE))"#,
            concat!("\nRETURNING key::text, coalesce(expires_at > {now:expires_at}, true)", $returning, "{relaxed}"),
            &[Kind::Text],
        )
    };
}

/// Deletes the row and returns whether it was a live entry.
///
/// Of N concurrent callers one deletes the row. The others wait for it, and find it gone. `RETURNING` is evaluated when
/// the row is locked, on the version that is deleted: so the clock that decides whether the entry was live is read after
/// any wait, also if the wait was for a transaction that only locked the row. A row that is not live is deleted as well: an
/// expired one is of no use, and a mark of a computation that is under way must go, as with every delete (see
/// [`super::computing`]).
pub(super) static REMOVE: Template = delete!("");

/// As [`REMOVE`], and returns the value. So of N concurrent callers, exactly one gets it.
pub(super) static TAKE: Template = delete!(", value::text");

/// Whether a live entry was deleted.
pub(super) fn was_live(found: Found<'_>) -> Result<Answer<bool>, Error> {
    let is_live = found.rows.first().map(|row| row.cell(1)).transpose()?;
    Ok(Answer::Done(is_live.unwrap_or(false)))
}

/// The value, if the entry was live.
pub(super) fn taken(found: Found<'_>) -> Result<Answer<Option<Value>>, Error> {
    match found.rows.first() {
        Some(row) if row.cell(1)? => found.value(row, 2).map(Some).map(Answer::Done),
        _ => Ok(Answer::Done(None)),
    }
}
