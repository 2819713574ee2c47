//! Collecting shards until there are enough.

use std::{fmt, ops::Range};

use gf256::Kernel;
use rand::Rng;

use crate::{DecodeTask, Recipe, Shape, Shard, columns, elimination::Elimination};

/// Collects the shards of a generation, recodes them, and decodes when there are enough.
///
/// Whether a shard is innovative is decided on its coefficient vector alone. Payloads stay as they
/// came; no byte of them is touched before a [`DecodeTask`] runs or a recoded shard is written.
///
/// # Memory
///
/// With `k` fragments, at most `k` shards are held, so a decoder takes at most
/// `k · fragment_bytes + 3 · k²` bytes and a few words for each shard: the payloads, their
/// coefficient vectors, and `2 · k²` for the elimination (196,608 bytes beside the payloads at
/// `k` = 256). A shard whose bytes are a slice of a larger buffer keeps that buffer.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use rlnc::{Absorbed, Decoder, Encoder, Shape};
///
/// let payload = Bytes::from_static(b"hello, mesh");
/// let shape = Shape::for_payload(payload.len() as u64, 2).unwrap();
/// let encoder = Encoder::new(shape, payload.clone()).unwrap();
///
/// let mut decoder = Decoder::new(shape);
/// let shard = encoder.shard(Bytes::from_static(&[3, 5])).unwrap();
/// assert_eq!(decoder.absorb(shard.clone()), Absorbed::Innovative);
/// assert_eq!(decoder.absorb(shard), Absorbed::Redundant);
/// assert!(decoder.task().is_none());
///
/// let shard = encoder.shard(Bytes::from_static(&[3, 6])).unwrap();
/// assert_eq!(decoder.absorb(shard), Absorbed::Innovative);
/// let decoded = decoder.task().unwrap().run(payload.len() as u64);
/// let message = decoded.verify(|bytes| bytes.starts_with(b"hello")).unwrap();
/// assert_eq!(message.into_bytes(), payload);
/// ```
#[derive(Clone)]
pub struct Decoder {
    shape: Shape,
    elimination: Elimination,
    held: Vec<Shard>,
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

impl Absorbed {
    /// Returns whether the shard raised the rank.
    pub const fn is_innovative(self) -> bool {
        matches!(self, Self::Innovative)
    }
}

impl Decoder {
    /// Returns a decoder that holds nothing yet.
    pub fn new(shape: Shape) -> Self {
        let elimination = Elimination::new(usize::from(shape.fragments()));
        Self { shape, elimination, held: Vec::new() }
    }

    /// Returns how the generation is cut.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes a shard if it is innovative. At full rank no shard is.
    ///
    /// # Panics
    ///
    /// When the shard was parsed for another shape.
    pub fn absorb(&mut self, shard: Shard) -> Absorbed {
        let got = (shard.coefficients().len(), shard.payload().len());
        let expected = (usize::from(self.shape.fragments()), self.shape.fragment_bytes() as usize);
        assert!(
            got == expected,
            "a shard for (fragments, fragment bytes) {got:?} in a decoder for {expected:?}"
        );
        if !self.elimination.insert(shard.coefficients()) {
            return Absorbed::Redundant;
        }
        self.held.push(shard);
        Absorbed::Innovative
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

    /// Returns the work of decoding once the rank is full. It shares the payloads with the
    /// decoder and costs little to make; running it is what takes time.
    pub fn task(&self) -> Option<DecodeTask> {
        let inverse = self.elimination.inverse()?;
        let payloads = self.held.iter().map(|shard| shard.payload().clone()).collect();
        Some(DecodeTask { shape: self.shape, inverse, payloads })
    }

    /// Returns a random combination of everything held, `None` when nothing is.
    ///
    /// The weights are bytes of `rng`; when all of them are zero, the first one is 1 instead. The
    /// shards held are independent, so the resulting coefficient vector is never zero.
    pub fn recipe(&self, rng: &mut impl Rng) -> Option<Recipe> {
        if self.held.is_empty() {
            return None;
        }
        let mut weights = vec![0; self.held.len()];
        rng.fill_bytes(&mut weights);
        if weights.iter().all(|&weight| weight == 0) {
            weights[0] = 1;
        }
        let sources: Vec<(u8, &[u8])> = weights
            .iter()
            .zip(&self.held)
            .map(|(&weight, shard)| (weight, shard.coefficients().as_ref()))
            .collect();
        let mut coefficients = vec![0; usize::from(self.shape.fragments())];
        Kernel::best().combine(&mut coefficients, &sources);
        Some(Recipe { weights, coefficients: coefficients.into() })
    }

    /// Writes the columns `range` of a recoded shard over `out`.
    ///
    /// # Panics
    ///
    /// When the recipe asks for more shards than are held, so that it is another decoder's; when
    /// the range goes beyond a fragment; or when `out` is not as long as the range.
    pub fn write_range(&self, recipe: &Recipe, range: Range<usize>, out: &mut [u8]) {
        columns::assert_range(&range, self.shape.fragment_bytes(), out);
        assert!(
            recipe.weights.len() <= self.held.len(),
            "a recipe of {} shards for a decoder that holds {}",
            recipe.weights.len(),
            self.held.len()
        );
        let payloads = self.held.iter().map(|shard| shard.payload().as_ref());
        columns::combine(out, &range, &recipe.weights, payloads);
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
