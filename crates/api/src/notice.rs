//! What a node tells a stream beside messages and traces, in responses of type `Unknown`, if the
//! stream asked for it: what it lost, and what was not published. A proxy tells its clients what they
//! lost in the same form, of messages alone.

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

/// The longest notice of lost messages, in bytes: three numbers with their names.
const LOST_BYTES_MAX: usize = 256;

/// What both have in common.
#[derive(Deserialize)]
struct Told {
    lost: LostMessages,
}

#[derive(Deserialize)]
struct LostMessages {
    messages: u64,
}

/// Returns the frame with which a proxy tells a client how many messages it lost.
pub fn lost_messages_json(messages: u64) -> String {
    format!(r#"{{"lost":{{"messages":{messages}}}}}"#)
}

/// Returns how many messages were lost, if that is what a frame of a proxy or a notice of a node says.
pub fn lost_messages(json: &[u8]) -> Option<u64> {
    // Every delivery is looked at; long ones are not read for it.
    if json.len() > LOST_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(json).ok().map(|Told { lost }| lost.messages)
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
    fn lost_messages_are_read_from_a_proxys_frame_and_from_a_nodes_notice() {
        assert_eq!(lost_messages_json(7), r#"{"lost":{"messages":7}}"#);
        assert_eq!(lost_messages(lost_messages_json(u64::MAX).as_bytes()), Some(u64::MAX));
        let lost = Notice::Lost { answers: u64::MAX, messages: 3, traces: u64::MAX };
        assert_eq!(lost_messages(&lost.to_json()), Some(3));
        for other in [&b"lost"[..], br#"{"lost":7}"#, br#"{"message":"aGk=","topic":"t"}"#] {
            assert_eq!(lost_messages(other), None);
        }
    }

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
