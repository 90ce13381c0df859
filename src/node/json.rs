//! Writes JSON. Values that applications have stored pass through as the text that the server gave.

use std::fmt::{Display, Write};

/// Builds the text of one object, field by field.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// With room for this many bytes, so that a long value is copied once.
    pub(super) fn with_room(mut self, bytes: usize) -> Self {
        self.0.reserve(bytes);
        self
    }

    /// A field whose value is JSON text already.
    pub(super) fn raw(mut self, name: &str, json: impl Display) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{name}\":{json}");
        self
    }

    pub(super) fn string(self, name: &str, value: &str) -> Self {
        self.raw(name, string(value))
    }

    /// A field that is left out if there is no value.
    pub(super) fn optional(self, name: &str, json: Option<impl Display>) -> Self {
        match json {
            Some(json) => self.raw(name, json),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string as JSON.
pub(super) fn string(text: &str) -> String {
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

pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut list = String::from("[");
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            list.push(',');
        }
        list.push_str(&item);
    }
    list.push(']');
    list
}
