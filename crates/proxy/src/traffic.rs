//! What passed through the proxy: counters by client and topic, and the messages of the last
//! minutes. Bounded in every direction.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant, SystemTime},
};

use broker::{MessageId, NodeId, Recipient, Topic};
use prometheus_client::metrics::histogram::Histogram;
use service::metrics::{OTHER, SECONDS};

use crate::error::RequestError;

/// How long messages are remembered, and so the longest window of the tracer.
pub(crate) const WINDOW_MAX: Duration = Duration::from_secs(600);

/// Messages remembered. At the bound the oldest is forgotten.
const MESSAGES_MAX: usize = 10_000;

/// Series of each counter with labels of clients' making. What is beyond is counted together.
const SERIES_MAX: usize = 1000;

/// Upper bounds of message sizes in bytes (the contract, section 2.8).
const SIZES: [f64; 10] =
    [64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0];

/// Counters by labels; beyond a bound all labels are [`OTHER`].
#[derive(Clone, Debug)]
pub(crate) struct Series<const LABELS: usize, V>(BTreeMap<[String; LABELS], V>);

impl<const LABELS: usize, V> Default for Series<LABELS, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<const LABELS: usize, V> Series<LABELS, V> {
    fn get(&mut self, labels: [&str; LABELS], new: impl FnOnce() -> V) -> &mut V {
        let known = self.0.contains_key(&labels.map(str::to_owned));
        let labels = if known || self.0.len() < SERIES_MAX { labels } else { [OTHER; LABELS] };
        self.0.entry(labels.map(str::to_owned)).or_insert_with(new)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[String; LABELS], &V)> {
        self.0.iter()
    }
}

/// Tells the time of day of an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    instant: Instant,
    unix: SystemTime,
}

impl Clock {
    pub(crate) fn time_of_day(self, at: Instant) -> SystemTime {
        self.unix + at.saturating_duration_since(self.instant)
    }
}

/// What one client published on one topic.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) messages: u64,
    pub(crate) sizes: Histogram,
}

/// A message of the last minutes.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) topic: Topic,
    /// When a client of this proxy published it.
    pub(crate) published: Option<Instant>,
    /// When it was first known here, by a client or by a node.
    pub(crate) first: Instant,
    /// When the last node so far reported it.
    pub(crate) last_heard: Option<Instant>,
    /// Who reported it: one bit each.
    nodes: u64,
    /// Times that a client published it again.
    pub(crate) duplicates: u64,
    pub(crate) payload_bytes: Option<usize>,
}

impl Seen {
    /// Returns how many nodes reported it.
    pub(crate) fn node_count(&self) -> u32 {
        self.nodes.count_ones()
    }

    /// Returns the nodes that reported it.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (0..64).filter(|bit| self.nodes >> bit & 1 == 1).map(NodeId)
    }
}

/// Everything counted.
#[derive(Debug)]
pub(crate) struct Traffic {
    clock: Clock,
    /// By node and topic.
    pub(crate) received: Vec<Series<1, u64>>,
    /// By client and topic.
    pub(crate) published: Series<2, Published>,
    /// By client, topic and kind.
    pub(crate) failures: Series<3, u64>,
    /// By kind alone.
    pub(crate) failures_by_kind: BTreeMap<&'static str, u64>,
    /// By client and topic.
    pub(crate) fallbacks: Series<2, u64>,
    /// From the first sight of a message to its delivery, in seconds.
    pub(crate) waits: Histogram,
    /// From the first sight of a message to the report of the last of the active nodes, in seconds.
    pub(crate) spreads: Histogram,
    messages: HashMap<MessageId, Seen>,
    order: VecDeque<(Instant, MessageId)>,
    last_topic: Vec<(Topic, u64)>,
}

impl Traffic {
    pub(crate) fn new(nodes: usize, now: Instant, unix: SystemTime) -> Self {
        let mut failures = Series::default();
        for kind in RequestError::UNREAD {
            failures.get(["", "", kind], || 0);
        }
        let kinds = RequestError::UNREAD.into_iter().chain(RequestError::UNPUBLISHED);
        Self {
            clock: Clock { instant: now, unix },
            received: (0..nodes).map(|_| Series::default()).collect(),
            published: Series::default(),
            failures,
            failures_by_kind: kinds.map(|kind| (kind, 0)).collect(),
            fallbacks: Series::default(),
            waits: Histogram::new(SECONDS),
            spreads: Histogram::new(SECONDS),
            messages: HashMap::new(),
            order: VecDeque::new(),
            last_topic: vec![(Topic::from(""), 0); nodes],
        }
    }

