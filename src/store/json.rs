//! Builds JSON text from columns. Values pass through as the text that the server gave; nothing is parsed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::keys;

/// Builds the text of one object, field by field.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// A field whose value is JSON text already.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(json);
        self
    }

    /// A field that is left out if there is no value.
    pub(super) fn optional(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.raw(name, &value.to_string()),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Whether this text is a JSON string and nothing else. It comes out of a row that another application may have
/// written, and is about to be parsed with the results of other calls.
pub(super) fn is_string(text: &str) -> bool {
    text.starts_with('"') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// A string as JSON.
pub(super) fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

/// A time in milliseconds, unless it is infinite, which no caller of ours can have written.
pub(super) fn time(value: Option<f64>) -> Option<String> {
    value.filter(|value| value.is_finite()).map(number)
}

/// A number in a form that `JSON.parse` reads back exactly; an infinite one as a literal that it reads as such.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "1e999" } else { "-1e999" }.into();
    }
    serde_json::Number::from_f64(value).map_or_else(|| "null".into(), |number| number.to_string())
}

/// The object that is stored in place of a value whose key is stored as a digest, so that the key can be read back.
/// If UTF-8 cannot hold the key, the object has its JSON literal, beside a similar text for patterns to match.
pub(super) fn with_key(key: &str, value: &str) -> String {
    let object = match keys::malformed(key) {
        Some((likeness, literal)) => Object::new().raw("key", &text(likeness)).raw("literal", &text(literal)),
        None => Object::new().raw("key", &text(key)),
    };
    object.raw("value", value).end()
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

/// A checkpoint's data beside its id and task id, if one of them is stored as a digest.
#[derive(Serialize, Deserialize)]
pub(super) struct Identified<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, rename = "taskId")]
    pub(super) task: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
}
