//! The wire format: bytes ⇄ types. `docs/protocol.md` has every byte; `tests/golden` holds vectors
//! that change on purpose only.
//!
//! Decoding never panics, allocates in proportion to the frame at most, and slices payload out of
//! the frame instead of copying it.

mod acknowledgement;
mod bitmap;
mod control;
mod data;
mod error;
mod header;
mod reader;
mod varint;
mod writer;

#[cfg(test)]
mod adaptive_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::{Commitment, GenerationId, HeaderHash, MessageId, SignedHeader, Topic};

pub use bitmap::Bitmap;
pub use control::{
    CONTROL_ENTRIES_MAX, ControlWriter, IDONTWANT_HEADERS_MAX, IHAVE_NEWS_MAX, decode_control,
    encode_control,
};
pub use error::WireError;
pub(crate) use header::encode_header;
pub use header::{CLUSTER_BYTES_MAX, GENERATIONS_MAX, PUBLIC_KEY_BYTES_MAX, ROOT_BYTES};

/// The protocol's major version, part of every protocol id and of the signed domain.
pub const VERSION: u32 = 1;

/// The most payload of a shard that one data frame carries, so that control never waits long
/// behind data.
pub const PIECE_BYTES_MAX: usize = 16 << 10;

/// The longest frame that is read, either stream: a piece, a header and room for k coefficients.
pub const FRAME_BYTES_MAX: usize = PIECE_BYTES_MAX + (8 << 10);

/// The longest encoded header without signature.
pub const HEADER_BYTES_MAX: usize = 2 << 10;

/// The longest signature: 64 bytes for Ed25519, at most 72 for secp256k1 in DER.
pub const SIGNATURE_BYTES_MAX: usize = 128;

/// The longest path from a fragment to the root: as many levels as the tree of a generation has
/// over [`rlnc::FRAGMENTS_MAX`] leaves, and the one above over [`GENERATIONS_MAX`].
pub const PATH_HASHES_MAX: usize = rlnc::FRAGMENTS_MAX.next_power_of_two().ilog2() as usize
    + GENERATIONS_MAX.next_power_of_two().ilog2() as usize;

/// A frame to be written: `head`, then `body`. Two parts so that payload is not copied into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Everything before the payload.
    pub head: Bytes,
    /// Payload; may be empty.
    pub body: Bytes,
}

impl Frame {
    /// Returns the length of both parts.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns both parts in one, copying.
    pub fn to_bytes(&self) -> Bytes {
        [&self.head[..], &self.body[..]].concat().into()
    }
}

/// What one data frame carries. All parts are optional; a frame without any is malformed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFrame {
    /// First on every data stream: the number that acknowledgements of this stream repeat.
    pub epoch: Option<u32>,
    /// An acknowledgement of the data going the other way.
    pub acknowledgement: Option<Acknowledgement>,
    /// The header of the shard that follows, where the peer is not known to have it.
    pub header: Option<SignedHeader>,
    /// A shard or a piece of one. Not with a fragment.
    pub piece: Option<Piece>,
    /// A fragment.
    pub fragment: Option<Fragment>,
}

/// A fragment, whole, with its padding: what the publisher committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Of which generation.
    pub generation: GenerationId,
    /// Which one, from 0.
    pub index: u16,
    /// How many nodes it passed since its publisher: 0 from the publisher itself.
    pub hops: u8,
    /// What leads from it to the root in the header: the other child at each level, from the
    /// fragment up; at most [`PATH_HASHES_MAX`]. Nothing for a message that is one fragment.
    pub path: Vec<Commitment>,
    /// The bytes, 1 to [`PIECE_BYTES_MAX`].
    pub bytes: Bytes,
}

/// A shard, or a piece of one: the bytes of it from `offset` on.
///
/// The pieces of a shard come in order; other pieces of other generations may come between. The
/// last one ends at the fragment's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which generation.
    pub generation: GenerationId,
    /// Where in the shard the bytes begin; 0 for the first piece.
    pub offset: u32,
    /// What only the first piece carries.
    pub start: Option<ShardStart>,
    /// The bytes, 1 to [`PIECE_BYTES_MAX`].
    pub bytes: Bytes,
}

/// What the first piece of a shard carries beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardStart {
    /// The number the publisher gave the shard when it made it; none if a relay recoded it.
    pub publisher_index: Option<u16>,
    /// The coefficient vector: one byte for each fragment of the generation.
    pub coefficients: Bytes,
}

