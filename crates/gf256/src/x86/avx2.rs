//! AVX2: 32 products at once by two byte shuffles, one for each half of a byte.

use super::arch::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_loadu_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};
use crate::{
    nibbles::{NIBBLES, Nibbles},
    simd::{Operation, Run, Simd, Tile},
};

/// Proof that this CPU has AVX2: a value exists only after [`Avx2::detect`] has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Returns a table in both halves of a vector, since a shuffle stays within its half.
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "`self` is the proof")]
    fn load_twice(self, table: &[u8; 16]) -> __m256i {
        // SAFETY: `table` is 16 readable bytes, the load asks for no alignment; AVX2 has SSE2.
        let half: __m128i = unsafe { _mm_loadu_si128(table.as_ptr().cast()) };
        // SAFETY: `self` is proof of AVX2.
        unsafe { _mm256_broadcastsi128_si256(half) }
    }
}

impl Run for Avx2 {
    fn run(self, operation: impl Operation) {
        #[target_feature(enable = "avx2")]
        fn inside(simd: Avx2, operation: impl Operation) {
            operation.on(simd);
        }
        // SAFETY: `self` is proof that the CPU has AVX2, the only thing `inside` asks for.
        unsafe { inside(self, operation) }
    }
}

impl Simd for Avx2 {
    type Vector = __m256i;
    /// The low halves of the bytes, and the high ones.
    type Source = [__m256i; 2];
    type Packed = &'static Nibbles;
    /// The products with every low half, and with every high one.
    type Factor = [__m256i; 2];

    const BYTES: usize = 32;
    const TILE: Tile = Tile::Small;
    const PAIRED: bool = false;

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m256i {
        let bytes = &bytes[..Self::BYTES];
        // SAFETY: `bytes` is 32 readable bytes, the load asks for no alignment; `self` is proof.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: __m256i) {
        let bytes = &mut bytes[..Self::BYTES];
        // SAFETY: `bytes` is 32 writable bytes, the store asks for no alignment; `self` is proof.
        unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn add3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        let sum = unsafe { _mm256_xor_si256(b, c) };
        // SAFETY: as above.
        unsafe { _mm256_xor_si256(a, sum) }
    }

    #[inline(always)]
    fn prepare(self, vector: __m256i) -> [__m256i; 2] {
        // SAFETY: `self` is proof of AVX2.
        let mask = unsafe { _mm256_set1_epi8(0x0F) };
        // There is no shift of single bytes: the bits that come from the neighbour are masked off.
        // SAFETY: as above.
        let shifted = unsafe { _mm256_srli_epi64::<4>(vector) };
        // SAFETY: as above.
        let low = unsafe { _mm256_and_si256(vector, mask) };
        // SAFETY: as above.
        let high = unsafe { _mm256_and_si256(shifted, mask) };
        [low, high]
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> &'static Nibbles {
        &NIBBLES[usize::from(coefficient)]
    }

    #[inline(always)]
    fn unpack(self, packed: &'static Nibbles) -> [__m256i; 2] {
        [self.load_twice(&packed.low), self.load_twice(&packed.high)]
    }

    #[inline(always)]
    fn mul(self, [low, high]: [__m256i; 2], [low_half, high_half]: [__m256i; 2]) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        let low = unsafe { _mm256_shuffle_epi8(low, low_half) };
        // SAFETY: as above.
        let high = unsafe { _mm256_shuffle_epi8(high, high_half) };
        // SAFETY: as above.
        unsafe { _mm256_xor_si256(low, high) }
    }
}
