//! The seam between a node and the publish/subscribe protocol it runs. Nothing above knows which
//! one that is.

mod optimum;

use std::time::Duration;

use gossip::{Delivery, MessageId, PublishError, Topic, Trace};
use libp2p::PeerId;

pub(crate) use optimum::{Behaviour, BehaviourEvent, new};

/// What the protocol has to tell the node.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message for the application.
    Delivered(Delivery<PeerId>),
    /// Something that a trace reader wants to know.
    Traced(Trace<PeerId>),
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

/// What a node asks of the protocol.
pub(crate) trait Pubsub {
    /// Lets a peer take part.
    fn admit(&mut self, peer: PeerId);

    /// Subscribes a topic; a second time changes nothing.
    fn subscribe(&mut self, topic: Topic);

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
}
