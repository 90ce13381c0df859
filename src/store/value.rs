//! Values of applications.

/// A value that an application has stored: JSON text, as the server gave it. It crosses to JavaScript unchanged, so
/// that every number stays exact. Nothing in the store looks into it.
pub struct Value(String);

impl Value {
    pub(super) fn new(json: &str) -> Self {
        Self(json.to_owned())
    }

    pub fn as_json(&self) -> &str {
        &self.0
    }

    pub fn into_json(self) -> String {
        self.0
    }
}
