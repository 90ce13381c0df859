//! What JavaScript receives from native code, and its text.

use std::fmt::Write;

use super::questions::Question;
use crate::engine::Error;

/// What JavaScript receives from a drain.
pub(super) enum Message {
    /// `[0, slot, value]`: a call has succeeded; `[3, slot, 0]`: without a value.
    Resolved { slot: u32, json: String },
    /// `[1, slot, error]`: a call has failed.
    Rejected { slot: u32, error: Error },
    /// `[2, id, question]`: describe how to connect, or look at a new session.
    Asked { id: u32, question: Question },
    /// `[4, subscription, value]`: there is a notification for the subscriber.
    Notified { subscription: u32, json: String },
}

impl Message {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Resolved { json, .. } | Self::Notified { json, .. } => json.len() + 16,
            Self::Rejected { .. } => 256,
            Self::Asked { question: Question::Crypto { .. }, .. } => 8192,
            Self::Asked { .. } => 32,
        }
    }

    pub(super) fn write(&self, text: &mut String) {
        let _ = match self {
            Self::Resolved { slot, json } if json.is_empty() => write!(text, "3,{slot},0"),
            Self::Resolved { slot, json } => write!(text, "0,{slot},{json}"),
            Self::Rejected { slot, error } => {
                let error = serde_json::to_string(error)
                    .unwrap_or_else(|error| format!("{{\"kind\":\"other\",\"message\":\"{error}\"}}"));
                write!(text, "1,{slot},{error}")
            }
            Self::Notified { subscription, json } => write!(text, "4,{subscription},{json}"),
            Self::Asked { id, question } => write!(text, "2,{id},{}", question.json()),
        };
    }
}
