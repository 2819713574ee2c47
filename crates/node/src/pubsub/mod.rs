//! The seam between a node and the publish/subscribe protocol it runs. Nothing above knows which
//! one that is.

mod gossipsub;
mod optimum;

use std::{collections::BTreeMap, time::Duration};

use either::Either;
use gossip::{Delivery, MessageId, PublishError, Topic, Trace};
use libp2p::{PeerId, identity::Keypair};

use crate::config::{Config, Mode};

/// The protocol of either mode.
pub(crate) type Behaviour = Either<optimum::Behaviour, gossipsub::Behaviour>;

/// What it tells.
pub(crate) type BehaviourEvent = Either<optimum::BehaviourEvent, Event>;

/// Makes the behaviour of a node in the configured mode. Must be called inside a tokio runtime.
///
/// # Errors
///
/// Returns an error if the settings cannot work or the key pair cannot sign.
pub(crate) fn new(config: &Config, keypair: &Keypair) -> anyhow::Result<Behaviour> {
    Ok(match config.mode {
        Mode::Optimum => {
            Behaviour::Left(optimum::new(config.gossip(), &config.gossip_versions, keypair)?)
        }
        Mode::Gossipsub => Behaviour::Right(gossipsub::new(&config.gossipsub, keypair)?),
    })
}

impl From<BehaviourEvent> for Event {
    fn from(event: BehaviourEvent) -> Self {
        match event {
            BehaviourEvent::Left(told) => told.into(),
            BehaviourEvent::Right(event) => event,
        }
    }
}

/// What the protocol has to tell the node.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message for the application.
    Delivered(Delivery<PeerId>),
    /// Something that a trace reader wants to know. The protocol id is that of a peer that was
    /// added, and empty in other events.
    Traced { trace: Trace<PeerId>, protocol: &'static str },
    /// A message of this node is on its way.
    Published { ticket: u64, message: MessageId, topic: Topic },
    /// A message of this node was not published.
    Refused { ticket: u64, topic: Topic, error: PublishError },
    /// A publish has room again.
    Room,
    /// A peer broke a rule and is to be kept away.
    Misbehaved { peer: PeerId, reason: String, ban: Duration },
}

/// What a peer's part in topics is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerTopics {
    pub(crate) peer: PeerId,
    pub(crate) topics: Vec<String>,
    pub(crate) mesh: Vec<String>,
}

/// What happened in one topic since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicCounters {
    /// Messages that came, repeated ones included.
    pub(crate) received_messages: u64,
    pub(crate) received_bytes: u64,
    pub(crate) delivered_messages: u64,
    pub(crate) delivered_bytes: u64,
    /// Messages not taken because too many waited to be checked.
    pub(crate) dropped_queue_full: u64,
    /// Messages not taken because of a bound on their sender.
    pub(crate) dropped_throttled: u64,
    /// Messages not taken for other reasons.
    pub(crate) dropped_rejected: u64,
}

/// What became of the shards that came since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShardCounters {
    pub(crate) new: u64,
    pub(crate) duplicate: u64,
    pub(crate) unnecessary: u64,
    pub(crate) unhelpful: u64,
}

/// What happened since the start, as far as the protocol counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtocolCounters {
    pub(crate) topics: BTreeMap<String, TopicCounters>,
    /// None for a protocol without shards.
    pub(crate) shards: Option<ShardCounters>,
    /// Peers that take part now, by the protocol id they speak.
    pub(crate) peers_per_protocol: BTreeMap<String, u64>,
}

/// What passes between the node and one peer, as far as the protocol measures it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PeerTraffic {
    pub(crate) shards_sent: u64,
    pub(crate) shards_received: u64,
    pub(crate) shards_innovative: u64,
    pub(crate) in_flight_bytes: u64,
    pub(crate) window_bytes: u64,
    pub(crate) rtt: Option<Duration>,
    pub(crate) stalled: bool,
    pub(crate) score: f64,
    pub(crate) graylisted: bool,
}

