//! SSSE3: 16 products at once by two byte shuffles, one for each half of a byte.

use super::arch::{
    __m128i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_srli_epi64, _mm_storeu_si128, _mm_xor_si128,
};
use crate::{
    nibbles::{NIBBLES, Nibbles},
    simd::{Operation, Run, Simd, Tile},
};

/// Proof that this CPU has SSSE3: a value exists only after [`Ssse3::detect`] has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ssse3(());

impl Ssse3 {
    pub(crate) fn detect() -> Option<Self> {
        std::is_x86_feature_detected!("ssse3").then_some(Self(()))
    }
}

impl Run for Ssse3 {
    fn run(self, operation: impl Operation) {
        #[target_feature(enable = "ssse3")]
        fn inside(simd: Ssse3, operation: impl Operation) {
            operation.on(simd);
        }
        // SAFETY: `self` is proof that the CPU has SSSE3, the only thing `inside` asks for.
        unsafe { inside(self, operation) }
    }
}

impl Simd for Ssse3 {
    type Vector = __m128i;
    /// The low halves of the bytes, and the high ones.
    type Source = [__m128i; 2];
    type Packed = &'static Nibbles;
    /// The products with every low half, and with every high one.
    type Factor = [__m128i; 2];

    const BYTES: usize = 16;
    const TILE: Tile = Tile::Small;
    const PAIRED: bool = false;

    #[inline(always)]
    fn zero(self) -> __m128i {
        // SAFETY: `self` is proof of SSSE3, and with it of SSE2.
        unsafe { _mm_setzero_si128() }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m128i {
        let bytes = &bytes[..Self::BYTES];
        // SAFETY: `bytes` is 16 readable bytes, the load asks for no alignment; `self` is proof.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: __m128i) {
        let bytes = &mut bytes[..Self::BYTES];
        // SAFETY: `bytes` is 16 writable bytes, the store asks for no alignment; `self` is proof.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn add3(self, a: __m128i, b: __m128i, c: __m128i) -> __m128i {
        // SAFETY: `self` is proof of SSSE3, and with it of SSE2.
        let sum = unsafe { _mm_xor_si128(b, c) };
        // SAFETY: as above.
        unsafe { _mm_xor_si128(a, sum) }
    }

    #[inline(always)]
    fn prepare(self, vector: __m128i) -> [__m128i; 2] {
        // SAFETY: `self` is proof of SSSE3, and with it of SSE2.
        let mask = unsafe { _mm_set1_epi8(0x0F) };
        // There is no shift of single bytes: the bits that come from the neighbour are masked off.
        // SAFETY: as above.
        let shifted = unsafe { _mm_srli_epi64::<4>(vector) };
        // SAFETY: as above.
        let low = unsafe { _mm_and_si128(vector, mask) };
        // SAFETY: as above.
        let high = unsafe { _mm_and_si128(shifted, mask) };
        [low, high]
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> &'static Nibbles {
        &NIBBLES[usize::from(coefficient)]
    }

    #[inline(always)]
    fn unpack(self, packed: &'static Nibbles) -> [__m128i; 2] {
        [self.load(&packed.low), self.load(&packed.high)]
    }

    #[inline(always)]
    fn mul(self, [low, high]: [__m128i; 2], [low_half, high_half]: [__m128i; 2]) -> __m128i {
        // SAFETY: `self` is proof of SSSE3.
        let low = unsafe { _mm_shuffle_epi8(low, low_half) };
        // SAFETY: as above.
        let high = unsafe { _mm_shuffle_epi8(high, high_half) };
        // SAFETY: as above.
        unsafe { _mm_xor_si128(low, high) }
    }
}