/// How much of a data stream was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The number the stream began with.
    pub epoch: u32,
    /// All bytes of frames taken from it, cumulative (payload × scale in simulation).
    pub bytes: u64,
    /// How long the newest of them waited for this acknowledgement to leave.
    pub waited: Duration,
}

/// One entry of a control frame; a frame holds 1 or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// First on every control stream: forget which topics I subscribed before.
    Hello,
    /// I am subscribed to the topic.
    Subscribe(Topic),
    /// I am no longer.
    Unsubscribe(Topic),
    /// You are in my mesh of the topic.
    Graft(Topic),
    /// You are not, and are not to graft me for `backoff`.
    Prune {
        /// Which topic.
        topic: Topic,
        /// How long; whole seconds on the wire, rounded up.
        backoff: Duration,
    },
    /// I hold these messages.
    IHave {
        /// Their topic.
        topic: Topic,
        /// Which.
        news: Vec<News>,
    },
    /// Send me shards of this generation.
    IWant {
        /// Which generation.
        generation: GenerationId,
        /// How many shards, at least 1.
        shards: u16,
    },
    /// I have decoded these: send no more shards.
    IDontWant(Vec<HeaderHash>),
    /// I do not take this message from you.
    Refuse {
        /// Its header.
        header: HeaderHash,
        /// Why.
        reason: RefuseReason,
    },
    /// You asked for a message that I no longer keep.
    Gone(HeaderHash),
    /// How much of your data stream I took.
    Acknowledge(Acknowledgement),
    /// Answer with the same number, at once: how far away are you?
    Probe(u32),
    /// The number of a probe.
    Echo(u32),
    /// You are a data peer of mine for the topic.
    DataGraft(Topic),
    /// You are not, and are not to graft me for data for `backoff`.
    DataPrune {
        /// Which topic.
        topic: Topic,
        /// How long; whole seconds on the wire, rounded up.
        backoff: Duration,
    },
    /// Send me, unasked, the fragments whose index leaves `part` when divided by `parts`.
    Feed {
        /// Of messages of which topic.
        topic: Topic,
        /// The remainder, below `parts`, or 0.
        part: u8,
        /// Among how many peers I share this out; 0: send nothing unasked.
        parts: u8,
    },
    /// I hold these fragments.
    Have {
        /// Of which generation.
        generation: GenerationId,
        /// Which.
        fragments: Bitmap,
    },
    /// Send me these fragments.
    Want {
        /// Of which generation.
        generation: GenerationId,
        /// Which; at least one.
        fragments: Bitmap,
    },
}

impl Control {
    /// Returns whether only profile `adaptive` has the entry.
    pub fn is_adaptive(&self) -> bool {
        matches!(
            self,
            Self::Probe(_)
                | Self::Echo(_)
                | Self::DataGraft(_)
                | Self::DataPrune { .. }
                | Self::Feed { .. }
                | Self::Have { .. }
                | Self::Want { .. }
        )
    }
}

/// One message in an IHAVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct News {
    /// What names it on the wire.
    pub header: HeaderHash,
    /// Its verified id, so that who has it under another header need not ask.
    pub message: MessageId,
}

/// Why a header is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefuseReason {
    /// Not subscribed to its topic. Later: a subscription may come.
    NotSubscribed,
    /// Too much is open at the moment. Later.
    Busy,
    /// Too many headers claim its message id at the moment. Later.
    TooManyClaims,
    /// Its message was delivered already. Final.
    Seen,
    /// Its sequence number was used or is too old. Final.
    Replayed,
    /// Its publisher signed two messages under one sequence number. Final.
    Barred,
    /// It is of another cluster. Final.
    OtherCluster,
    /// Its payload is longer than this node takes. Final.
    TooLarge,
    /// Its shape is impossible or not of this profile. Final.
    Shape,
    /// Its shards came, it did not: send it again before the next shard. Later, at once.
    NoHeader,
    /// What it decodes to is not what it claims. Final.
    Polluted,
}

impl RefuseReason {
    /// Returns whether it may be offered again at the next heartbeat.
    pub fn is_later(self) -> bool {
        match self {
            Self::NotSubscribed | Self::Busy | Self::TooManyClaims | Self::NoHeader => true,
            Self::Seen
            | Self::Replayed
            | Self::Barred
            | Self::OtherCluster
            | Self::TooLarge
            | Self::Shape
            | Self::Polluted => false,
        }
    }
}
