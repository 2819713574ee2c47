//! The life of one message on this node: own or open, decoding, complete.

mod link;
mod store;

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use rand_chacha::rand_core::Rng;
use rlnc::{Decoder, Encoder, Shape};

pub(crate) use self::{
    link::{Link, Sending, Source},
    store::{Admission, Messages},
};
use crate::{
    GenerationId, HeaderHash, PeerName, SignedHeader, Topic,
    wire::{Piece, ShardStart},
};

/// One message on this node. In profile `documented` it is one generation.
#[derive(Debug)]
pub(crate) struct Message<P> {
    pub(crate) hash: HeaderHash,
    pub(crate) signed: Arc<SignedHeader>,
    pub(crate) shape: Shape,
    pub(crate) phase: Phase,
    /// Who first brought the header and pays for it; `None` for our own.
    pub(crate) brought_by: Option<P>,
    /// When an innovative shard came last, or the message began.
    pub(crate) progressed: Instant,
    /// The publisher's shards held, by the number it gave them.
    pub(crate) publisher_shards: BTreeMap<u16, PublisherShard>,
    pub(crate) links: BTreeMap<P, Link>,
    /// Who sent the shard that was the last one missing.
    pub(crate) completed_by: Option<P>,
    /// Whole shards sent, to all.
    pub(crate) shards_sent: u64,
    /// Decodes that were not what the header claims.
    pub(crate) failures: u8,
    /// Heartbeats that it is still kept, once complete.
    pub(crate) heartbeats_left: u32,
    /// Whether, at the last heartbeat, it was still being sent to somebody.
    pub(crate) is_leaving: bool,
    /// Heartbeats at which it was.
    pub(crate) leaving_heartbeats: u32,
    /// Heartbeats that it is still told of, once complete.
    pub(crate) news_left: u32,
}

/// A shard of the publisher's.
#[derive(Clone, Debug)]
pub(crate) struct PublisherShard {
    pub(crate) coefficients: Bytes,
    /// Its place in the decoder, while there is one.
    pub(crate) row: usize,
}

/// How far a message is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Shards are missing.
    Open(Decoder),
    /// None is missing; the payload is being decoded and checked.
    Decoding(Arc<Decoder>),
    /// Verified.
    Complete(Encoder),
}

/// A piece chosen for a peer, and what it was.
#[derive(Debug)]
pub(crate) struct NextPiece {
    pub(crate) piece: Piece,
    /// Set when the piece completes its shard: whether a relay coded it anew.
    pub(crate) completes: Option<Completed>,
}

/// A whole shard that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// It is a combination of shards received.
    pub(crate) recoded: bool,
}

impl<P: PeerName> Message<P> {
    pub(crate) fn topic(&self) -> &Topic {
        &self.signed.header.topic
    }

    pub(crate) fn payload_bytes(&self) -> u64 {
        self.signed.header.payload_bytes
    }

