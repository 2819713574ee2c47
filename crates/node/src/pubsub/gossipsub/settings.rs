//! GossipSub's settings, from those of the node.

use std::{sync::mpsc::Sender, time::Duration};

use gossip::{MessageId, TOPIC_BYTES_MAX, message_id};
use libp2p::gossipsub::{
    Config, ConfigBuilder, MaxCountSubscriptionFilter, Message, TopicHash, TopicSubscriptionFilter,
    ValidationMode,
};

use crate::config;

/// How often meshes are kept up and gossip is sent.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(700);

/// Heartbeats for which a message is kept, and for which its id is told to others.
pub(super) const HISTORY_LENGTH: usize = 6;
const HISTORY_GOSSIP: usize = 3;

/// For how long an equal payload is the same message, as in mode optimum.
pub(super) const SEEN_TTL: Duration = Duration::from_secs(120);

/// What a frame may hold beside the longest message: its signature, topic, and control.
const FRAME_EXTRA_BYTES: usize = 64 << 10;

/// What waits for all peers of a full mesh together when they read slowly; more is dropped. The
/// library copies a message for each of them, and counts messages: all are taken to be of the
/// longest kind.
const QUEUES_BYTES: usize = 768 << 20;

/// Bounds on the messages that wait for one peer, whatever their length.
const QUEUE_MIN: usize = 8;
const QUEUE_MAX: usize = 4096;

/// How long a message may wait for a slow peer. The library's 5 s and 1 s are too short for large
/// messages over slow links.
const PUBLISH_WAIT: Duration = Duration::from_secs(30);
const FORWARD_WAIT: Duration = Duration::from_secs(15);

/// Topics of one peer, and in one of its frames.
const TOPICS_MAX: usize = 1024;

/// A message that came, or is about to go: its topic, id and length.
pub(crate) struct Seen {
    pub(super) topic: TopicHash,
    pub(super) message: MessageId,
    pub(super) bytes: usize,
}

/// Returns the longest payload in bytes: a fifth more than configured.
pub(super) fn payload_bytes_max(settings: &config::Gossipsub) -> u64 {
    settings.max_message_bytes.saturating_add(settings.max_message_bytes / 5)
}

/// Returns the library's configuration; the id of every message it looks at is told to `seen`.
///
/// # Errors
///
/// Returns an error if the degrees of the mesh contradict each other.
pub(super) fn build(settings: &config::Gossipsub, seen: Sender<Seen>) -> anyhow::Result<Config> {
    let longest = usize::try_from(payload_bytes_max(settings)).unwrap_or(usize::MAX >> 1);
    let config::Mesh { min, target, max } = settings.mesh;
    let id = move |message: &Message| {
        let (topic, bytes) = (message.topic.clone(), message.data.len());
        let id = message_id(&message.data);
        // The other end lives as long as this one.
        let _kept = seen.send(Seen { topic, message: id, bytes });
        id.to_string().into()
    };
    let mut builder = ConfigBuilder::default();
    builder
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT)
        .history_length(HISTORY_LENGTH)
        .history_gossip(HISTORY_GOSSIP)
        .mesh_n_low(min)
        .mesh_n(target)
        .mesh_n_high(max)
        .mesh_outbound_min((target / 2).min(min).min(2))
        .validation_mode(ValidationMode::Strict)
        .message_id_fn(id)
        .duplicate_cache_time(SEEN_TTL)
        .max_transmit_size(longest + FRAME_EXTRA_BYTES)
        .connection_handler_queue_len(queue_len(longest, max))
        .publish_queue_duration(PUBLISH_WAIT)
        .forward_queue_duration(FORWARD_WAIT)
        // What was announced may have to wait as long at its end before it is a broken promise.
        .iwant_followup_time(FORWARD_WAIT)
        // A copy of a large message to every topic peer at once delays all of them.
        .flood_publish(false);
    Ok(builder.build()?)
}

/// Returns how many messages may wait for one peer of a mesh of up to `mesh_max`.
fn queue_len(longest: usize, mesh_max: usize) -> usize {
    (QUEUES_BYTES / mesh_max.max(1) / longest.max(1)).clamp(QUEUE_MIN, QUEUE_MAX)
}

/// Returns what bounds the topics of a peer.
pub(super) fn filter() -> Filter {
    MaxCountSubscriptionFilter {
        filter: NamedFilter,
        max_subscribed_topics: TOPICS_MAX,
        max_subscriptions_per_request: TOPICS_MAX,
    }
}

/// Bounds on the topics of a peer.
pub(crate) type Filter = MaxCountSubscriptionFilter<NamedFilter>;

/// Lets topics pass whose name could be one of ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NamedFilter;

impl TopicSubscriptionFilter for NamedFilter {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        (1..=TOPIC_BYTES_MAX).contains(&topic.as_str().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_full_mesh_stays_within_the_documented_bound() {
        let settings = config::Gossipsub::default();
        let longest = usize::try_from(payload_bytes_max(&settings)).expect("small");
        let len = queue_len(longest, settings.mesh.max);
        assert!(len * longest <= 64 << 20, "for one peer");
        assert!(len >= 48, "and no needless drops");
        assert_eq!(queue_len(100 << 20, 12), QUEUE_MIN);
        assert_eq!(queue_len(1, 12), QUEUE_MAX);
    }
}
