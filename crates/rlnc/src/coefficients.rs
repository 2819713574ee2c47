//! Coefficient vectors from a seed.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::Shape;

/// A generator of coefficient vectors: equal seeds give equal vectors, everywhere and for good.
///
/// The algorithm is `ChaCha12`: the seed is the key, the index is the stream number (the nonce), and
/// a vector is the first bytes of that stream. Should all of them be zero, as many are taken from
/// the next word of 4 bytes on that was not begun, and so on, so no vector is zero. But for that,
/// vectors of different shapes with one seed and index are prefixes of each other.
///
/// ```
/// use rlnc::{CoefficientSource, Shape};
///
/// let source = CoefficientSource::new([1; 32]);
/// let shape = Shape::new(16, 1024).unwrap();
/// assert_eq!(source.coefficients(shape, 5), source.coefficients(shape, 5));
/// assert_ne!(source.coefficients(shape, 5), source.coefficients(shape, 6));
/// ```
#[derive(Clone)]
pub struct CoefficientSource(ChaCha12Rng);

impl CoefficientSource {
    /// Returns the generator with this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Returns the vector number `index`: one coefficient for each fragment, not all of them zero.
    pub fn coefficients(&self, shape: Shape, index: u64) -> Vec<u8> {
        let mut coefficients = vec![0; usize::from(shape.fragments())];
        self.write(index, &mut coefficients);
        coefficients
    }

    /// Writes the vector number `index` over `coefficients`: one for each fragment.
    ///
    /// # Panics
    ///
    /// When there is no room for a coefficient.
    pub fn write(&self, index: u64, coefficients: &mut [u8]) {
        assert!(!coefficients.is_empty(), "room for 0 coefficients: there must be at least 1");
        let mut stream = self.0.clone();
        stream.set_stream(index);
        coefficients.fill(0);
        while coefficients.iter().all(|&coefficient| coefficient == 0) {
            stream.fill_bytes(coefficients);
        }
    }
}

impl std::fmt::Debug for CoefficientSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CoefficientSource").finish_non_exhaustive()
    }
}
