//! A read-only picture of the state for tests, simulation and the node's status pages.

use std::time::Duration;

use crate::{MessageId, PeerName, State, Topic};

/// A read-only picture of a [`State`].
pub struct View<'a, P> {
    pub(crate) state: &'a State<P>,
}

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Data bytes sent and not acknowledged.
    pub in_flight_bytes: u64,
    /// Window: how many bytes may be in flight.
    pub window_bytes: u64,
    /// Smallest round-trip time seen.
    pub rtt: Option<Duration>,
}

impl<P: PeerName> View<'_, P> {
    /// Returns the topics that the application subscribed.
    pub fn topics(&self) -> Vec<Topic> {
        let _ = self.state;
        Vec::new()
    }

    /// Returns the connected peers.
    pub fn peers(&self) -> Vec<PeerView<P>> {
        Vec::new()
    }

    /// Returns the messages not yet decoded, with the shards held of each.
    pub fn open_messages(&self) -> Vec<(MessageId, u16)> {
        Vec::new()
    }

    /// Returns the ids of messages decoded and kept.
    pub fn retained_messages(&self) -> Vec<MessageId> {
        Vec::new()
    }
}
