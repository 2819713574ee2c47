//! Collecting shards until there are enough, and computing the fragments from them.

use std::fmt;

use gf256::Kernel;
use thiserror::Error;

use crate::{
    Decoded, FRAGMENTS_MAX, Pool, Shape, Shard,
    columns::{Outputs, Slices},
    elimination::Elimination,
    scratch::product,
    shard::plain,
};

/// Collects the shards of a generation, recodes them, and decodes when there are enough.
///
/// Whether a shard is innovative is decided on its coefficient vector alone. Payloads stay as they
/// came; no byte of them is touched before they are decoded or a recoded shard is written.
///
/// # Memory
///
/// With `k` fragments, at most `k` shards are held, so a decoder takes at most
/// `k · fragment_bytes + k² + k · ⌈k / 64⌉ · 64` bytes and a few words for each shard: the
/// payloads, their coefficient vectors, and the elimination (131,072 bytes beside the payloads at
/// `k` = 256). A shard whose bytes are a slice of a larger buffer keeps that buffer.
/// [`Decoder::clear`] keeps the room for the next generation.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use rlnc::{Absorbed, Decoder, Encoder, NotFull, Pool, Shape};
///
/// let payload = Bytes::from_static(b"hello, mesh");
/// let shape = Shape::for_payload(payload.len() as u64, 2).unwrap();
/// let encoder = Encoder::new(shape, payload.clone()).unwrap();
/// let pool = Pool::new(1 << 20);
///
/// let mut decoder = Decoder::new(shape);
/// let shard = encoder.shard(Bytes::from_static(&[3, 5])).unwrap();
/// assert_eq!(decoder.absorb(shard.clone()), Ok(Absorbed::Innovative));
/// assert_eq!(decoder.absorb(shard), Ok(Absorbed::Redundant));
/// assert_eq!(decoder.decode(11, &pool).unwrap_err(), NotFull { rank: 1, fragments: 2 });
///
/// let shard = encoder.shard(Bytes::from_static(&[3, 6])).unwrap();
/// assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
/// let decoded = decoder.decode(11, &pool).unwrap();
/// let message = decoded.verify(|bytes| bytes.starts_with(b"hello")).unwrap();
/// assert_eq!(message.into_bytes(), payload);
/// ```
#[derive(Clone)]
pub struct Decoder {
    pub(crate) kernel: Kernel,
    pub(crate) shape: Shape,
    elimination: Elimination,
    pub(crate) held: Vec<Shard>,
}

/// What a shard was worth.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absorbed {
    /// It raised the rank and is held.
    Innovative,
    /// It is a combination of what is held already, and was dropped.
    Redundant,
}

/// The shard was parsed for another shape than the decoder's, and was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a shard of {got_fragments} coefficients and {got_bytes} bytes: this generation has \
     {fragments} fragments of {fragment_bytes} bytes"
)]
pub struct OtherShape {
    /// The number of fragments of the decoder's shape.
    pub fragments: u16,
    /// The length of its fragments.
    pub fragment_bytes: u32,
    /// The number of coefficients of the shard.
    pub got_fragments: usize,
    /// The length of its payload.
    pub got_bytes: usize,
}

/// Shards are missing: there are fewer independent ones than fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("rank {rank} of {fragments}: {} more independent shards are needed", fragments - rank)]
pub struct NotFull {
    /// How many independent shards are held.
    pub rank: u16,
    /// How many fragments there are.
    pub fragments: u16,
}

impl Absorbed {
    /// Returns whether the shard raised the rank.
    pub const fn is_innovative(self) -> bool {
        matches!(self, Self::Innovative)
    }
}

impl Decoder {
    /// Returns a decoder that holds nothing yet.
    pub fn new(shape: Shape) -> Self {
        Self::with_kernel(shape, Kernel::best())
    }

    /// Returns a decoder that holds nothing yet and computes by this kernel, for comparisons.
    pub fn with_kernel(shape: Shape, kernel: Kernel) -> Self {
        let fragments = usize::from(shape.fragments());
        let elimination = Elimination::new(kernel, fragments);
        Self { kernel, shape, elimination, held: Vec::with_capacity(fragments) }
    }

    /// Forgets all shards and begins anew, with a generation of this shape, in the same room.
    pub fn clear(&mut self, shape: Shape) {
        let fragments = usize::from(shape.fragments());
        self.shape = shape;
        self.elimination.clear(fragments);
        self.held.clear();
        self.held.reserve(fragments);
    }

