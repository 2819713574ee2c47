//! What the network asks of a node, whatever protocol it speaks.

use std::time::{Duration, Instant};

use bytes::Bytes;

pub use gossip::{Direction, MessageId};

/// A node of the network, by its place in the topology.
pub type NodeId = u32;

/// The streams of a connection: each is ordered, and neither waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small and urgent: leaves before data of the same connection that has not begun to leave.
    Control,
    /// The messages.
    Data,
}

/// What a node gives to its connection.
#[derive(Clone, Debug)]
pub struct Outgoing<F> {
    /// What the other side takes.
    pub frame: F,
    /// Bytes on the stream, payload times scale.
    pub bytes: u32,
    /// Of those, what is (a part of) a message itself or of a shard of one, scaled: all that costs
    /// where only payload does.
    pub payload_bytes: u32,
}

/// What a node does to the world beside its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`Protocol::next_frame`] may have a frame for the peer, until that returns `None`.
    Ready(NodeId, Lane),
    /// A verified message came; an own one too. Named by [`gossip::message_id`] of its payload.
    Delivered(MessageId),
    /// Work that takes `time` on a core; [`Protocol::on_work_done`] ends it.
    Work {
        /// Names the work within the node.
        id: u64,
        /// What it costs.
        time: Duration,
    },
    /// The node ends the connection and keeps the peer away.
    Convicted(NodeId),
}

/// What a node has counted of payload bytes received; scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// They brought the message nearer.
    pub useful: u64,
    /// Held already.
    pub duplicate: u64,
    /// Combinations of what was held.
    pub dependent: u64,
    /// Of messages that were complete.
    pub late: u64,
    /// Signed headers and paths.
    pub header: u64,
    /// Coefficient vectors.
    pub coefficients: u64,
}

/// One node of a protocol: decides everything, does nothing. After each call [`Protocol::poll_event`]
/// is drained.
pub trait Protocol {
    /// What travels.
    type Frame;

    /// The connection to `peer` is open.
    fn on_connected(&mut self, now: Instant, peer: NodeId, direction: Direction);

    /// The connection to `peer` is gone, with everything on the way.
    fn on_disconnected(&mut self, now: Instant, peer: NodeId);

    /// A frame came whole.
    fn on_frame(&mut self, now: Instant, peer: NodeId, lane: Lane, frame: Self::Frame);

    /// The application publishes in the one topic of the network, which every node has joined.
    /// `payload` has the message's bytes divided by the scale.
    fn publish(&mut self, now: Instant, payload: Bytes);

    /// Work given out by [`Event::Work`] is done.
    fn on_work_done(&mut self, now: Instant, id: u64);

    /// Chooses the next frame for `peer`.
    fn next_frame(
        &mut self,
        now: Instant,
        peer: NodeId,
        lane: Lane,
    ) -> Option<Outgoing<Self::Frame>>;

    /// When [`Protocol::handle_timeout`] is to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);

    /// What is to be done, until `None`.
    fn poll_event(&mut self) -> Option<Event>;

    /// What was received so far.
    fn received(&self) -> Received;

    /// What the protocol cost so far on a core, by rates measured and bytes handled: the same on
    /// every machine.
    fn cpu(&self) -> Duration;
}
