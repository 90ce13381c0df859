//! What a row holds beside its value if its key is stored as a digest: the key, so that it can be read back. This is
//! JSON because the value is. It is written for the table and read from it, and no caller sees it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::keys;

/// The object that is stored in place of a value. If UTF-8 cannot hold the key, the object has its JSON literal,
/// beside a similar text for patterns to match.
pub(super) fn with_key(key: &str, value: &str) -> String {
    match keys::malformed(key) {
        Some((likeness, literal)) => {
            format!(r#"{{"key":{},"literal":{},"value":{value}}}"#, text(likeness), text(literal))
        }
        None => format!(r#"{{"key":{},"value":{value}}}"#, text(key)),
    }
}

/// The value that [`with_key`] has wrapped.
pub(super) fn without_key(stored: &str) -> &str {
    #[derive(Deserialize)]
    struct Keyed<'a> {
        #[serde(borrow)]
        value: &'a RawValue,
    }
    serde_json::from_str::<Keyed<'_>>(stored).map_or(stored, |keyed| keyed.value.get())
}

/// The key whose digest a stored key ends with, given what [`with_key`] put beside its
/// value. None if the stored key is not the digest of that key, but a row that another application has made.
pub(super) fn told_by(tail: &str, key: &str, literal: Option<&str>) -> Option<keys::Key> {
    match literal {
        Some(literal) if is_string(literal) => {
            (keys::digest(&format!("{0}{key}{0}{literal}", keys::MALFORMED)) == tail)
                .then(|| keys::Key::Literal(literal.to_owned()))
        }
        Some(_) => None,
        None => (keys::digest(key) == tail).then(|| keys::Key::new(key)),
    }
}

/// A checkpoint's data beside the JSON literals of its id and task id, if one of them is stored as a digest.
#[derive(Serialize, Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "taskId")]
    task: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The object that is stored in place of a checkpoint's data.
pub(super) fn with_ids(id: &str, task: &str, data: &str) -> String {
    let identified = |data| serde_json::to_string(&Identified { id: literal(id), task: literal(task), data });
    serde_json::from_str(data).and_then(identified).unwrap_or_else(|_| data.to_owned())
}

/// Id, task id and data that [`with_ids`] has put together; none if another application has written the row.
pub(super) fn without_ids(stored: &str) -> Option<(String, String, &str)> {
    let Identified { id, task, data } = serde_json::from_str(stored).ok()?;
    (is_string(&id) && is_string(&task)).then(|| (id.into_owned(), task.into_owned(), data.get()))
}

/// Whether this text is a JSON string and nothing else. It comes out of a row that another application may have
/// written, and is about to be parsed with the results of other calls.
pub(super) fn is_string(text: &str) -> bool {
    text.starts_with('"') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The JSON literal of a text, as [`with_ids`] and JavaScript write it.
pub(super) fn json_literal(given: &str) -> String {
    text(given)
}

/// The JSON literal of a key.
fn literal(key: &str) -> Cow<'_, str> {
    match keys::malformed(key) {
        Some((_, literal)) => Cow::Borrowed(literal),
        None => Cow::Owned(text(key)),
    }
}

fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}