    /// Returns how the generation is cut.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes a shard if it is innovative. At full rank no shard is.
    ///
    /// # Errors
    ///
    /// When the shard was parsed for another shape.
    pub fn absorb(&mut self, shard: Shard) -> Result<Absorbed, OtherShape> {
        let (fragments, fragment_bytes) = (self.shape.fragments(), self.shape.fragment_bytes());
        let (got_fragments, got_bytes) = (shard.coefficients().len(), shard.payload().len());
        if got_fragments != usize::from(fragments) || got_bytes != fragment_bytes as usize {
            return Err(OtherShape { fragments, fragment_bytes, got_fragments, got_bytes });
        }
        if !self.elimination.insert(shard.coefficients()) {
            return Ok(Absorbed::Redundant);
        }
        self.held.push(shard);
        Ok(Absorbed::Innovative)
    }

    /// Returns how many independent shards are held.
    pub fn rank(&self) -> u16 {
        self.elimination.rank() as u16
    }

    /// Returns whether there are as many independent shards as fragments.
    pub fn is_full(&self) -> bool {
        self.rank() == self.shape.fragments()
    }

    /// Returns the shards held, in the order in which they came.
    pub fn held(&self) -> &[Shard] {
        &self.held
    }

    /// Computes the first `payload_bytes` bytes of the fragments, or all, if there are fewer, into
    /// a buffer of `pool`.
    ///
    /// It takes `fragments² · fragment_bytes` products at most; a fragment that was received as it
    /// is, is copied. The decoder is only read, so this may run on another thread, behind an
    /// `Arc`, while it recodes.
    ///
    /// # Errors
    ///
    /// When the rank is not full.
    pub fn decode(&self, payload_bytes: u64, pool: &Pool) -> Result<Decoded, NotFull> {
        self.full()?;
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let mut payload = pool.take(payload_bytes.min(self.shape.generation_bytes()) as usize);
        for shard in &self.held {
            let Some(index) = shard.plain() else { continue };
            let Some(fragment) = payload.chunks_mut(fragment_bytes).nth(index) else { continue };
            fragment.copy_from_slice(&shard.payload()[..fragment.len()]);
        }
        self.decode_missing(&mut payload)?;
        Ok(Decoded::new(payload))
    }

    /// Computes those fragments of `payload` that were not received as they are, and leaves the
    /// others, which the caller has put in their place or needs no more.
    ///
    /// Nobody vouched for the bytes, see [`Decoded`]: check them before any use. A payload shorter
    /// than the fragments together is computed as far as it reaches; what is behind the fragments
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// When the rank is not full.
    pub fn decode_missing(&self, payload: &mut [u8]) -> Result<(), NotFull> {
        self.full()?;
        let fragment_bytes = self.shape.fragment_bytes() as usize;
        let mut fragments: [&mut [u8]; FRAGMENTS_MAX as usize] =
            std::array::from_fn(|_| &mut [][..]);
        for (slot, fragment) in fragments.iter_mut().zip(payload.chunks_mut(fragment_bytes)) {
            *slot = fragment;
        }
        let mut whole = Outputs::new();
        let mut cut = None;
        for (index, weights) in self.elimination.inverse() {
            let fragment = std::mem::take(&mut fragments[index]);
            if plain(weights).is_some() {
                continue;
            }
            if fragment.len() == fragment_bytes {
                whole.push((weights, fragment));
            } else if !fragment.is_empty() {
                cut = Some((weights, fragment));
            }
        }
        let sources = self.sources(fragment_bytes);
        product(self.kernel, whole, &sources);
        // At most one fragment is cut by the end of the payload; those behind it are not needed.
        if let Some((weights, fragment)) = cut {
            let sources = self.sources(fragment.len());
            self.kernel.combine(fragment, weights, &sources);
        }
        Ok(())
    }

    /// Returns the first `columns` of all payloads, in the order in which the rows of the inverse
    /// have their weights. Payloads are only read in that order; nothing is moved.
    fn sources(&self, columns: usize) -> Slices<'_> {
        let mut sources = [&[][..]; FRAGMENTS_MAX as usize];
        for (shard, &pivot) in self.held.iter().zip(self.elimination.pivots()) {
            sources[usize::from(pivot)] = &shard.payload()[..columns];
        }
        sources.into_iter().take(self.held.len()).collect()
    }

    fn full(&self) -> Result<(), NotFull> {
        let (rank, fragments) = (self.rank(), self.shape.fragments());
        if rank == fragments { Ok(()) } else { Err(NotFull { rank, fragments }) }
    }
}

impl fmt::Debug for Decoder {
    /// Writes shape and rank, not the shards.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("shape", &self.shape)
            .field("rank", &self.rank())
            .finish_non_exhaustive()
    }
}
