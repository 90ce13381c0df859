//! The outputs of the store's operations as JSON text: what `lib/` gets from each call.

use serde_json::Value as Json;

use super::json::{self, Object, list, number, time};
use crate::store::{
    Circuit, Entry, Grant, Holder, Key, Observed, Page, Remembered, Report, SavedCheckpoint, Seen, Value,
    Version, WaitEnd,
};

/// No value: `undefined`, for which JSON has no word.
pub(super) const UNDEFINED: &str = "";

const NULL: &str = "null";

pub(super) trait Output {
    /// What stands for the absence of such an output.
    const NONE: &str = UNDEFINED;

    fn json(self) -> String;
}

impl<T: Output> Output for Option<T> {
    fn json(self) -> String {
        self.map_or_else(|| T::NONE.into(), T::json)
    }
}

impl Output for () {
    fn json(self) -> String {
        NULL.into()
    }
}

impl Output for bool {
    fn json(self) -> String {
        self.to_string()
    }
}

impl Output for String {
    fn json(self) -> String {
        json::string(&self)
    }
}

impl Output for i64 {
    fn json(self) -> String {
        self.to_string()
    }
}

/// Of code in this wing.
impl Output for Json {
    fn json(self) -> String {
        self.to_string()
    }
}

impl Output for Value {
    fn json(self) -> String {
        self.into_json()
    }
}

impl Output for Vec<bool> {
    fn json(self) -> String {
        list(self.into_iter().map(bool::json))
    }
}

/// Each value in a list of its own, with 0 for a miss: a value may be anything else.
impl Output for Vec<Option<Value>> {
    fn json(self) -> String {
        let item = |value: Option<Value>| {
            value.map_or_else(|| "0".into(), |value| ["[", value.as_json(), "]"].concat())
        };
        list(self.into_iter().map(item))
    }
}

impl Output for Key {
    fn json(self) -> String {
        match self {
            Self::Text(text) => json::string(&text),
            Self::Literal(literal) => literal,
        }
    }
}

impl Output for Vec<Key> {
    fn json(self) -> String {
        list(self.into_iter().map(Key::json))
    }
}

/// `{ keys, end? }`
impl Output for Page {
    fn json(self) -> String {
        let end = self.end.as_deref().map(json::string);
        Object::new().raw("keys", self.keys.json()).optional("end", end).end()
    }
}

/// `{ value, expiresAt? }`
impl Output for Entry {
    fn json(self) -> String {
        Object::new().raw("value", self.value.as_json()).optional("expiresAt", time(self.expires_at)).end()
    }
}

/// `[value, isStale]`
impl Output for Seen {
    fn json(self) -> String {
        format!("[{},{}]", self.value.as_json(), self.is_stale)
    }
}

/// `[value, isStale, version]`
impl Output for Observed {
    fn json(self) -> String {
        let Seen { value, is_stale } = self.seen;
        format!("[{},{is_stale},{}]", value.as_json(), self.version.json())
    }
}

impl Output for Version {
    fn json(self) -> String {
        json::string(self.as_str())
    }
}

/// `{ value, fingerprint? }`
impl Output for Remembered {
    fn json(self) -> String {
        Object::new()
            .raw("value", self.value.as_json())
            .optional("fingerprint", self.fingerprint.as_deref().map(json::string))
            .end()
    }
}

/// `token,owner` in one string, the token empty if there is none: one short string crosses faster than an object.
impl Output for Grant {
    const NONE: &str = NULL;

    fn json(self) -> String {
        json::string(&match self.token {
            Some(token) => format!("{token},{}", self.owner),
            None => format!(",{}", self.owner),
        })
    }
}

/// As [`Grant`], or `{ granted, permit }` with that; `{ holder }` when the time is up, with null if no holder was seen; null
/// if the wait was given up.
impl Output for WaitEnd {
    fn json(self) -> String {
        match self {
            Self::Granted(grant @ Grant { permit: Some(permit), .. }) => {
                Object::new().raw("permit", permit).raw("granted", grant.json()).end()
            }
            Self::Granted(grant) => grant.json(),
            Self::TimedOut { holder } => {
                let holder = holder.map_or_else(|| NULL.into(), |holder| json::string(&holder));
                Object::new().raw("holder", holder).end()
            }
            Self::GivenUp => NULL.into(),
        }
    }
}

