//! AVX-512 and GFNI: 64 products at once by the instruction that multiplies in this very field.

use super::arch::{
    __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_gf2p8mul_epi8, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_storeu_si512, _mm512_ternarylogic_epi64,
};
use crate::simd::{Operation, Run, Simd, Tile};

/// The truth table of `a ^ b ^ c`, as the instruction for any function of three bits takes it.
const XOR3: i32 = 0b1001_0110;

/// Proof that this CPU has AVX-512F, AVX-512BW and GFNI: a value exists only after
/// [`Avx512Gfni::detect`] has seen them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512Gfni(());

impl Avx512Gfni {
    pub(crate) fn detect() -> Option<Self> {
        let detected = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("gfni");
        detected.then_some(Self(()))
    }
}

impl Run for Avx512Gfni {
    fn run(self, operation: impl Operation) {
        #[target_feature(enable = "avx512f,avx512bw,gfni")]
        fn inside(simd: Avx512Gfni, operation: impl Operation) {
            operation.on(simd);
        }
        // SAFETY: `self` is proof of all three, the only things `inside` asks for.
        unsafe { inside(self, operation) }
    }
}

impl Simd for Avx512Gfni {
    type Vector = __m512i;
    type Source = __m512i;
    /// The coefficient eight times: the load of a word repeats it through a vector for nothing,
    /// that of a byte does not.
    type Packed = u64;
    type Factor = __m512i;

    const BYTES: usize = 64;
    const TILE: Tile = Tile::Large;
    const PAIRED: bool = true;

    #[inline(always)]
    fn zero(self) -> __m512i {
        // SAFETY: `self` is proof of AVX-512F.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a prefetch reads nothing that the program could see, at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) };
    }

    #[inline(always)]
    fn load(self, bytes: &[u8]) -> __m512i {
        let bytes = &bytes[..Self::BYTES];
        // SAFETY: `bytes` is 64 readable bytes, the load asks for no alignment; `self` is proof.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8], vector: __m512i) {
        let bytes = &mut bytes[..Self::BYTES];
        // SAFETY: `bytes` is 64 writable bytes, the store asks for no alignment; `self` is proof.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn add3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        // SAFETY: `self` is proof of AVX-512F.
        unsafe { _mm512_ternarylogic_epi64::<XOR3>(a, b, c) }
    }

    #[inline(always)]
    fn prepare(self, vector: __m512i) -> __m512i {
        vector
    }

    #[inline(always)]
    fn pack(self, coefficient: u8) -> u64 {
        u64::from_ne_bytes([coefficient; 8])
    }

    #[inline(always)]
    fn unpack(self, packed: u64) -> __m512i {
        // SAFETY: `self` is proof of AVX-512F.
        unsafe { _mm512_set1_epi64(packed.cast_signed()) }
    }

    #[inline(always)]
    fn mul(self, factor: __m512i, source: __m512i) -> __m512i {
        // SAFETY: `self` is proof of GFNI and AVX-512F.
        unsafe { _mm512_gf2p8mul_epi8(factor, source) }
    }

    #[inline(always)]
    fn load_part(self, bytes: &[u8]) -> __m512i {
        let mask = first(bytes.len());
        // SAFETY: the mask keeps the load within `bytes`, it asks for no alignment; `self` is proof.
        unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_part(self, bytes: &mut [u8], vector: __m512i) {
        let mask = first(bytes.len());
        // SAFETY: the mask keeps the store within `bytes`, it asks for no alignment; `self` is proof.
        unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask, vector) }
    }
}

/// Returns a mask of the first `count` bytes of a vector; `count` is below 64.
#[inline(always)]
fn first(count: usize) -> u64 {
    (1 << count) - 1
}
