//! The life of one message on this node: own or open, decoding, complete.

mod combinations;
mod exchange;
mod link;
mod offered;
mod spread;
mod store;

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use rand_chacha::rand_core::Rng;
use rlnc::{Decoder, Encoder, Shape};

pub(crate) use self::{
    combinations::Combinations,
    exchange::{Due, Exchange},
    link::{Link, Sending, Source},
    offered::{Askable, Offered},
    spread::Spread,
    store::{Admission, Messages, open_bytes},
};
use crate::{
    GenerationId, HeaderHash, PeerName, SignedHeader, Topic,
    holding::Holding,
    wire::{Bitmap, Piece, ShardStart},
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
    /// What its peer was charged for it as long as it is open.
    pub(crate) charged_bytes: u64,
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
    /// How its fragments spread; of no use in profile `documented`.
    pub(crate) spread: Spread<P>,
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
    /// Profile `adaptive`: fragments are missing.
    Gathering(Holding),
    /// Profile `adaptive`: none is missing; the whole is being checked.
    Checking(Holding),
    /// Profile `adaptive`: verified.
    Kept(Holding),
}

/// What is sent next to a peer.
#[derive(Debug)]
pub(crate) enum Next {
    /// A piece of a shard.
    Piece(NextPiece),
    /// A fragment.
    Fragment(Due, Bytes),
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
    /// Makes a message of which nothing was sent.
    pub(crate) fn new(
        hash: HeaderHash,
        signed: Arc<SignedHeader>,
        shape: Shape,
        phase: Phase,
        brought_by: Option<P>,
        now: Instant,
    ) -> Self {
        let generations = match &phase {
            Phase::Gathering(holding) | Phase::Checking(holding) | Phase::Kept(holding) => {
                holding.generations()
            }
            Phase::Open(_) | Phase::Decoding(_) | Phase::Complete(_) => 0,
        };
        Self {
            hash,
            signed,
            shape,
            phase,
            brought_by,
            charged_bytes: 0,
            progressed: now,
            publisher_shards: BTreeMap::new(),
            links: BTreeMap::new(),
            completed_by: None,
            shards_sent: 0,
            failures: 0,
            is_leaving: false,
            leaving_heartbeats: 0,
            heartbeats_left: 0,
            news_left: 0,
            spread: Spread::new(generations),
        }
    }

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
        matches!(self.phase, Phase::Complete(_) | Phase::Kept(_))
    }

    /// Returns the fragments; `None` in profile `documented`.
    pub(crate) fn holding(&self) -> Option<&Holding> {
        match &self.phase {
            Phase::Gathering(holding) | Phase::Checking(holding) | Phase::Kept(holding) => {
                Some(holding)
            }
            Phase::Open(_) | Phase::Decoding(_) | Phase::Complete(_) => None,
        }
    }

    /// Returns the fragments to take more; `None` in profile `documented`.
    pub(crate) fn holding_mut(&mut self) -> Option<&mut Holding> {
        match &mut self.phase {
            Phase::Gathering(holding) | Phase::Checking(holding) | Phase::Kept(holding) => {
                Some(holding)
            }
            Phase::Open(_) | Phase::Decoding(_) | Phase::Complete(_) => None,
        }
    }

    /// Returns whether all fragments left to the peer or are known to be there.
    pub(crate) fn is_held_by(&self, link: &Link) -> bool {
        let Some(holding) = self.holding() else { return false };
        let k = holding.fragments();
        (0..holding.generations() as u16)
            .all(|generation| (0..k).all(|index| link.exchange.has(generation, index)))
    }

    /// Returns the fragments of a generation that fewer than half of those hold who tell of any:
    /// who was sent them first may keep them for itself.
    pub(crate) fn rare(&self, generation: u16) -> Bitmap {
        let told = self.links.values().map(|link| link.exchange.told(generation));
        let tellers = told.filter(|told| !told.is_empty()).count();
        self.held_by_fewer(generation, (tellers / 2).max(2))
    }

    /// Returns the fragments of a generation that at most one tells of: who was sent them first.
    pub(crate) fn lonely(&self, generation: u16) -> Bitmap {
        self.held_by_fewer(generation, 2)
    }

    fn held_by_fewer(&self, generation: u16, few: usize) -> Bitmap {
        let told = self.links.values().map(|link| link.exchange.told(generation));
        let told: Vec<Bitmap> = told.filter(|told| !told.is_empty()).collect();
        let holders = |index: u16| told.iter().filter(|told| told.contains(index)).count();
        (0..self.shape.fragments()).filter(|&index| holders(index) < few).collect()
    }

    /// Returns how many fragments make the message.
    pub(crate) fn fragments(&self) -> u32 {
        self.holding().map_or(self.shape.fragments().into(), Holding::total)
    }

    /// Returns whether fragments of ours have not left at all.
    pub(crate) fn leaves_first(&self) -> bool {
        self.is_own()
            && self.holding().is_some_and(|all| !all.is_whole() && self.spread.first < all.total())
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
            Phase::Gathering(holding) | Phase::Checking(holding) | Phase::Kept(holding) => {
                holding.held_count() as u16
            }
        }
    }

    /// Chooses what is sent next to `peer`; `None` when it wants nothing.
    pub(crate) fn next(&mut self, peer: P, bytes_max: usize, rng: &mut impl Rng) -> Option<Next> {
        if self.holding().is_some() {
            if let Some((due, bytes)) = self.next_fragment(peer) {
                return Some(Next::Fragment(due, bytes));
            }
            return self.next_combination(peer, rng).map(Next::Piece);
        }
        self.next_piece(peer, bytes_max, rng).map(Next::Piece)
    }

    /// Chooses the next fragment for `peer`: one that has not left yet if it is among the first to
    /// get them, else the newest that it is to get.
    fn next_fragment(&mut self, peer: P) -> Option<(Due, Bytes)> {
        let link = self.links.get_mut(&peer).filter(|link| link.wants())?;
        let (Phase::Gathering(holding) | Phase::Checking(holding) | Phase::Kept(holding)) =
            &self.phase
        else {
            return None;
        };
        let due = if link.exchange.is_first {
            let k = u32::from(holding.fragments());
            let (generation, index) = (self.spread.first / k, self.spread.first % k);
            self.spread.first += 1;
            Due { generation: generation as u16, index: index as u16, hops: 0 }
        } else {
            link.exchange.next()?
        };
        let bytes = holding.fragment(due.generation, due.index)?;
        link.exchange.send(due);
        self.shards_sent += 1;
        if self.spread.first == holding.total() {
            self.links.values_mut().for_each(|link| link.exchange.is_first = false);
        }
        Some((due, bytes))
    }

    /// Makes the next combination for `peer`, of all fragments of a generation.
    fn next_combination(&mut self, peer: P, rng: &mut impl Rng) -> Option<NextPiece> {
        let link = self.links.get_mut(&peer).filter(|link| link.wants())?;
        let Phase::Kept(holding) = &self.phase else { return None };
        let index = link.exchange.next_combination()?;
        let coefficients = random_coefficients(self.shape, rng);
        let bytes = holding.combine(index, &coefficients)?;
        self.shards_sent += 1;
        let start = Some(ShardStart { publisher_index: None, coefficients });
        let generation = GenerationId { header: self.hash, index };
        let piece = Piece { generation, offset: 0, start, bytes };
        Some(NextPiece { piece, completes: Some(Completed { recoded: true }) })
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
            Self::Complete(_) | Self::Gathering(_) | Self::Checking(_) | Self::Kept(_) => None,
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
            Self::Gathering(_) | Self::Checking(_) | Self::Kept(_) => {
                unreachable!("fragments are not read in pieces")
            }
        }
    }
}
