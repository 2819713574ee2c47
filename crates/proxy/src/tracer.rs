//! The tracer's picture of the last seconds (the contract, section 2.2.5).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use api::tracer::{Message, Peer, Snapshot};
use broker::MessageId;

use crate::traffic::{Clock, Seen};

/// The nodes, for a picture.
pub(crate) struct Nodes<'a> {
    /// All addresses, in the order of their numbers.
    pub(crate) addresses: Vec<&'a str>,
    pub(crate) active: usize,
    pub(crate) algorithm: String,
}

/// Returns the picture of the last `window`, in which `recent` passed.
pub(crate) fn snapshot(
    recent: &[(MessageId, Seen)],
    clock: Clock,
    nodes: &Nodes<'_>,
    now: Instant,
    window: Duration,
) -> Snapshot {
    let mut delays = Vec::new();
    let mut messages = BTreeMap::new();
    let (mut published, mut duplicates, mut moved, mut ideal) = (0, 0, 0, 0);
    for (id, seen) in recent {
        let message = message(clock, nodes, seen);
        published += u64::from(seen.published.is_some());
        duplicates += seen.duplicates;
        moved += message.bytes_moved;
        ideal += seen.payload_bytes.unwrap_or(0) as u64 * nodes.active as u64;
        delays.extend(is_settled(seen, nodes).then_some(message.delay_sec));
        messages.insert(id.to_string(), message);
    }
    delays.sort_by(f64::total_cmp);
    Snapshot {
        active_nodes: nodes.active as u64,
        algorithm: nodes.algorithm.clone(),
        average_delay_seconds: average(&delays),
        bloat_factor: if ideal == 0 { 0.0 } else { moved as f64 / ideal as f64 },
        delivered_messages: delays.len() as u64,
        duplicate_messages: duplicates,
        ideal_byte_complexity: ideal,
        last_updated: rfc3339(clock.time_of_day(now)),
        messages,
        p75: percentile(&delays, 75),
        p95: percentile(&delays, 95),
        published_messages: published,
        total_bytes_moved: moved,
        unhealthy_nodes: (nodes.addresses.len() - nodes.active) as u64,
        window_seconds: window.as_secs(),
    }
}

fn is_settled(seen: &Seen, nodes: &Nodes<'_>) -> bool {
    seen.node_count() > 0 && seen.node_count() as usize >= nodes.active
}

fn message(clock: Clock, nodes: &Nodes<'_>, seen: &Seen) -> Message {
    let published = seen.published.unwrap_or(seen.first);
    let delivered = seen.last_heard.unwrap_or(seen.first);
    let delay = delivered.saturating_duration_since(published).as_secs_f64();
    let peers = seen.nodes().filter_map(|node| nodes.addresses.get(node.0 as usize));
    Message {
        bytes_moved: seen.payload_bytes.unwrap_or(0) as u64 * u64::from(seen.node_count()),
        delay_sec: if is_settled(seen, nodes) { delay } else { 0.0 },
        delivered: rfc3339(clock.time_of_day(delivered)),
        duplicates: seen.duplicates,
        peers_seen: peers.map(|address| ((*address).to_owned(), Peer {})).collect(),
        published: rfc3339(clock.time_of_day(published)),
        topic: seen.topic.to_string(),
    }
}

fn average(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Returns the value below or at which so many of a hundred are (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).and_then(|place| sorted.get(place)).copied().unwrap_or(0.0)
}

/// Writes a time in UTC, as Go reads it.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use broker::{NodeId, Topic};
    use serde_json::json;

    use super::*;
    use crate::traffic::Traffic;

    #[test]
    fn a_picture_tells_what_every_node_has_and_how_long_that_took() {
        let now = Instant::now();
        let mut traffic = Traffic::new(3, now, SystemTime::UNIX_EPOCH);
        let (topic, after) = (Topic::from("t"), |millis| now + Duration::from_millis(millis));
        let (first, second) = (MessageId([1; 32]), MessageId([2; 32]));
        traffic.sent(now, &topic, first, 100);
        traffic.repeated(&first);
        traffic.heard(after(100), (NodeId(0), 3), first, &topic, Some(100));
        traffic.heard(after(250), (NodeId(1), 3), first, &topic, None);
        traffic.heard(after(300), (NodeId(1), 3), second, &topic, None);
        let addresses = vec!["a:1", "b:2", "c:3"];
        let nodes = Nodes { addresses, active: 2, algorithm: "optimum".to_owned() };
        let shown = |window| {
            let now = after(500);
            let recent: Vec<_> =
                traffic.recent(now, window).map(|(id, seen)| (*id, seen.clone())).collect();
            snapshot(&recent, traffic.clock(), &nodes, now, window)
        };
        let (short, shown) = (shown(Duration::from_millis(300)), shown(Duration::from_secs(10)));
        let shown = serde_json::to_value(&shown).expect("plain");
        for (key, value) in [
            ("active_nodes", json!(2)),
            ("unhealthy_nodes", json!(1)),
            ("published_messages", json!(1)),
            ("delivered_messages", json!(1)),
            ("duplicate_messages", json!(1)),
            ("average_delay_seconds", json!(0.25)),
            ("p75", json!(0.25)),
            ("p95", json!(0.25)),
            ("total_bytes_moved", json!(200)),
            ("ideal_byte_complexity", json!(200)),
            ("bloat_factor", json!(1.0)),
            ("window_seconds", json!(10)),
            ("last_updated", json!("1970-01-01T00:00:00.5Z")),
        ] {
            assert_eq!(shown[key], value, "{key}");
        }
        let of_first = &shown["messages"][first.to_string()];
        assert_eq!(of_first["peers_seen"], json!({"a:1": {}, "b:2": {}}));
        assert_eq!(of_first["delivered"], json!("1970-01-01T00:00:00.25Z"));
        assert_eq!(shown["messages"][second.to_string()]["delay_sec"], json!(0.0));
        assert_eq!(short.messages.len(), 1, "the first is older");
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<_> = (1..=20).map(f64::from).collect();
        let rounded = |values: &[f64], percent| percentile(values, percent).round() as u32;
        assert_eq!([75, 95, 100].map(|percent| rounded(&values, percent)), [15, 19, 20]);
        assert_eq!(rounded(&[], 75), 0);
    }
}
