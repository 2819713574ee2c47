//! Everything that can happen to a node, and everything a node can do to the world.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::{
    HeaderHash, Job, JobId, MessageId, PeerName, PublisherId, Topic, wire::WireError, work::Outcome,
};

/// Everything that can happen to a node.
#[derive(Clone, Debug)]
pub enum Input<P> {
    /// The peer was admitted, and our outgoing streams to it are about to open.
    Connected(P, Direction),
    /// Our outgoing streams to a peer that stays connected were lost and open anew: what was on
    /// the way on them may not have arrived.
    StreamsReset(P),
    /// The last connection to the peer is gone.
    Disconnected(P),
    /// A frame came on the peer's data stream.
    Data(P, Bytes),
    /// A frame came on the peer's control stream.
    Control(P, Bytes),
    /// What came on one of the peer's streams is no frame.
    Malformed(P, WireError),
    /// The application wants the messages of a topic. A second time changes nothing.
    Subscribe(Topic),
    /// The application wants no more messages of a topic.
    Unsubscribe(Topic),
    /// The application publishes; the topic is joined if it is not.
    Publish(Publish),
    /// A job given out by [`Output::Work`] came back.
    WorkDone(JobId, Outcome),
    /// Whether [`Output::Trace`] is wanted; off at the start.
    Tracing(bool),
}

/// Who opened the first connection with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The peer did: it may be anybody.
    Inbound,
    /// This node did: it chose the peer.
    Outbound,
}

/// A message to be published.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Chosen by the driver, given back in [`Output::Published`] or [`Output::PublishRefused`].
    pub ticket: u64,
    /// Where to.
    pub topic: Topic,
    /// What; 1 byte to the configured maximum.
    pub payload: Bytes,
    /// Unix time in nanoseconds, put into the header for the delay histogram.
    pub published_unix_ns: u64,
}

/// Everything a node can do to the world.
#[derive(Clone, Debug)]
pub enum Output<P> {
    /// [`crate::State::next_data`] may have a frame for the peer. Holds until that returns `None`.
    DataReady(P),
    /// [`crate::State::next_control`] may have a frame for the peer. Holds until that returns
    /// `None`.
    ControlReady(P),
    /// A verified message for the application; own messages are delivered too.
    Deliver(Delivery<P>),
    /// A message of ours is on its way.
    Published {
        /// The ticket of [`Publish`].
        ticket: u64,
        /// The id of the message.
        message: MessageId,
        /// Where it was published.
        topic: Topic,
    },
    /// A message of ours was not published.
    PublishRefused {
        /// The ticket of [`Publish`].
        ticket: u64,
        /// Where it was to be published.
        topic: Topic,
        /// Why not.
        error: PublishError,
    },
    /// [`crate::State::accepts_publish`] is true again.
    PublishRoom,
    /// Something that a trace reader wants to know.
    Trace(Trace<P>),
    /// Work above about a millisecond. The driver runs [`Job::run`] where it does not delay the
    /// state, and gives the outcome back exactly once as [`Input::WorkDone`].
    Work(JobId, Job),
    /// The peer broke a rule: end its connections and keep it away for `ban`.
    Disconnect {
        /// Who.
        peer: P,
        /// Which rule.
        fault: Fault,
        /// How long not to let it in again.
        ban: Duration,
    },
}

/// A verified message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<P> {
    /// Where it was published.
    pub topic: Topic,
    /// SHA-256 of the payload.
    pub message: MessageId,
    /// What was published.
    pub payload: Bytes,
    /// The peer whose shard completed it; `None` for our own.
    pub received_from: Option<P>,
    /// Who signed the header.
    pub publisher: PublisherId,
    /// When the publisher says it was published, Unix time in nanoseconds.
    pub published_unix_ns: u64,
}

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The payload is empty.
    #[error("the message is empty; a message has at least 1 byte")]
    Empty,
    /// The payload is longer than the configured maximum.
    #[error("the message has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Length of the payload.
        bytes: u64,
        /// The configured maximum.
        max: u64,
    },
    /// An equal payload was seen within the time of the seen-cache: it is the same message.
    #[error("an equal message was published or received a short while ago: {message}")]
    Duplicate {
        /// The id of both.
        message: MessageId,
    },
    /// Publishing joins the topic, and as many are joined as may be.
    #[error("{max} topics are subscribed; leave one before another can be joined")]
    TopicsFull {
        /// [`crate::Limits::topics_max`].
        max: usize,
    },
    /// Too much is being published at once; see [`crate::State::accepts_publish`].
    #[error("too much is being published at once; try again when there is room")]
    Busy,
}

