//! What the node published and delivered, by topic and peer. A client chooses topics and anybody
//! can be a peer, so the numbers of both are bounded: what is beyond goes under `other`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use gossip::{Delivery, PublishError};
use libp2p::PeerId;
use prometheus_client::metrics::histogram::Histogram;
use service::metrics::{Families, Labels, OTHER, SECONDS};

/// Topics with labels of their own.
const TOPICS_MAX: usize = 200;

/// Peers with labels of their own.
const PEERS_MAX: usize = 256;

/// Series of topic and peer together.
const PAIRS_MAX: usize = 4096;

/// Upper bounds of message sizes in bytes: 64 B to 16 MiB.
const SIZES: [f64; 10] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// The first so many values of a label; all others are one.
#[derive(Debug, Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn bounded(&mut self, name: &str, max: usize) -> String {
        if self.0.contains(name) {
            return name.to_owned();
        }
        if self.0.len() >= max {
            return OTHER.to_owned();
        }
        self.0.insert(name.to_owned());
        name.to_owned()
    }
}

#[derive(Debug, Default)]
struct Inner {
    topics: Names,
    peers: Names,
    published: BTreeMap<String, u64>,
    sizes: BTreeMap<String, Histogram>,
    received: BTreeMap<(String, String), u64>,
    errors: BTreeMap<(String, &'static str), u64>,
}

/// Counts what the event loop sees.
#[derive(Debug)]
pub(crate) struct Traffic {
    inner: Mutex<Inner>,
    delay: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { inner: Mutex::default(), delay: Histogram::new(SECONDS) }
    }
}

impl Traffic {
    /// A message of this node is on its way.
    pub(crate) fn published(&self, topic: &str, bytes: usize) {
        self.with(|inner| {
            let topic = inner.topics.bounded(topic, TOPICS_MAX);
            let sizes = inner.sizes.entry(topic.clone());
            sizes.or_insert_with(|| Histogram::new(SIZES)).observe(bytes as f64);
            *inner.published.entry(topic).or_default() += 1;
        });
    }

    /// A message of this node was not published.
    pub(crate) fn not_published(&self, topic: &str, error: &PublishError) {
        let kind = kind(error);
        self.with(|inner| {
            let topic = inner.topics.bounded(topic, TOPICS_MAX);
            *inner.errors.entry((topic, kind)).or_default() += 1;
        });
    }

    /// A message came; `now_unix_ns` is the time of this machine.
    pub(crate) fn delivered(&self, delivery: &Delivery<PeerId>, now_unix_ns: i64) {
        let Some(from) = delivery.received_from else { return };
        self.delay.observe(delay_seconds(delivery.published_unix_ns, now_unix_ns));
        self.with(|inner| {
            let topic = inner.topics.bounded(delivery.topic.as_str(), TOPICS_MAX);
            let peer = inner.peers.bounded(&from.to_string(), PEERS_MAX);
            let full = inner.received.len() >= PAIRS_MAX;
            let mut pair = (topic, peer);
            if full && !inner.received.contains_key(&pair) {
                pair = (OTHER.to_owned(), OTHER.to_owned());
            }
            *inner.received.entry(pair).or_default() += 1;
        });
    }

