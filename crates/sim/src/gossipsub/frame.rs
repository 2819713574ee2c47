//! What travels between two nodes, and how long it is on the stream.

use std::sync::Arc;

use crate::protocol::{MessageId, NodeId};

/// A message is written to the connection in pieces of at most so many bytes.
pub(super) const FRAME_BYTES: u64 = 16 * 1024;
/// A message's RPC beside the payload: length, author (38 bytes), sequence number, topic, tags.
pub(super) const MESSAGE_HEAD_BYTES: u32 = 90;
/// An RPC with GRAFT, PRUNE or a subscription: length, tags, a topic of 20 bytes.
const TOPIC_RPC_BYTES: u32 = 30;
/// What stands around the ids in IHAVE, IWANT and IDONTWANT.
const IDS_HEAD_BYTES: u32 = 8;
/// A SHA-256 with tag and length.
const ID_BYTES: u32 = 34;

/// A message as all nodes know it; its content is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is called.
    pub id: MessageId,
    /// Who published it; it is never sent back there.
    pub author: NodeId,
    /// Its length, payload times scale.
    pub bytes: u64,
}

/// One RPC, or a piece of one that has a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The sender is in the topic.
    Subscribe,
    /// The sender put the receiver into its mesh.
    Graft,
    /// The sender took the receiver out of its mesh.
    Prune,
    /// No copy of this message, please.
    IDontWant(MessageId),
    /// Messages that can be had.
    IHave(Arc<[MessageId]>),
    /// Messages asked for.
    IWant(Arc<[MessageId]>),
    /// The next bytes of a message; pieces of two messages never mix on a connection.
    Piece {
        /// Of what.
        message: Message,
        /// How many, scaled.
        bytes: u32,
        /// Whether the message is whole with it.
        last: bool,
    },
}

impl Frame {
    /// Length on the stream in bytes, but for pieces, whose head depends on their place.
    pub(super) fn control_bytes(&self) -> u32 {
        match self {
            Self::Subscribe | Self::Graft | Self::Prune => TOPIC_RPC_BYTES,
            Self::IDontWant(_) => IDS_HEAD_BYTES + ID_BYTES,
            Self::IHave(ids) => TOPIC_RPC_BYTES + ID_BYTES * ids.len() as u32,
            Self::IWant(ids) => IDS_HEAD_BYTES + ID_BYTES * ids.len() as u32,
            Self::Piece { .. } => 0,
        }
    }
}
