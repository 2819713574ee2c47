//! One output from many sources.
//!
//! What limits it is reading the sources, so they are read as memory likes it: a few at a time, in
//! long runs. The output of such a run stays in the first-level cache until all sources are added.

use std::array;

use crate::{
    fused::Sources,
    simd::{Operation, Simd},
};

/// Outputs at least as long are computed this way.
pub(crate) const OUT_BYTES_MIN: usize = 3072;

/// Bytes of each source that are read in one run: two pages, so that the CPU sees what comes next.
const RUN_BYTES: usize = 8192;

/// Bytes that are computed without looking where they end; vectors of every set fit in.
const CHUNK_BYTES: usize = 256;

/// `out = Σ weight · source`
pub(crate) struct Combine<'a, Q> {
    pub(crate) out: &'a mut [u8],
    /// As many as there are sources.
    pub(crate) weights: &'a [u8],
    pub(crate) sources: Q,
}

impl<Q: Sources> Operation for Combine<'_, Q> {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S) {
        let Self { out, weights, sources } = self;
        let end = out.len();
        // A load across two cache lines takes twice the time. Sources usually lie alike, so that
        // the first one tells where the columns begin that are aligned in all of them.
        let unaligned_bytes = sources.unaligned_bytes(S::BYTES).min(end);
        if unaligned_bytes > 0 {
            run(simd, &mut out[..unaligned_bytes], weights, sources, 0);
        }
        let mut start = unaligned_bytes;
        while start < end {
            let stop = end.min(start + RUN_BYTES);
            run(simd, &mut out[start..stop], weights, sources, start);
            start = stop;
        }
    }
}

/// Computes the columns from `start` on, as many as `out` has.
#[inline(always)]
fn run<S: Simd, Q: Sources>(simd: S, out: &mut [u8], weights: &[u8], sources: Q, start: usize) {
    if weights.is_empty() {
        out.fill(0);
        return;
    }
    let mut pass = Pass { simd, out, weights, sources, start, done: 0 };
    pass.add::<4>();
    pass.add::<2>();
    pass.add::<1>();
}

/// The sources of a run, group by group.
struct Pass<'a, S, Q> {
    simd: S,
    out: &'a mut [u8],
    weights: &'a [u8],
    sources: Q,
    start: usize,
    /// How many sources are added.
    done: usize,
}

impl<S: Simd, Q: Sources> Pass<'_, S, Q> {
    /// Adds sources in groups of this size, as many as there are.
    #[inline(always)]
    fn add<const GROUP: usize>(&mut self) {
        while self.done + GROUP <= self.weights.len() {
            if self.done == 0 {
                self.group::<GROUP, true>();
            } else {
                self.group::<GROUP, false>();
            }
            self.done += GROUP;
        }
    }

    /// Adds one group to what is there, or to zero if it is the first.
    #[inline(always)]
    fn group<const GROUP: usize, const FIRST: bool>(&mut self) {
        let Self { simd, ref mut out, weights, sources, start, done } = *self;
        let factors: [S::Factor; GROUP] =
            array::from_fn(|index| simd.unpack(simd.pack(weights[done + index])));
        let columns: [&[u8]; GROUP] =
            array::from_fn(|index| sources.columns(done + index, start, start + out.len()));
        let (chunks, rest) = out.as_chunks_mut::<CHUNK_BYTES>();
        // Equally many of all, which spares a check for each of them.
        let count = chunks.len();
        let of_sources = columns.map(|columns| &columns.as_chunks::<CHUNK_BYTES>().0[..count]);
        for (index, chunk) in chunks.iter_mut().enumerate() {
            for (vector, out) in chunk.chunks_exact_mut(S::BYTES).enumerate() {
                let sum = if FIRST { simd.zero() } else { simd.load(out) };
                let load =
                    |source: usize| simd.load(&of_sources[source][index][vector * S::BYTES..]);
                simd.store(out, sums(simd, sum, &factors, load));
            }
        }
        let mut at = count * CHUNK_BYTES;
        for out in rest.chunks_mut(S::BYTES) {
            let stop = at + out.len();
            if out.len() == S::BYTES {
                let sum = if FIRST { simd.zero() } else { simd.load(out) };
                let load = |source: usize| simd.load(&columns[source][at..stop]);
                simd.store(out, sums(simd, sum, &factors, load));
            } else {
                let sum = if FIRST { simd.zero() } else { simd.load_part(out) };
                let load = |source: usize| simd.load_part(&columns[source][at..stop]);
                simd.store_part(out, sums(simd, sum, &factors, load));
            }
            at = stop;
        }
    }
}

/// Returns `sum + Σ factor · source`, two at a time: where there is an addition of three, the
/// second one costs nothing.
#[inline(always)]
fn sums<S: Simd, const GROUP: usize>(
    simd: S,
    mut sum: S::Vector,
    factors: &[S::Factor; GROUP],
    source: impl Fn(usize) -> S::Vector,
) -> S::Vector {
    let product = |index: usize| simd.mul(factors[index], simd.prepare(source(index)));
    let mut index = 0;
    while index + 2 <= GROUP {
        sum = simd.add3(sum, product(index), product(index + 1));
        index += 2;
    }
    if index < GROUP {
        sum = simd.add3(sum, product(index), simd.zero());
    }
    sum
}
