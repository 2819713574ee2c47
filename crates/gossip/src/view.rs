//! A read-only picture of the state for tests, simulation and the node's status pages.

use std::time::Duration;

use crate::{Direction, MessageId, PeerName, State, Topic};

/// A read-only picture of a [`State`].
pub struct View<'a, P> {
    pub(crate) state: &'a State<P>,
}

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView<P> {
    /// Who.
    pub peer: P,
    /// Topics that it subscribed.
    pub topics: Vec<Topic>,
    /// Topics in whose mesh it is.
    pub mesh: Vec<Topic>,
    /// Whole shards sent to it.
    pub shards_sent: u64,
    /// Whole shards received from it.
    pub shards_received: u64,
    /// Of those, the innovative ones.
    pub shards_innovative: u64,
    /// Who opened the first connection.
    pub direction: Direction,
    /// What this node thinks of it: at most 1, 0 for a stranger.
    pub score: f64,
    /// Whether its score keeps it out of meshes.
    pub graylisted: bool,
    /// Data bytes sent and not acknowledged.
    pub in_flight_bytes: u64,
    /// How many bytes may be in flight.
    pub window_bytes: u64,
    /// Smallest round-trip time seen of late.
    pub rtt: Option<Duration>,
    /// Whether it has not acknowledged for too long, and is sent nothing new.
    pub stalled: bool,
}

/// A message that lacks shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMessage {
    /// The id that its header claims.
    pub message: MessageId,
    /// Independent shards held.
    pub rank: u16,
    /// Independent shards needed.
    pub fragments: u16,
}

impl<P: PeerName> View<'_, P> {
    /// Returns the topics that the application subscribed.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.state.topics.keys()
    }

    /// Returns whether `topic` is subscribed.
    pub fn is_subscribed(&self, topic: &Topic) -> bool {
        self.state.topics.contains_key(topic)
    }

    /// Returns the peers in the mesh of `topic`; none if it is not subscribed.
    pub fn mesh(&self, topic: &Topic) -> impl Iterator<Item = P> {
        self.state.topics.get(topic).into_iter().flat_map(|topic| topic.mesh.iter().copied())
    }

    /// Returns the connected peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerView<P>> {
        self.state.peers.iter().map(|(&peer, state)| PeerView {
            peer,
            topics: state.topics.iter().cloned().collect(),
            mesh: self
                .state
                .topics
                .iter()
                .filter(|(_, topic)| topic.mesh.contains(&peer))
                .map(|(name, _)| name.clone())
                .collect(),
            shards_sent: state.shards_sent,
            shards_received: state.shards_received,
            shards_innovative: state.shards_innovative,
            direction: state.direction,
            score: state.record.score(),
            graylisted: state.record.is_graylisted(),
            in_flight_bytes: self.state.windows.in_flight(peer),
            window_bytes: self.state.windows.window(peer),
            rtt: self.state.windows.rtt(peer),
            stalled: self.state.windows.is_stalled(peer),
        })
    }

    /// Returns the messages that lack shards.
    pub fn open_messages(&self) -> impl Iterator<Item = OpenMessage> {
        self.state.messages.iter().filter(|message| !message.is_complete()).map(|message| {
            OpenMessage {
                message: message.signed.header.message,
                rank: message.rank(),
                fragments: message.fragments() as u16,
            }
        })
    }

    /// Returns the ids of the messages that are kept for repair.
    pub fn retained_messages(&self) -> impl Iterator<Item = MessageId> {
        let messages = self.state.messages.iter();
        messages
            .filter(|message| message.is_complete())
            .map(|message| message.signed.header.message)
    }
}
