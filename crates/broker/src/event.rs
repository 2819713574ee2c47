//! What happens, and what is to be done.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::{ClientId, ConnectionId, MessageId, NodeId, Topic};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A node is connected.
    NodeUp(NodeId),
    /// A node is gone.
    NodeDown(NodeId),
    /// A node told of a message that it delivered.
    Heard {
        /// Which node.
        node: NodeId,
        /// Which message.
        message: MessageId,
        /// On which topic.
        topic: Topic,
        /// What clients are given, if the node sent it; opaque here.
        payload: Option<Bytes>,
    },
    /// The answer to [`Output::Fetch`]; nothing if the node does not have it, or is gone.
    Fetched {
        /// Which node.
        node: NodeId,
        /// Which message.
        message: MessageId,
        /// What clients are given.
        payload: Option<Bytes>,
    },
    /// A connection is gone.
    Disconnected(ConnectionId),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Subscribe a topic at every node, now and whenever one connects.
    Join(Topic),
    /// Nobody wants the topic any more.
    Leave(Topic),
    /// Ask this node, and no other, for payloads.
    Source(NodeId),
    /// Fetch a payload; [`Input::Fetched`] must follow.
    Fetch {
        /// From which node.
        node: NodeId,
        /// Which message.
        message: MessageId,
    },
    /// Give a message to each of the connections of these clients.
    Deliver {
        /// Who; clones share the list, and as long as nobody comes or goes it is the same one for
        /// all messages of a topic.
        recipients: Arc<[Recipient]>,
        /// Which message.
        message: MessageId,
        /// On which topic.
        topic: Topic,
        /// What they are given; clones share it.
        payload: Bytes,
        /// Whether fewer nodes told of it than the thresholds of these clients ask for.
        is_fallback: bool,
    },
}

/// A client that is given a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub client: ClientId,
    /// Its connections; at least one.
    pub connections: Vec<ConnectionId>,
}

/// Why a subscription or a connection is not taken.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    /// No share of the nodes.
    #[error("invalid threshold: {0} is not between 0 and 1")]
    Threshold(f64),
    /// The client has as many topics as it may.
    #[error("the client is subscribed to {0} topics already, and no more are taken")]
    ClientTopics(usize),
    /// All clients together have.
    #[error("{0} topics are subscribed already, and no more are taken")]
    Topics(usize),
    /// There are as many clients as may be.
    #[error("{0} clients are known already, and no more are taken")]
    Clients(usize),
}
