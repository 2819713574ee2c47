//! AVX2 and GFNI: 32 products at once by the instruction that multiplies in this very field.

use super::arch::{
    __m256i, _mm256_gf2p8mul_epi8, _mm256_loadu_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm256_xor_si256,
};
use crate::simd::{Operation, Run, Simd, Tile};

/// Proof that this CPU has AVX2 and GFNI: a value exists only after [`Avx2Gfni::detect`] has seen
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2Gfni(());

impl Avx2Gfni {
    pub(crate) fn detect() -> Option<Self> {
        let detected =
            std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("gfni");
        detected.then_some(Self(()))
    }
}

impl Run for Avx2Gfni {
    fn run(self, operation: impl Operation) {
        #[target_feature(enable = "avx2,gfni")]
        fn inside(simd: Avx2Gfni, operation: impl Operation) {
            operation.on(simd);
        }
        // SAFETY: `self` is proof of AVX2 and GFNI, the only things `inside` asks for.
        unsafe { inside(self, operation) }
    }
}

impl Simd for Avx2Gfni {
    type Vector = __m256i;
    type Source = __m256i;
    /// The coefficient eight times: the load of a word repeats it through a vector for nothing,
    /// that of a byte does not.
    type Packed = u64;
    type Factor = __m256i;

    const BYTES: usize = 32;
    const TILE: Tile = Tile::Small;
    const PAIRED: bool = true;

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
    fn prepare(self, vector: __m256i) -> __m256i {
        vector
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> u64 {
        u64::from_ne_bytes([coefficient; 8])
    }

    #[inline(always)]
    fn unpack(self, packed: u64) -> __m256i {
        // SAFETY: `self` is proof of AVX2.
        unsafe { _mm256_set1_epi64x(packed.cast_signed()) }
    }

    #[inline(always)]
    fn mul(self, factor: __m256i, source: __m256i) -> __m256i {
        // SAFETY: `self` is proof of GFNI.
        unsafe { _mm256_gf2p8mul_epi8(factor, source) }
    }
}
