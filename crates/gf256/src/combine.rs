//! One output from many sources.
//!
//! What limits it is reading the sources, so they are read as memory likes it: a few at a time, in
//! long runs. The output of such a run stays in the first-level cache until all sources are added.

use std::{array, ops::Range};

use crate::{
    fused::Sources,
    simd::{BYTES_MAX, Operation, Simd},
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
        if self.weights.is_empty() {
            return self.out.fill(0);
        }
        // Sources usually lie alike, so that the first one tells where the columns begin that are
        // aligned in all of them.
        let unaligned_bytes = self.sources.unaligned_bytes(S::BYTES);
        let out = self.out.as_ptr().addr() + unaligned_bytes;
        // One group of sources is added once.
        if out.is_multiple_of(S::BYTES) || matches!(self.weights.len(), 1 | 2 | 4) {
            self.runs(simd, unaligned_bytes, None);
        } else {
            self.runs(simd, unaligned_bytes, Some(&mut Sums([0; RUN_BYTES + BYTES_MAX]).0));
        }
    }
}

impl<Q: Sources> Combine<'_, Q> {
    /// Goes over the columns run by run. The sums are kept in the output unless there is room for
    /// them elsewhere.
    #[inline(always)]
    fn runs<S: Simd>(self, simd: S, unaligned_bytes: usize, mut sums: Option<&mut [u8]>) {
        let Self { out, weights, sources } = self;
        let end = out.len();
        // What comes before the first aligned column belongs to the first run.
        let mut head_bytes = unaligned_bytes.min(end);
        let mut stop = end.min(head_bytes + RUN_BYTES);
        let mut start = 0;
        while start < end {
            let columns = start..stop;
            let out = &mut out[columns.clone()];
            let (sums, out) = match &mut sums {
                // So that the columns behind the head are aligned.
                Some(sums) => {
                    let first = BYTES_MAX - head_bytes;
                    (&mut sums[first..first + columns.len()], Some(out))
                }
                None => (out, None),
            };
            Run { simd, sums, out, weights, sources, columns, head_bytes, done: 0 }.add();
            head_bytes = 0;
            start = stop;
            stop = end.min(start + RUN_BYTES);
        }
    }
}

/// The sums of a run while sources are still to be added, for an output that is not aligned where
/// the sources are: a load or store across two cache lines takes twice the time.
#[repr(align(64))]
struct Sums([u8; RUN_BYTES + BYTES_MAX]);

/// Some columns of all sources.
struct Run<'a, S, Q> {
    simd: S,
    /// As long as the run.
    sums: &'a mut [u8],
    /// Where the sums go in the end, if elsewhere.
    out: Option<&'a mut [u8]>,
    weights: &'a [u8],
    sources: Q,
    columns: Range<usize>,
    /// How many columns come before the first aligned one.
    head_bytes: usize,
    /// How many sources are added.
    done: usize,
}

impl<S: Simd, Q: Sources> Run<'_, S, Q> {
    /// Adds all sources, group by group.
    #[inline(always)]
    fn add(&mut self) {
        self.groups::<4>();
        self.groups::<2>();
        self.groups::<1>();
    }

    /// Adds sources in groups of this size, as many as there are.
    #[inline(always)]
    fn groups<const GROUP: usize>(&mut self) {
        while self.done + GROUP <= self.weights.len() {
            if self.done == 0 {
                self.group::<GROUP, true>();
            } else {
                self.group::<GROUP, false>();
            }
            self.done += GROUP;
        }
    }

    /// Adds one group to the sums, or to zero if it is the first.
    #[inline(always)]
    fn group<const GROUP: usize, const FIRST: bool>(&mut self) {
        let Self { simd, weights, sources, done, .. } = *self;
        let Range { start, end } = self.columns;
        let mut factors = [simd.unpack(simd.pack(0)); GROUP];
        for (factor, &weight) in factors.iter_mut().zip(&weights[done..]) {
            *factor = simd.unpack(simd.pack(weight));
        }
        let columns: [&[u8]; GROUP] =
            array::from_fn(|index| sources.columns(done + index, start, end));
        let out = if done + GROUP == weights.len() { self.out.take() } else { None };
        if self.head_bytes == 0 {
            add_group::<S, GROUP, FIRST>(simd, self.sums, out, &factors, columns);
            return;
        }
        let (sums_head, sums) = self.sums.split_at_mut(self.head_bytes);
        let (out_head, out) = match out {
            Some(out) => {
                let (head, out) = out.split_at_mut(self.head_bytes);
                (Some(head), Some(out))
            }
            None => (None, None),
        };
        let heads = columns.map(|columns| &columns[..self.head_bytes]);
        let columns = columns.map(|columns| &columns[self.head_bytes..]);
        add_group::<S, GROUP, FIRST>(simd, sums_head, out_head, &factors, heads);
        add_group::<S, GROUP, FIRST>(simd, sums, out, &factors, columns);
    }
}