    /// One of so many active nodes reported a message.
    pub(crate) fn heard(
        &mut self,
        now: Instant,
        (node, active): (NodeId, usize),
        id: MessageId,
        topic: &Topic,
        payload_bytes: Option<usize>,
    ) {
        self.count_received(node.0 as usize, topic);
        let seen = self.message(now, id, topic);
        let bit = 1_u64.checked_shl(node.0).unwrap_or(0);
        let is_new = seen.nodes & bit == 0;
        if is_new {
            seen.nodes |= bit;
            seen.last_heard = Some(now);
        }
        let spread = now.saturating_duration_since(seen.first);
        let is_everywhere = is_new && seen.node_count() as usize == active;
        seen.payload_bytes = seen.payload_bytes.or(payload_bytes);
        if is_everywhere {
            self.spreads.observe(spread.as_secs_f64());
        }
    }

    /// A message was given to clients: all those whose thresholds were met at once.
    pub(crate) fn delivered(&self, now: Instant, id: &MessageId) {
        let Some(seen) = self.messages.get(id) else { return };
        self.waits.observe(now.saturating_duration_since(seen.first).as_secs_f64());
    }

    /// Counts up a series only when the topic changes or somebody looks: most messages are of the
    /// topic of the one before.
    fn count_received(&mut self, node: usize, topic: &Topic) {
        let Some((last, count)) = self.last_topic.get_mut(node) else { return };
        if *last == *topic {
            *count += 1;
            return;
        }
        let count = std::mem::replace(count, 1);
        let last = std::mem::replace(last, topic.clone());
        self.add_received(node, &last, count);
    }

    fn add_received(&mut self, node: usize, topic: &str, count: u64) {
        if count > 0 {
            *self.received[node].get([topic], || 0) += count;
        }
    }

    /// Brings every series up to date.
    pub(crate) fn settle(&mut self) {
        for node in 0..self.last_topic.len() {
            let (topic, count) = &mut self.last_topic[node];
            let (topic, count) = (topic.clone(), std::mem::take(count));
            self.add_received(node, &topic, count);
        }
    }

    /// A client's message was published.
    pub(crate) fn published(&mut self, client: &str, topic: &str, bytes: usize) {
        let new = || Published { messages: 0, sizes: Histogram::new(SIZES) };
        let published = self.published.get([client, topic], new);
        published.messages += 1;
        published.sizes.observe(bytes as f64);
    }

    /// A client's message is on its way to a node, which may report it before it confirms it.
    pub(crate) fn sent(&mut self, now: Instant, topic: &Topic, id: MessageId, bytes: usize) {
        let seen = self.message(now, id, topic);
        seen.published = seen.published.or(Some(now));
        seen.payload_bytes = Some(bytes);
    }

    /// A client published a message once more.
    pub(crate) fn repeated(&mut self, id: &MessageId) {
        if let Some(seen) = self.messages.get_mut(id) {
            seen.duplicates += 1;
        }
    }

    /// A client's message was not published.
    pub(crate) fn failed(&mut self, client: &str, topic: &str, kind: &'static str) {
        *self.failures.get([client, topic, kind], || 0) += 1;
        *self.failures_by_kind.entry(kind).or_default() += 1;
    }

    /// Clients were given a message below their thresholds.
    pub(crate) fn fell_back(&mut self, topic: &str, recipients: &[Recipient]) {
        for recipient in recipients {
            *self.fallbacks.get([&recipient.client, topic], || 0) += 1;
        }
    }

    /// Forgets the messages of the last minutes.
    pub(crate) fn reset(&mut self) {
        self.messages.clear();
        self.order.clear();
    }

    /// Returns the messages that became known in the last `window`, the newest first.
    pub(crate) fn recent(
        &self,
        now: Instant,
        window: Duration,
    ) -> impl Iterator<Item = (&MessageId, &Seen)> {
        let newest = self.order.iter().rev();
        let within = newest.take_while(move |(since, _)| now.duration_since(*since) <= window);
        within.filter_map(|(_, id)| Some((id, self.messages.get(id)?)))
    }