/// A message that lacks shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenMessage {
    pub(crate) message: MessageId,
    /// Independent shards held.
    pub(crate) rank: u16,
}

/// What the protocol holds of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    pub(crate) open: Vec<OpenMessage>,
    /// Decoded ones that are still kept.
    pub(crate) decoded: Vec<MessageId>,
}

/// A counter of the protocol's own: its name without prefix, what it counts, its value.
pub(crate) type OwnCounter = (&'static str, &'static str, u64);

/// What a node asks of the protocol.
pub(crate) trait Pubsub {
    /// Lets a peer take part.
    fn admit(&mut self, peer: PeerId);

    /// Subscribes a topic; a second time changes nothing. Beyond [`gossip::Limits::topics_max`] it
    /// is ignored.
    fn subscribe(&mut self, topic: Topic);

    /// Returns whether a topic is subscribed.
    fn is_subscribed(&self, topic: &Topic) -> bool;

    /// Ends a subscription.
    fn unsubscribe(&mut self, topic: Topic);

    /// Publishes; [`Event::Published`] or [`Event::Refused`] follows with the ticket.
    fn publish(&mut self, publish: gossip::Publish);

    /// Returns whether a publish has room.
    fn accepts_publish(&self) -> bool;

    /// Asks for [`Event::Traced`], or for none.
    fn set_tracing(&mut self, wanted: bool);

    /// Returns the subscribed topics, in order.
    fn topics(&self) -> Vec<String>;

    /// Returns each peer's topics.
    fn peers(&self) -> Vec<PeerTopics>;

    /// Returns what was counted.
    fn counters(&self) -> ProtocolCounters;

    /// Returns counters that only this protocol has.
    fn own_counters(&self) -> Vec<OwnCounter> {
        Vec::new()
    }

    /// Returns what passes between the node and each peer, if that is measured.
    fn traffic(&self) -> BTreeMap<PeerId, PeerTraffic> {
        BTreeMap::new()
    }

    /// Returns which messages are held.
    fn messages(&self) -> Messages {
        Messages::default()
    }
}

/// Passes each request on to the protocol that runs.
macro_rules! whichever {
    ($either:expr, $protocol:ident => $call:expr) => {
        match $either {
            Behaviour::Left($protocol) => $call,
            Behaviour::Right($protocol) => $call,
        }
    };
}

impl Pubsub for Behaviour {
    fn admit(&mut self, peer: PeerId) {
        whichever!(self, protocol => protocol.admit(peer));
    }

    fn subscribe(&mut self, topic: Topic) {
        whichever!(self, protocol => protocol.subscribe(topic));
    }

    fn is_subscribed(&self, topic: &Topic) -> bool {
        whichever!(self, protocol => protocol.is_subscribed(topic))
    }

    fn unsubscribe(&mut self, topic: Topic) {
        whichever!(self, protocol => protocol.unsubscribe(topic));
    }

    fn publish(&mut self, publish: gossip::Publish) {
        whichever!(self, protocol => protocol.publish(publish));
    }

    fn accepts_publish(&self) -> bool {
        whichever!(self, protocol => protocol.accepts_publish())
    }

    fn set_tracing(&mut self, wanted: bool) {
        whichever!(self, protocol => protocol.set_tracing(wanted));
    }

    fn topics(&self) -> Vec<String> {
        whichever!(self, protocol => protocol.topics())
    }

    fn peers(&self) -> Vec<PeerTopics> {
        whichever!(self, protocol => protocol.peers())
    }

    fn counters(&self) -> ProtocolCounters {
        whichever!(self, protocol => protocol.counters())
    }

    fn own_counters(&self) -> Vec<OwnCounter> {
        whichever!(self, protocol => protocol.own_counters())
    }

    fn traffic(&self) -> BTreeMap<PeerId, PeerTraffic> {
        whichever!(self, protocol => protocol.traffic())
    }

    fn messages(&self) -> Messages {
        whichever!(self, protocol => protocol.messages())
    }
}
