//! What a node tells a stream beside messages and traces, in responses of type `Unknown`, if the
//! stream asked for it: what it lost, and what was not published.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Something a stream is told. Written as an object with one key, the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The stream read too slowly, and so many were given up since it was last told.
    Lost {
        /// Answers to publishes.
        answers: u64,
        /// Messages.
        messages: u64,
        /// Trace events.
        traces: u64,
    },
    /// A message that the stream sent is not published.
    Refused {
        /// Why, for people.
        error: String,
        /// SHA-256 of its payload, lower-case hexadecimal.
        message_id: String,
        /// The same reason, for programs: `empty`, `too_large` or `topics_full`.
        reason: String,
    },
}

impl Notice {
    /// Writes compact JSON, keys in alphabetical order.
    pub fn to_json(&self) -> Bytes {
        serde_json::to_vec(self).expect("text keys and plain values").into()
    }

    /// Reads what [`Notice::to_json`] writes.
    ///
    /// # Errors
    ///
    /// Returns an error for anything else.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_objects_with_their_kind_as_the_only_key() {
        let [error, message_id, reason] = ["too long", "00ff", "too_large"].map(str::to_owned);
        for (notice, json) in [
            (
                Notice::Lost { answers: 0, messages: 3, traces: 120 },
                r#"{"lost":{"answers":0,"messages":3,"traces":120}}"#,
            ),
            (
                Notice::Refused { error, message_id, reason },
                r#"{"refused":{"error":"too long","message_id":"00ff","reason":"too_large"}}"#,
            ),
        ] {
            assert_eq!(notice.to_json(), json);
            assert_eq!(Notice::from_json(json.as_bytes()).expect("own JSON"), notice);
        }
        assert!(Notice::from_json(b"{}").is_err());
    }
}