    /// Returns how to tell the time of day of an instant.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    fn message(&mut self, now: Instant, id: MessageId, topic: &Topic) -> &mut Seen {
        while self.order.front().is_some_and(|(since, _)| *since + WINDOW_MAX < now)
            || (self.order.len() >= MESSAGES_MAX && !self.messages.contains_key(&id))
        {
            if let Some((_, oldest)) = self.order.pop_front() {
                self.messages.remove(&oldest);
            }
        }
        self.messages.entry(id).or_insert_with(|| {
            self.order.push_back((now, id));
            Seen {
                topic: topic.clone(),
                published: None,
                first: now,
                last_heard: None,
                nodes: 0,
                duplicates: 0,
                payload_bytes: None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use service::metrics::{Families, Labels};

    use super::*;

    fn traffic() -> (Traffic, Instant) {
        let now = Instant::now();
        (Traffic::new(3, now, SystemTime::UNIX_EPOCH), now)
    }

    fn observed(histogram: &Histogram) -> String {
        let mut families = Families::default();
        families.histograms("h", "Help.", [(Labels::new(), histogram.clone())]);
        families.text(&[])
    }

    #[test]
    fn a_message_has_spread_when_the_last_active_node_reported_it() {
        let (mut traffic, now) = traffic();
        let topic = Topic::from("t");
        let later = now + Duration::from_millis(500);
        traffic.sent(now, &topic, id(1), 5);
        traffic.heard(later, (NodeId(0), 2), id(1), &topic, None);
        traffic.delivered(later, &id(1));
        assert!(observed(&traffic.spreads).contains("h_count{} 0"));
        traffic.heard(later, (NodeId(0), 2), id(1), &topic, None);
        traffic.heard(later + Duration::from_secs(1), (NodeId(1), 2), id(1), &topic, None);
        traffic.heard(later + Duration::from_secs(9), (NodeId(1), 2), id(1), &topic, None);
        let spreads = observed(&traffic.spreads);
        assert!(spreads.contains("h_sum{} 1.5\nh_count{} 1\n"), "{spreads}");
        let waits = observed(&traffic.waits);
        assert!(waits.contains("h_sum{} 0.5\nh_count{} 1\n"), "{waits}");
    }

    fn id(number: u32) -> MessageId {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MessageId(id)
    }

    #[test]
    fn a_message_has_its_nodes_each_once_and_its_length() {
        let (mut traffic, now) = traffic();
        let topic = Topic::from("t");
        let later = now + Duration::from_secs(1);
        traffic.heard(now, (NodeId(2), 3), id(1), &topic, None);
        traffic.heard(later, (NodeId(0), 3), id(1), &topic, Some(5));
        traffic.heard(later + WINDOW_MAX / 2, (NodeId(0), 3), id(1), &topic, Some(5));
        let (_, seen) = traffic.recent(later, WINDOW_MAX).next().expect("there");
        assert_eq!(seen.nodes().collect::<Vec<_>>(), [NodeId(0), NodeId(2)]);
        assert_eq!((seen.node_count(), seen.payload_bytes), (2, Some(5)));
        assert_eq!((seen.first, seen.last_heard), (now, Some(later)));
    }

    #[test]
    fn messages_are_counted_by_node_and_topic_whatever_their_order() {
        let (mut traffic, now) = traffic();
        for number in 0..10 {
            let topic = Topic::from(if number % 3 == 0 { "a" } else { "b" });
            traffic.heard(now, (NodeId(1), 3), id(number), &topic, None);
        }
        traffic.settle();
        traffic.settle();
        let counted: Vec<_> =
            traffic.received[1].iter().map(|([topic], count)| (topic.as_str(), *count)).collect();
        assert_eq!(counted, [("a", 4), ("b", 6)]);
        assert_eq!(traffic.received[0].iter().count(), 0);
    }

    #[test]
    fn the_oldest_messages_are_forgotten_by_time_and_by_number() {
        let (mut traffic, now) = traffic();
        let topic = Topic::from("t");
        for number in 0..=MESSAGES_MAX as u32 {
            traffic.heard(now, (NodeId(0), 3), id(number), &topic, None);
        }
        assert_eq!(traffic.recent(now, WINDOW_MAX).count(), MESSAGES_MAX);
        assert!(traffic.recent(now, WINDOW_MAX).all(|(known, _)| *known != id(0)));
        let later = now + WINDOW_MAX + Duration::from_secs(1);
        traffic.heard(later, (NodeId(0), 3), id(u32::MAX), &topic, None);
        assert_eq!(traffic.messages.len(), 1);
        assert_eq!(traffic.recent(later, Duration::ZERO).count(), 1);
        traffic.reset();
        assert_eq!(traffic.recent(later, WINDOW_MAX).count(), 0);
    }

    #[test]
    fn clients_beyond_the_bound_are_counted_together() {
        let (mut traffic, _) = traffic();
        for number in 0..SERIES_MAX as u32 + 5 {
            traffic.published(&format!("c{number}"), "t", 100);
            traffic.failed(&format!("c{number}"), "t", "quota");
        }
        assert_eq!(traffic.published.iter().count(), SERIES_MAX + 1);
        let others = traffic.published.iter().find(|(labels, _)| labels[0] == OTHER);
        assert_eq!(others.map(|(_, published)| published.messages), Some(5));
        assert_eq!(traffic.failures.iter().count(), SERIES_MAX + 1);
    }
}