    pub(crate) fn generation(&self) -> GenerationId {
        GenerationId { header: self.hash, index: 0 }
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Complete(_))
    }

    pub(crate) fn is_own(&self) -> bool {
        self.brought_by.is_none()
    }

    /// Returns the bytes set aside for shards that come in pieces.
    pub(crate) fn partial_bytes(&self) -> u64 {
        let partial = self.links.values().filter(|link| link.receiving.is_some()).count() as u64;
        partial * u64::from(self.shape.fragment_bytes())
    }

    /// Returns how many independent shards are held.
    pub(crate) fn rank(&self) -> u16 {
        match &self.phase {
            Phase::Open(decoder) => decoder.rank(),
            Phase::Decoding(_) | Phase::Complete(_) => self.shape.fragments(),
        }
    }

    /// Chooses and codes the next piece for `peer`, at most `bytes_max` long; `None` when it wants
    /// none. The coding happens here, for these columns only, so that nothing coded waits.
    pub(crate) fn next_piece(
        &mut self,
        peer: P,
        bytes_max: usize,
        rng: &mut impl Rng,
    ) -> Option<NextPiece> {
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let generation = self.generation();
        let link = self.links.get_mut(&peer).filter(|link| link.wants())?;
        let mut sending = match link.sending.take() {
            Some(sending) => sending,
            None => begin(link, &self.phase, &self.publisher_shards, self.shape, rng)?,
        };
        let offset = sending.offset;
        let end = fragment_bytes.min(offset + bytes_max);
        let bytes = self.phase.read(&sending, offset..end);
        let start = (offset == 0).then(|| sending.start.clone());
        let completes = (end == fragment_bytes)
            .then_some(Completed { recoded: matches!(sending.source, Source::Recoded(_)) });
        sending.offset = end;
        link.sending = completes.is_none().then_some(sending);
        self.shards_sent += u64::from(completes.is_some());
        let piece = Piece { generation, offset: offset as u32, start, bytes };
        Some(NextPiece { piece, completes })
    }
}

/// Begins the next shard for a peer: the publisher's first, in their order, then one coded anew.
fn begin(
    link: &mut Link,
    phase: &Phase,
    publisher_shards: &BTreeMap<u16, PublisherShard>,
    shape: Shape,
    rng: &mut impl Rng,
) -> Option<Sending> {
    while let Some(index) = link.due.pop_first() {
        let Some(shard) = publisher_shards.get(&index) else { continue };
        link.known.insert(index);
        let coefficients = shard.coefficients.clone();
        let start = ShardStart { publisher_index: Some(index), coefficients };
        return Some(Sending { start, source: Source::Held(shard.row), offset: 0 });
    }
    link.coded_due = link.coded_due.checked_sub(1)?;
    let (coefficients, source) = match phase.decoder() {
        Some(decoder) => {
            let recipe = decoder.recipe(rng)?;
            (recipe.coefficients().clone(), Source::Recoded(recipe))
        }
        None => (random_coefficients(shape, rng), Source::Fragments),
    };
    let start = ShardStart { publisher_index: None, coefficients };
    Some(Sending { start, source, offset: 0 })
}

/// Returns the bytes of a shard made of those held.
fn read_held(decoder: &Decoder, sending: &Sending, range: Range<usize>) -> Bytes {
    match &sending.source {
        Source::Held(row) => decoder.held()[*row].payload().slice(range),
        Source::Recoded(recipe) => {
            let mut bytes = BytesMut::zeroed(range.len());
            decoder.write_range(recipe, range, &mut bytes);
            bytes.freeze()
        }
        Source::Fragments => {
            unreachable!("fragments are there only when the message is complete, for good")
        }
    }
}

fn random_coefficients(shape: Shape, rng: &mut impl Rng) -> Bytes {
    let mut coefficients = vec![0; usize::from(shape.fragments())];
    rng.fill_bytes(&mut coefficients);
    if coefficients.iter().all(|&coefficient| coefficient == 0) {
        coefficients[0] = 1;
    }
    coefficients.into()
}

impl Phase {
    /// Returns the shards, until the message is complete.
    fn decoder(&self) -> Option<&Decoder> {
        match self {
            Self::Open(decoder) => Some(decoder),
            Self::Decoding(decoder) => Some(decoder),
            Self::Complete(_) => None,
        }
    }

    /// Returns the bytes of a shard in the columns `range`. A shard held as it is, is not copied.
    fn read(&self, sending: &Sending, range: Range<usize>) -> Bytes {
        match self {
            Self::Complete(encoder) => {
                let mut bytes = BytesMut::zeroed(range.len());
                encoder.write_range(&sending.start.coefficients, range, &mut bytes);
                bytes.freeze()
            }
            Self::Open(decoder) => read_held(decoder, sending, range),
            Self::Decoding(decoder) => read_held(decoder, sending, range),
        }
    }
}
