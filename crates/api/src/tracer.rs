//! The tracer's picture of the last seconds, as a proxy answers `GET /api/v1/tracer/stream` (the
//! contract, section 2.2.5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What passed in a window of time. Who reads it takes what is missing for empty or 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Snapshot {
    /// Nodes that are connected.
    pub active_nodes: u64,
    /// The mode of the nodes: optimum or gossipsub.
    pub algorithm: String,
    /// From publish to the last of the nodes, over messages that all of them reported.
    pub average_delay_seconds: f64,
    /// Bytes moved, over what one copy for each node would be.
    pub bloat_factor: f64,
    /// Messages that every node reported.
    pub delivered_messages: u64,
    /// Times that clients published a message again.
    pub duplicate_messages: u64,
    /// One copy of each message for each active node, in bytes.
    pub ideal_byte_complexity: u64,
    /// RFC 3339.
    pub last_updated: String,
    /// By message id.
    pub messages: BTreeMap<String, Message>,
    /// Of the delays, in seconds.
    pub p75: f64,
    /// Of the delays, in seconds.
    pub p95: f64,
    /// Messages that clients of this proxy published.
    pub published_messages: u64,
    /// Bytes of payloads that nodes reported: one copy for each node that has the message.
    pub total_bytes_moved: u64,
    /// Nodes that are not connected.
    pub unhealthy_nodes: u64,
    /// How long the window is.
    pub window_seconds: u64,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Message {
    /// One copy of the payload for each node that has it.
    pub bytes_moved: u64,
    /// From publish to the last node; 0 while nodes are missing.
    pub delay_sec: f64,
    /// RFC 3339: the last node so far, or when it was first known.
    pub delivered: String,
    /// Times that it was published again.
    pub duplicates: u64,
    /// By the address of the node.
    #[expect(clippy::zero_sized_map_values, reason = "the form of the page: an object each")]
    pub peers_seen: BTreeMap<String, Peer>,
    /// RFC 3339: when a client of this proxy published it, or when it was first known.
    pub published: String,
    /// Which topic.
    pub topic: String,
}

/// A node that has a message; nothing is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Peer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_as_it_is_written() {
        let message = Message {
            delay_sec: 0.25,
            peers_seen: std::iter::once(("a:1".to_owned(), Peer {})).collect(),
            topic: "t".to_owned(),
            ..Message::default()
        };
        let messages = BTreeMap::from([("aa".to_owned(), message)]);
        let picture = Snapshot { active_nodes: 2, p95: 0.5, messages, ..Snapshot::default() };
        let written = serde_json::to_string(&picture).expect("plain");
        assert!(written.contains(r#""peers_seen":{"a:1":{}}"#), "{written}");
        assert!(written.contains(r#""active_nodes":2,"#), "no fraction: {written}");
        assert_eq!(serde_json::from_str::<Snapshot>(&written).expect("of ours"), picture);
    }

    #[test]
    fn what_is_missing_is_nothing_and_what_is_not_known_is_ignored() {
        let picture: Snapshot = serde_json::from_str(
            r#"{"active_nodes":1,"messages":{"m":{"peers_seen":{"a":{"x":1}}}},"new":[]}"#,
        )
        .expect("lenient");
        assert_eq!(picture.active_nodes, 1);
        assert_eq!(picture.messages["m"].peers_seen.len(), 1);
    }
}