/// Adds a group to the sums, or to zero if it is the first, and writes the result to `out`, or over
/// the sums.
#[inline(always)]
fn add_group<S: Simd, const GROUP: usize, const FIRST: bool>(
    simd: S,
    sums: &mut [u8],
    out: Option<&mut [u8]>,
    factors: &[S::Factor; GROUP],
    columns: [&[u8]; GROUP],
) {
    // Equally many chunks of all, which spares a check for each of them.
    let count = columns[0].len() / CHUNK_BYTES;
    let of_sources = columns.map(|columns| &columns.as_chunks::<CHUNK_BYTES>().0[..count]);
    let (sum_chunks, sum_rest) = sums.as_chunks_mut::<CHUNK_BYTES>();
    let (mut out_chunks, mut out_rest) = out
        .map(<[u8]>::as_chunks_mut::<CHUNK_BYTES>)
        .map_or((None, None), |(c, r)| (Some(&mut c[..count]), Some(r)));
    for index in 0..count {
        for vector in 0..CHUNK_BYTES / S::BYTES {
            let at = vector * S::BYTES;
            let mut loaded = [simd.zero(); GROUP];
            for (loaded, source) in loaded.iter_mut().zip(&of_sources) {
                *loaded = simd.load(&source[index][at..]);
            }
            let sum = if FIRST { simd.zero() } else { simd.load(&sum_chunks[index][at..]) };
            let sum = add(simd, sum, factors, loaded);
            match &mut out_chunks {
                Some(out) => simd.store(&mut out[index][at..], sum),
                None => simd.store(&mut sum_chunks[index][at..], sum),
            }
        }
    }
    let of_sources = columns.map(|columns| &columns[count * CHUNK_BYTES..]);
    let end = of_sources[0].len();
    for start in (0..end).step_by(S::BYTES) {
        let stop = end.min(start + S::BYTES);
        let mut loaded = [simd.zero(); GROUP];
        for (loaded, source) in loaded.iter_mut().zip(&of_sources) {
            *loaded = load::<S>(simd, &source[start..stop]);
        }
        let sum = if FIRST { simd.zero() } else { load::<S>(simd, &sum_rest[start..stop]) };
        let sum = add(simd, sum, factors, loaded);
        let to = match &mut out_rest {
            Some(out) => &mut out[start..stop],
            None => &mut sum_rest[start..stop],
        };
        if to.len() == S::BYTES {
            simd.store(to, sum);
        } else {
            simd.store_part(to, sum);
        }
    }
}

/// Loads a vector, or what there is of one.
#[inline(always)]
fn load<S: Simd>(simd: S, bytes: &[u8]) -> S::Vector {
    if bytes.len() == S::BYTES { simd.load(bytes) } else { simd.load_part(bytes) }
}

/// Returns `sum + Σ factor · source`, two at a time: where there is an addition of three, the
/// second one costs nothing.
#[inline(always)]
fn add<S: Simd, const GROUP: usize>(
    simd: S,
    mut sum: S::Vector,
    factors: &[S::Factor; GROUP],
    sources: [S::Vector; GROUP],
) -> S::Vector {
    let mut index = 0;
    while index + 2 <= GROUP {
        let one = simd.mul(factors[index], simd.prepare(sources[index]));
        let other = simd.mul(factors[index + 1], simd.prepare(sources[index + 1]));
        sum = simd.add3(sum, one, other);
        index += 2;
    }
    if index < GROUP {
        let last = simd.mul(factors[index], simd.prepare(sources[index]));
        sum = simd.add3(sum, last, simd.zero());
    }
    sum
}
