//! AVX2: 32 products at once by two byte shuffles, one for each half of a byte.
#![expect(clippy::cast_ptr_alignment, reason = "these loads and stores ask for no alignment")]

#[cfg(target_arch = "x86")]
use std::arch::x86 as arch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

use arch::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_loadu_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};

use crate::{nibbles::NIBBLES, scalar};

/// Bytes in a vector.
const VECTOR_BYTES: usize = 32;
/// Sums that [`combine`] holds in registers at once. Eight leave room for the tables, the mask and
/// the source among the sixteen registers.
const SUMS: usize = 8;
/// Bytes of one pass of [`combine`] over all sources.
const WIDE_BYTES: usize = SUMS * VECTOR_BYTES;

/// Proof that this CPU has AVX2: a value exists only after [`Avx2::detect`] has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

#[expect(clippy::unused_self, reason = "`self` is the proof")]
impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(crate) fn axpy(self, target: &mut [u8], coefficient: u8, source: &[u8]) {
        // SAFETY: `self` is proof that the CPU has AVX2, the only thing `axpy` asks for.
        unsafe { axpy(target, coefficient, source) }
    }

    pub(crate) fn mul(self, target: &mut [u8], coefficient: u8, source: &[u8]) {
        // SAFETY: `self` is proof that the CPU has AVX2, the only thing `mul` asks for.
        unsafe { mul(target, coefficient, source) }
    }

    pub(crate) fn scale(self, target: &mut [u8], coefficient: u8) {
        // SAFETY: `self` is proof that the CPU has AVX2, the only thing `scale` asks for.
        unsafe { scale(target, coefficient) }
    }

    pub(crate) fn combine(self, out: &mut [u8], sources: &[(u8, &[u8])]) {
        // SAFETY: `self` is proof that the CPU has AVX2, the only thing `combine` asks for.
        unsafe { combine(out, sources) }
    }
}

#[target_feature(enable = "avx2")]
fn axpy(target: &mut [u8], coefficient: u8, source: &[u8]) {
    let factor = Factor::new(coefficient);
    let (target_blocks, target_tail) = target.as_chunks_mut();
    let (source_blocks, source_tail) = source.as_chunks();
    for (target, source) in target_blocks.iter_mut().zip(source_blocks) {
        let sum = _mm256_xor_si256(load(target), factor.times(load(source)));
        store(target, sum);
    }
    scalar::axpy(target_tail, coefficient, source_tail);
}

#[target_feature(enable = "avx2")]
fn mul(target: &mut [u8], coefficient: u8, source: &[u8]) {
    let factor = Factor::new(coefficient);
    let (target_blocks, target_tail) = target.as_chunks_mut();
    let (source_blocks, source_tail) = source.as_chunks();
    for (target, source) in target_blocks.iter_mut().zip(source_blocks) {
        store(target, factor.times(load(source)));
    }
    scalar::mul(target_tail, coefficient, source_tail);
}

#[target_feature(enable = "avx2")]
fn scale(target: &mut [u8], coefficient: u8) {
    let factor = Factor::new(coefficient);
    let (blocks, tail) = target.as_chunks_mut();
    for block in blocks {
        store(block, factor.times(load(block)));
    }
    scalar::scale(tail, coefficient);
}

#[target_feature(enable = "avx2")]
fn combine(out: &mut [u8], sources: &[(u8, &[u8])]) {
    let (wide, narrow) = out.as_chunks_mut::<WIDE_BYTES>();
    for (index, block) in wide.iter_mut().enumerate() {
        combine_block::<SUMS>(block.as_chunks_mut().0, index * WIDE_BYTES, sources);
    }
    let mut offset = wide.len() * WIDE_BYTES;
    let (blocks, tail) = narrow.as_chunks_mut();
    for block in blocks.chunks_exact_mut(1) {
        combine_block::<1>(block, offset, sources);
        offset += VECTOR_BYTES;
    }
    tail.fill(0);
    for &(coefficient, source) in sources {
        scalar::axpy(tail, coefficient, &source[offset..]);
    }
}

/// Writes `N` vectors of the sum of all sources, taken from `offset` on, over `out`.
#[target_feature(enable = "avx2")]
#[inline]
fn combine_block<const N: usize>(
    out: &mut [[u8; VECTOR_BYTES]],
    offset: usize,
    sources: &[(u8, &[u8])],
) {
    let mut sums = [_mm256_setzero_si256(); N];
    for &(coefficient, source) in sources {
        let factor = Factor::new(coefficient);
        let (vectors, _) = source[offset..][..N * VECTOR_BYTES].as_chunks();
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            *sum = _mm256_xor_si256(*sum, factor.times(load(vector)));
        }
    }
    for (block, sum) in out.iter_mut().zip(sums) {
        store(block, sum);
    }
}

/// A coefficient, ready to be multiplied with.
struct Factor {
    low: __m256i,
    high: __m256i,
}

impl Factor {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new(coefficient: u8) -> Self {
        let tables = &NIBBLES[usize::from(coefficient)];
        Self { low: load_twice(&tables.low), high: load_twice(&tables.high) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn times(&self, bytes: __m256i) -> __m256i {
        let mask = _mm256_set1_epi8(0x0F);
        let low = _mm256_and_si256(bytes, mask);
        // There is no shift of single bytes: the bits that come from the neighbour are masked off.
        let high = _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), mask);
        let low_products = _mm256_shuffle_epi8(self.low, low);
        let high_products = _mm256_shuffle_epi8(self.high, high);
        _mm256_xor_si256(low_products, high_products)
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &[u8; VECTOR_BYTES]) -> __m256i {
    // SAFETY: `block` is 32 readable bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast::<__m256i>()) }
}

/// Returns a table in both halves of a vector, since a shuffle stays within its half.
#[target_feature(enable = "avx2")]
#[inline]
fn load_twice(table: &[u8; 16]) -> __m256i {
    // SAFETY: `table` is 16 readable bytes, and the load asks for no alignment.
    let half = unsafe { _mm_loadu_si128(table.as_ptr().cast::<__m128i>()) };
    _mm256_broadcastsi128_si256(half)
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(block: &mut [u8; VECTOR_BYTES], vector: __m256i) {
    // SAFETY: `block` is 32 writable bytes, and the store asks for no alignment.
    unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast::<__m256i>(), vector) }
}