    /// Adds the families; `subsystem` is the part of the delay's name that says which protocol. The
    /// topics that the node subscribed are there from the start, so that what happens first in one
    /// is seen as a rise.
    pub(crate) fn families(&self, families: &mut Families, subsystem: &str, topics: &[String]) {
        let help = "From publish, by the publisher's clock, to delivery, by ours.";
        for name in [
            format!("optimum_{subsystem}_delivered_messages_delay_seconds"),
            "delivered_messages_delay_seconds".to_owned(),
        ] {
            families.histograms(name, help, [(Labels::new(), self.delay.clone())]);
        }
        self.with(|inner| {
            for topic in topics {
                inner.subscribed(topic);
            }
            inner.families(families);
        });
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Inner) -> T) -> T {
        use_it(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// Begins the counters of a topic, unless it is one too many.
    fn subscribed(&mut self, topic: &str) {
        let topic = self.topics.bounded(topic, TOPICS_MAX);
        for kind in KINDS {
            self.errors.entry((topic.clone(), kind)).or_default();
        }
        self.sizes.entry(topic.clone()).or_insert_with(|| Histogram::new(SIZES));
        self.published.entry(topic).or_default();
    }

    fn families(&self, families: &mut Families) {
        let topic = |topic: &String| vec![("topic", topic.clone())];
        families.counters(
            "optimum_p2p_messages_published_total",
            "Messages of this node that were published.",
            self.published.iter().map(|(name, &count)| (topic(name), count)),
        );
        families.counters(
            "optimum_p2p_messages_received_total",
            "Messages of others that were delivered, by the peer that brought the last shard.",
            self.received.iter().map(|((topic, peer), &count)| {
                (vec![("topic", topic.clone()), ("peer_id", peer.clone())], count)
            }),
        );
        families.histograms(
            "optimum_p2p_message_size_bytes",
            "Sizes of messages of this node that were published.",
            self.sizes.iter().map(|(name, sizes)| (topic(name), sizes.clone())),
        );
        families.counters(
            "optimum_p2p_publish_errors_total",
            "Messages of this node that were not published.",
            self.errors.iter().map(|((topic, kind), &count)| {
                (vec![("topic", topic.clone()), ("error_type", (*kind).to_owned())], count)
            }),
        );
    }
}

/// Why a message of this node is not published, as a label.
const KINDS: [&str; 5] = ["empty", "too_large", "duplicate", "topics_full", "busy"];

fn kind(error: &PublishError) -> &'static str {
    let [empty, too_large, duplicate, topics_full, busy] = KINDS;
    match error {
        PublishError::Empty => empty,
        PublishError::TooLarge { .. } => too_large,
        PublishError::Duplicate { .. } => duplicate,
        PublishError::TopicsFull { .. } => topics_full,
        PublishError::Busy => busy,
    }
}

/// Clocks differ: what seems to come from the future took no time.
fn delay_seconds(published_unix_ns: u64, now_unix_ns: i64) -> f64 {
    let now = u64::try_from(now_unix_ns).unwrap_or(0);
    now.saturating_sub(published_unix_ns) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_negative() {
        assert!((delay_seconds(1_000_000_000, 1_500_000_000) - 0.5).abs() < 1e-9);
        assert!(delay_seconds(2, 1).abs() < f64::EPSILON);
    }

    #[test]
    fn a_subscribed_topic_begins_at_nothing_and_keeps_what_it_has() {
        let traffic = Traffic::default();
        traffic.published("busy", 10);
        traffic.not_published("new", &PublishError::Empty);
        let mut families = Families::default();
        traffic.families(&mut families, "mump2p", &["busy".to_owned(), "new".to_owned()]);
        let page = families.text(&[]);
        for line in [
            "optimum_p2p_messages_published_total{topic=\"busy\"} 1.0",
            "optimum_p2p_messages_published_total{topic=\"new\"} 0.0",
            "optimum_p2p_message_size_bytes_count{topic=\"new\"} 0",
            "optimum_p2p_publish_errors_total{topic=\"new\",error_type=\"empty\"} 1.0",
            "optimum_p2p_publish_errors_total{topic=\"new\",error_type=\"too_large\"} 0.0",
            "optimum_p2p_publish_errors_total{topic=\"busy\",error_type=\"busy\"} 0.0",
        ] {
            assert!(page.contains(line), "{line} is not in {page}");
        }
    }

    #[test]
    fn topics_beyond_the_bound_are_counted_as_one() {
        let traffic = Traffic::default();
        for number in 0..TOPICS_MAX + 5 {
            traffic.published(&format!("topic-{number}"), 10);
        }
        let (own, other) = traffic.with(|inner| (inner.published.len(), inner.published[OTHER]));
        assert_eq!((own, other), (TOPICS_MAX + 1, 5));
    }
}
