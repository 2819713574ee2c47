//! What happens, and what is to be done.

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
    /// Give a message to each of these connections, all of one client.
    Deliver {
        /// Whose.
        client: ClientId,
        /// Which; at least one.
        connections: Vec<ConnectionId>,
        /// Which message.
        message: MessageId,
        /// On which topic.
        topic: Topic,
        /// What they are given; clones share it.
        payload: Bytes,
        /// Whether fewer nodes told of it than the client's threshold asks for.
        is_fallback: bool,
    },
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