/// Which rule a peer broke.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A frame that does not decode.
    #[error("malformed frame: {0}")]
    Malformed(#[from] WireError),
    /// A header whose signature is not its publisher's.
    #[error("header {header} has a wrong signature")]
    BadSignature {
        /// Which header.
        header: HeaderHash,
    },
    /// A shard of a generation whose header neither side sent on this connection.
    #[error("shard of header {header}, which was never sent on this connection")]
    UnknownHeader {
        /// Which header.
        header: HeaderHash,
    },
    /// Something that only another profile has; peers of another profile are not let in.
    #[error("something that the profile of this node does not have")]
    OtherProfile,
    /// A shard, or a piece of one, that does not fit the header.
    #[error("shard of header {header} does not fit it: {what}")]
    BadShard {
        /// Which header.
        header: HeaderHash,
        /// What does not fit.
        what: &'static str,
    },
    /// An acknowledgement of more than was sent.
    #[error("acknowledged {acknowledged} bytes of {sent} sent")]
    BadAcknowledgement {
        /// What the peer says it took.
        acknowledged: u64,
        /// What was sent.
        sent: u64,
    },
    /// It does not read: more control waits for it than the bound allows.
    #[error("{bytes} bytes of control wait for it; it does not read")]
    ControlBacklog {
        /// How much waits.
        bytes: usize,
    },
    /// More of one kind of request than the bound of a heartbeat allows.
    #[error("too many {what} in one heartbeat")]
    Flood {
        /// Of what.
        what: &'static str,
    },
}

/// Something that a trace reader wants to know; the node turns it into a trace event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say nothing more than their names")]
pub enum Trace<P> {
    /// Published by this node.
    Publish { message: MessageId, topic: Topic },
    /// Delivered to the application of this node.
    Deliver { message: MessageId, topic: Topic, received_from: Option<P> },
    /// A second claim of a message that was delivered already.
    Duplicate { message: MessageId, topic: Topic, received_from: P },
    /// A message was not accepted.
    Reject { message: MessageId, topic: Topic, received_from: P, reason: &'static str },
    /// A peer takes part.
    AddPeer { peer: P },
    /// A peer takes part no more.
    RemovePeer { peer: P },
    /// A frame came.
    ReceiveRpc { from: P, meta: RpcMeta, bytes: u64 },
    /// A frame goes.
    SendRpc { to: P, meta: RpcMeta, bytes: u64 },
    /// What was to go to a peer was dropped.
    DropRpc { to: P, meta: RpcMeta },
    /// The application subscribed.
    Join { topic: Topic },
    /// The application unsubscribed.
    Leave { topic: Topic },
    /// The peer is in our mesh of the topic.
    Graft { peer: P, topic: Topic },
    /// The peer is out of our mesh of the topic.
    Prune { peer: P, topic: Topic },
    /// An innovative shard came.
    NewShard(ShardTrace<P>),
    /// A shard came that was held already.
    DuplicateShard(ShardTrace<P>),
    /// A shard came that is a combination of those held.
    UnhelpfulShard(ShardTrace<P>),
    /// A shard came of a message that needs none.
    UnnecessaryShard(ShardTrace<P>),
}

/// What is told of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardTrace<P> {
    /// The message that the shard's header claims.
    pub message: MessageId,
    /// Who sent it.
    pub received_from: P,
    /// Its coefficient vector.
    pub coefficients: Bytes,
}

/// What a frame held, in the terms of the trace schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcMeta {
    /// Messages of which the frame carries a (piece of a) shard.
    pub shards: Vec<MessageId>,
    /// Topics subscribed (true) or left (false).
    pub subscriptions: Vec<(bool, Topic)>,
    /// News: topic and the messages named.
    pub ihave: Vec<(Topic, Vec<MessageId>)>,
    /// Messages asked for.
    pub iwant: Vec<MessageId>,
    /// Topics grafted.
    pub graft: Vec<Topic>,
    /// Topics pruned.
    pub prune: Vec<Topic>,
    /// Messages no longer wanted.
    pub idontwant: Vec<MessageId>,
}

impl<P: PeerName> Output<P> {
    /// Returns the peer that the output is about, if it is about one.
    pub fn peer(&self) -> Option<P> {
        match self {
            Self::DataReady(peer) | Self::ControlReady(peer) | Self::Disconnect { peer, .. } => {
                Some(*peer)
            }
            Self::Deliver(_)
            | Self::Published { .. }
            | Self::PublishRefused { .. }
            | Self::PublishRoom
            | Self::Trace(_)
            | Self::Work(..) => None,
        }
    }
}
