//! Keys as the tables hold them.
//!
//! A key is stored as `${keyPrefix}${namespace}${key}`, byte for byte as the pg-based adapter writes it. Some keys
//! cannot be stored so: a B-tree row holds about 2,700 bytes, an existing `VARCHAR(255)` column 255 characters, and
//! UTF-8 no lone surrogate. Such a key is stored as a digest of itself, after a marker. A key that itself begins with
//! the marker is digested too, so no plain key can be mistaken for a digest.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The beginning of a digest, after prefix and namespace. Digests are short (45 characters), for narrow columns.
pub(super) const MARKER: &str = "\u{1}#";

/// The size that fits a B-tree row of an 8 KiB page with room for a second column: the limit is 2,704 bytes with
/// headers.
const MAX_BYTES: usize = 2_600;

/// A prefix longer than this is itself stored as a digest, so that there is room for a digested key after it.
const MAX_PREFIX_BYTES: usize = 1_300;

/// JavaScript passes a key with lone surrogates as U+0000, the key with U+FFFD in their place, another U+0000, and
/// the key's JSON literal, in which they are escaped. No other key holds a U+0000.
pub(super) const MALFORMED: char = '\0';

/// The text before each key: `${keyPrefix}${namespace}`.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    usual: String,
    /// The text before digests instead, if a narrow column has no room for both.
    spare: String,
}

impl Prefix {
    pub(crate) fn new(key_prefix: &str, namespace: &str) -> Self {
        let spare = format!("{}{namespace}", digest(key_prefix));
        let is_storable = key_prefix.is_empty()
            || (key_prefix.len() <= MAX_PREFIX_BYTES
                && !key_prefix.starts_with(MALFORMED)
                // It would see, or be mistaken for, the prefixes that are stored as digests.
                && !key_prefix.starts_with(MARKER)
                && !MARKER.starts_with(key_prefix));
        let usual = if is_storable { format!("{key_prefix}{namespace}") } else { spare.clone() };
        Self { usual, spare }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.usual
    }

    pub(super) fn spare(&self) -> &str {
        &self.spare
    }

    /// The key as a column of at most `max_chars` characters holds it.
    pub(super) fn stored(&self, key: &str, max_chars: Option<usize>) -> Stored {
        let fits = |prefix: &str, key: &str| {
            prefix.len() + key.len() <= MAX_BYTES
                && max_chars.is_none_or(|max| prefix.chars().count() + key.chars().count() <= max)
        };
        if fits(&self.usual, key) && !key.starts_with(MALFORMED) && !key.starts_with(MARKER) {
            return Stored { text: [self.usual.as_str(), key].concat(), is_digest: false };
        }
        let key = digest(key);
        let prefix = if fits(&self.usual, &key) { &self.usual } else { &self.spare };
        Stored { text: format!("{prefix}{key}"), is_digest: true }
    }

    /// What each digest begins with in a column of this width.
    pub(super) fn before_digests(&self, max_chars: Option<usize>) -> String {
        let digested = self.stored(MARKER, max_chars).text;
        let length = digested.len() - (digest(MARKER).len() - MARKER.len());
        digested[..length].to_owned()
    }

    /// The key that a stored key was made of, unless that was a digest.
    pub(super) fn strip<'a>(&self, stored: &'a str) -> Option<&'a str> {
        let key = stored.strip_prefix(&self.usual).unwrap_or(stored);
        (!key.starts_with(MARKER)).then_some(key)
    }
}

pub(super) struct Stored {
    pub(super) text: String,
    pub(super) is_digest: bool,
}

/// A key as an application knows it.
pub enum Key {
    Text(String),
    /// The JSON literal of a key that UTF-8 may be unable to hold. It crosses to JavaScript unchanged.
    Literal(String),
}

impl Key {
    pub(super) fn new(key: &str) -> Self {
        match malformed(key) {
            Some((_, literal)) => Self::Literal(literal.to_owned()),
            None => Self::Text(key.to_owned()),
        }
    }
}

/// The similar text and the JSON literal of a key that UTF-8 cannot hold.
pub(super) fn malformed(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(MALFORMED)?.split_once(MALFORMED)
}

pub(super) fn digest(key: &str) -> String {
    format!("{MARKER}{}", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_key_is_stored_as_it_is() {
        let prefix = Prefix::new("app:", "lock:");
        let stored = prefix.stored("resource:1", None);
        assert_eq!((stored.text.as_str(), stored.is_digest), ("app:lock:resource:1", false));
        assert_eq!(prefix.strip(&stored.text), Some("resource:1"));
    }

    #[test]
    fn no_plain_key_collides_with_a_digest() {
        let prefix = Prefix::new("", "");
        let long = "x".repeat(5_000);
        let digested = prefix.stored(&long, None).text;
        let imposter = prefix.stored(&digested, None).text;
        assert_ne!(digested, imposter);
        assert_eq!(prefix.strip(&digested), None);
    }

    #[test]
    fn a_key_wider_than_its_column_is_digested() {
        let prefix = Prefix::new("p:", "");
        assert!(!prefix.stored(&"é".repeat(253), Some(255)).is_digest);
        assert!(prefix.stored(&"é".repeat(254), Some(255)).is_digest);
    }

    #[test]
    fn a_prefix_wider_than_its_column_is_digested_too() {
        for length in [200, 255, 300] {
            let prefix = Prefix::new(&"p".repeat(length), "cache:");
            assert!(prefix.stored("key of some length", Some(128)).text.chars().count() <= 128);
        }
    }

    #[test]
    fn every_digest_begins_with_the_same_text() {
        for (key_prefix, max_chars) in
            [("", None), ("app:", Some(64)), ("app:", Some(50)), ("a prefix", Some(255))]
        {
            let prefix = Prefix::new(key_prefix, "cache:");
            let before = prefix.before_digests(max_chars);
            assert!(before.ends_with(MARKER));
            let digested = prefix.stored(&"k".repeat(3_000), max_chars);
            assert!(digested.is_digest && digested.text.starts_with(&before), "{key_prefix}");
            assert!(!prefix.stored("plain", None).text.starts_with(&before));
        }
    }

    #[test]
    fn a_stored_key_always_fits_a_btree_row() {
        let prefix = Prefix::new(&"p".repeat(10_000), "circuit:");
        assert!(prefix.stored(&"k".repeat(10_000), None).text.len() <= MAX_BYTES);
        let prefix = Prefix::new(&"p".repeat(MAX_PREFIX_BYTES), "circuit:");
        assert!(prefix.stored(&"k".repeat(10_000), None).text.len() <= MAX_BYTES);
    }
}
