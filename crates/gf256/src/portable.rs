//! Bits in parallel, in plain integers: what a CPU without a kernel of its own gets.
//!
//! A byte is the sum of its bits, so `c · b = Σ bᵢ · (c · xⁱ)`: for each bit of a source, a mask of
//! the bytes that have it set selects one of eight multiples of the coefficient. The masks are
//! made once for each source and serve every output; the compiler makes vectors of the words where
//! the target has any (SSE2, the SIMD of wasm).

use crate::{
    field::mul,
    simd::{Operation, Run, Simd, Tile},
};

/// What every CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

/// Words of a vector.
const WORDS: usize = 4;
/// Bytes of a word.
const WORD_BYTES: usize = size_of::<u64>();
/// One in each byte of a word.
const ONES: u64 = u64::MAX / 0xFF;

type Words = [u64; WORDS];

/// The products of a coefficient with each single bit, repeated in every byte of a word.
type Multiples = [u64; 8];

/// The multiples of every coefficient, 16 KiB in all.
static MULTIPLES: [Multiples; 256] = multiples();

const fn multiples() -> [Multiples; 256] {
    let mut table = [[0; 8]; 256];
    let mut coefficient = 0;
    while coefficient < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[coefficient][bit] = mul(coefficient as u8, 1 << bit) as u64 * ONES;
            bit += 1;
        }
        coefficient += 1;
    }
    table
}

impl Run for Portable {
    fn run(self, operation: impl Operation) {
        operation.on(self);
    }
}

impl Simd for Portable {
    type Vector = Words;
    /// For each bit, the bytes that have it set.
    type Source = [Words; 8];
    type Packed = &'static Multiples;
    type Factor = &'static Multiples;

    const BYTES: usize = WORDS * WORD_BYTES;
    const TILE: Tile = Tile::Narrow;
    const PAIRED: bool = false;

    #[inline(always)]
    fn zero(self) -> Words {
        [0; WORDS]
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> Words {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes[..Self::BYTES].as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: Words) {
        for (bytes, word) in bytes[..Self::BYTES].as_chunks_mut().0.iter_mut().zip(vector) {
            *bytes = word.to_le_bytes();
        }
    }

    #[inline(always)]
    fn add3(self, mut a: Words, b: Words, c: Words) -> Words {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            *a ^= b ^ c;
        }
        a
    }

    #[inline(always)]
    fn prepare(self, vector: Words) -> [Words; 8] {
        let mut masks = [[0; WORDS]; 8];
        for (bit, mask) in masks.iter_mut().enumerate() {
            for (mask, word) in mask.iter_mut().zip(vector) {
                let set = (word >> bit) & ONES;
                *mask = (set << 8).wrapping_sub(set);
            }
        }
        masks
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> &'static Multiples {
        &MULTIPLES[usize::from(coefficient)]
    }

    #[inline(always)]
    fn unpack(self, packed: &'static Multiples) -> &'static Multiples {
        packed
    }

    #[inline(always)]
    fn mul(self, factor: &'static Multiples, source: [Words; 8]) -> Words {
        let mut product = [0; WORDS];
        for (&multiple, mask) in factor.iter().zip(&source) {
            for (product, mask) in product.iter_mut().zip(mask) {
                *product ^= mask & multiple;
            }
        }
        product
    }
}