/// `{ owner, expiresAt }`
impl Output for Holder {
    const NONE: &str = NULL;

    fn json(self) -> String {
        Object::new().string("owner", &self.owner).raw("expiresAt", self.expires_at).end()
    }
}

impl Output for Vec<Holder> {
    fn json(self) -> String {
        list(self.into_iter().map(Holder::json))
    }
}

/// `{ state, failureCount, lastFailureTime?, lastSuccessTime? }`
impl Output for Circuit {
    const NONE: &str = NULL;

    fn json(self) -> String {
        Object::new()
            .string("state", self.state.name())
            .raw("failureCount", self.failure_count)
            .optional("lastFailureTime", time(self.last_failure_time))
            .optional("lastSuccessTime", time(self.last_success_time))
            .end()
    }
}

/// `{ id, taskId, sequence, timestamp, progress, data, estimatedTimeRemaining? }`
impl Output for SavedCheckpoint {
    fn json(self) -> String {
        Object::new()
            .with_room(256 + self.data.as_json().len())
            .raw("id", self.id.json())
            .raw("taskId", self.task_id.json())
            .raw("sequence", self.sequence)
            .raw("timestamp", self.timestamp)
            .raw("progress", number(self.progress))
            .raw("data", self.data.as_json())
            .optional("estimatedTimeRemaining", self.estimated_time_remaining)
            .end()
    }
}

impl Output for Vec<SavedCheckpoint> {
    fn json(self) -> String {
        list(self.into_iter().map(SavedCheckpoint::json))
    }
}

impl Output for Report {
    const NONE: &str = NULL;

    fn json(self) -> String {
        self.into_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CircuitState, Token};

    #[test]
    fn absence_is_null_or_undefined_by_the_output() {
        assert_eq!(None::<Value>.json(), UNDEFINED);
        assert_eq!(None::<SavedCheckpoint>.json(), UNDEFINED);
        assert_eq!([None::<Grant>.json(), None::<Circuit>.json(), None::<Holder>.json()], [NULL; 3]);
        assert_eq!(None::<Report>.json(), NULL);
    }

    #[test]
    fn a_lock_crosses_as_token_and_owner() {
        let owner = "a \"name\", of mine".to_owned();
        let grant = Grant { owner, token: Token::parse("4096"), permit: None, is_marked: false };
        assert_eq!(
            WaitEnd::Granted(Grant { permit: Some(2), ..grant.clone() }).json(),
            r#"{"permit":2,"granted":"4096,a \"name\", of mine"}"#
        );
        assert_eq!(grant.clone().json(), r#""4096,a \"name\", of mine""#);
        assert_eq!(WaitEnd::Granted(Grant { token: None, ..grant }).json(), r#"",a \"name\", of mine""#);
        assert_eq!(WaitEnd::TimedOut { holder: None }.json(), r#"{"holder":null}"#);
        assert_eq!(WaitEnd::TimedOut { holder: Some("x".into()) }.json(), r#"{"holder":"x"}"#);
        assert_eq!(WaitEnd::GivenUp.json(), NULL);
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let circuit = Circuit {
            state: CircuitState::HalfOpen,
            failure_count: 3,
            last_failure_time: Some(f64::INFINITY),
            last_success_time: Some(1e12),
        };
        assert_eq!(
            circuit.json(),
            r#"{"state":"half-open","failureCount":3,"lastSuccessTime":1000000000000.0}"#
        );
    }

    #[test]
    fn a_key_that_is_no_text_crosses_as_its_literal() {
        let keys = vec![Key::Text("a\"b".into()), Key::Literal(r#""\ud800""#.into())];
        assert_eq!(keys.json(), r#"["a\"b","\ud800"]"#);
    }
}
