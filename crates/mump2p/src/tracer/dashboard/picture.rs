//! The tracer's picture as it is shown.

use std::cmp::Ordering;

use api::tracer::{Message, Snapshot};
use jiff::Timestamp;

use crate::plain_text::plain;

/// Characters of a name that are kept.
const NAME_CHARS_MAX: usize = 256;

/// What is shown of a picture: figures, and the messages that took longest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Picture {
    pub(super) algorithm: String,
    pub(super) active_nodes: u64,
    pub(super) unhealthy_nodes: u64,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) duplicates: u64,
    pub(super) average_ms: f64,
    pub(super) p75_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) moved_bytes: u64,
    pub(super) ideal_bytes: u64,
    /// Moved over ideal.
    pub(super) bloat: f64,
    /// None where the proxy wrote no time.
    pub(super) updated: Option<Timestamp>,
    pub(super) window_seconds: u64,
    /// Messages in the window.
    pub(super) messages: usize,
    /// The slowest of them, slowest first; those that nodes still lack come last.
    pub(super) rows: Vec<Row>,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) topic: String,
    /// From publish to the last node; none while nodes lack it.
    pub(super) delay_ms: Option<f64>,
    /// Nodes that have it.
    pub(super) peers: usize,
    pub(super) moved_bytes: u64,
    pub(super) delivered: Option<Timestamp>,
    pub(super) published: Option<Timestamp>,
}

impl Picture {
    /// Takes what is shown out of a snapshot: at most `rows_max` of its messages.
    pub(super) fn new(snapshot: &Snapshot, rows_max: usize) -> Self {
        let mut slowest: Vec<_> = snapshot.messages.iter().collect();
        slowest.sort_by(|(a_id, a), (b_id, b)| slower(a, b).then_with(|| a_id.cmp(b_id)));
        let rows = slowest.iter().take(rows_max).map(|(_, message)| Row::new(message)).collect();
        Self {
            algorithm: plain(&snapshot.algorithm, NAME_CHARS_MAX),
            active_nodes: snapshot.active_nodes,
            unhealthy_nodes: snapshot.unhealthy_nodes,
            published: snapshot.published_messages,
            delivered: snapshot.delivered_messages,
            duplicates: snapshot.duplicate_messages,
            average_ms: snapshot.average_delay_seconds * 1e3,
            p75_ms: snapshot.p75 * 1e3,
            p95_ms: snapshot.p95 * 1e3,
            moved_bytes: snapshot.total_bytes_moved,
            ideal_bytes: snapshot.ideal_byte_complexity,
            bloat: snapshot.bloat_factor,
            updated: snapshot.last_updated.parse().ok(),
            window_seconds: snapshot.window_seconds,
            messages: snapshot.messages.len(),
            rows,
        }
    }
}

/// Slower first, then newer first.
fn slower(a: &Message, b: &Message) -> Ordering {
    b.delay_sec.total_cmp(&a.delay_sec).then_with(|| b.published.cmp(&a.published))
}

impl Row {
    fn new(message: &Message) -> Self {
        Self {
            topic: plain(&message.topic, NAME_CHARS_MAX),
            delay_ms: (message.delay_sec > 0.0).then_some(message.delay_sec * 1e3),
            peers: message.peers_seen.len(),
            moved_bytes: message.bytes_moved,
            delivered: message.delivered.parse().ok(),
            published: message.published.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, delay_sec: f64, published: &str) -> (String, Message) {
        let (published, topic) = (published.to_owned(), topic.to_owned());
        (topic.clone(), Message { delay_sec, published, topic, ..Message::default() })
    }

    #[test]
    fn the_slowest_come_first_and_those_that_nodes_lack_last_newest_first() {
        let messages = [
            message("waiting", 0.0, "2026-01-01T00:00:05Z"),
            message("waiting and newer", 0.0, "2026-01-01T00:00:06Z"),
            message("quick", 0.002, "2026-01-01T00:00:03Z"),
            message("slow", 0.9, "no time"),
        ];
        let snapshot = Snapshot { messages: messages.into(), ..Snapshot::default() };
        let picture = Picture::new(&snapshot, 3);
        let topics: Vec<_> = picture.rows.iter().map(|row| row.topic.as_str()).collect();
        assert_eq!(topics, ["slow", "quick", "waiting and newer"]);
        assert_eq!(picture.messages, 4);
        assert_eq!(picture.rows[0].delay_ms, Some(900.0));
        assert_eq!((picture.rows[2].delay_ms, picture.rows[0].published), (None, None));
    }

    #[test]
    fn names_from_the_proxy_hold_nothing_that_a_terminal_acts_upon() {
        let snapshot = Snapshot {
            algorithm: "\u{1b}[2J".to_owned(),
            messages: [message("\u{9b}31m", 0.1, "")].into(),
            ..Snapshot::default()
        };
        let picture = Picture::new(&snapshot, 12);
        assert_eq!(picture.algorithm, "\u{fffd}[2J");
        assert_eq!(picture.rows[0].topic, "\u{fffd}31m");
    }
}
