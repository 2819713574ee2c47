//! The operations, written once for every instruction set.
//!
//! The fused ones go over the columns in *tiles*: so many outputs by so many vectors that their
//! sums fit the registers. While a tile is computed, every source is read once over its columns
//! and multiplied for all outputs of the tile, and the sums are written once at the end. Nothing
//! is read back, which is what makes this faster than adding one product after the other.
//!
//! The callers have checked that the slices are equally long.

use std::ops::Range;

use crate::{
    kernel::{Output, SOURCES_MAX},
    simd::{Operation, Simd, Tile},
};

/// What stays in the second-level cache while all outputs are computed over a block of columns.
const CACHE_BYTES: usize = 256 * 1024;
/// Blocks of columns are multiples of this, the widest tile, so that only the last has a tail.
const BLOCK_STEP_BYTES: usize = 512;
/// How far ahead the sources are asked for where a tile takes long enough for them to come.
const AHEAD_BYTES: usize = 1024;
/// Columns fewer than these are not aligned: doing so would take longer than it saves.
const ALIGNED_BYTES_MIN: usize = 2048;
/// The most outputs of a tile.
pub(crate) const ROWS_MAX: usize = 8;

/// Where an operation finds its sources.
pub(crate) trait Sources: Copy {
    fn count(self) -> usize;
    /// Returns how many columns of the first source lie before a multiple of `bytes` in memory.
    fn unaligned_bytes(self, bytes: usize) -> usize;
    /// Returns the columns from `start` to `end` of one source.
    fn columns(&self, index: usize, start: usize, end: usize) -> &[u8];
}

impl Sources for &[&[u8]] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn unaligned_bytes(self, bytes: usize) -> usize {
        self.first().map_or(0, |source| source.as_ptr().addr().wrapping_neg() % bytes)
    }

    #[inline(always)]
    fn columns(&self, index: usize, start: usize, end: usize) -> &[u8] {
        &self[index][start..end]
    }
}

/// Sources that lie one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) bytes: &'a [u8],
    /// Bytes of one row.
    pub(crate) width: usize,
}

impl Sources for Rows<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.bytes.len() / self.width
    }

    #[inline(always)]
    fn unaligned_bytes(self, bytes: usize) -> usize {
        self.bytes.as_ptr().addr().wrapping_neg() % bytes
    }

    #[inline(always)]
    fn columns(&self, index: usize, start: usize, end: usize) -> &[u8] {
        &self.bytes[index * self.width + start..index * self.width + end]
    }
}

/// `target += coefficient · source`
pub(crate) struct Axpy<'a> {
    pub(crate) target: &'a mut [u8],
    pub(crate) coefficient: u8,
    pub(crate) source: &'a [u8],
}

impl Operation for Axpy<'_> {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S) {
        let factor = simd.unpack(simd.pack(self.coefficient));
        let mut targets = self.target.chunks_exact_mut(S::BYTES);
        let mut sources = self.source.chunks_exact(S::BYTES);
        for (target, source) in (&mut targets).zip(&mut sources) {
            let product = simd.mul(factor, simd.prepare(simd.load(source)));
            simd.store(target, simd.add3(simd.load(target), product, simd.zero()));
        }
        let target = targets.into_remainder();
        if !target.is_empty() {
            let source = simd.load_part(sources.remainder());
            let product = simd.mul(factor, simd.prepare(source));
            simd.store_part(target, simd.add3(simd.load_part(target), product, simd.zero()));
        }
    }
}

/// `target = coefficient · target`
pub(crate) struct Scale<'a> {
    pub(crate) target: &'a mut [u8],
    pub(crate) coefficient: u8,
}

impl Operation for Scale<'_> {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S) {
        let factor = simd.unpack(simd.pack(self.coefficient));
        let mut targets = self.target.chunks_exact_mut(S::BYTES);
        for target in &mut targets {
            simd.store(target, simd.mul(factor, simd.prepare(simd.load(target))));
        }
        let target = targets.into_remainder();
        if !target.is_empty() {
            let source = simd.prepare(simd.load_part(target));
            simd.store_part(target, simd.mul(factor, source));
        }
    }
}

/// `row += coefficient · source`, for each row with a coefficient of its own.
pub(crate) struct AxpyRows<'a> {
    /// As many rows, one behind the other, as there are coefficients; each as long as `source`.
    pub(crate) rows: &'a mut [u8],
    pub(crate) coefficients: &'a [u8],
    pub(crate) source: &'a [u8],
}

impl Operation for AxpyRows<'_> {
    #[inline(always)]
    fn on<S: Simd>(mut self, simd: S) {
        let width = self.source.len();
        let mut at = 0;
        while at + 4 * S::BYTES <= width {
            self.columns::<S, 4>(simd, at);
            at += 4 * S::BYTES;
        }
        while at + 2 * S::BYTES <= width {
            self.columns::<S, 2>(simd, at);
            at += 2 * S::BYTES;
        }
        if at + S::BYTES <= width {
            self.columns::<S, 1>(simd, at);
            at += S::BYTES;
        }
        if at < width {
            for (row, &coefficient) in self.rows.chunks_exact_mut(width).zip(self.coefficients) {
                let (target, source) = (&mut row[at..], &self.source[at..]);
                Axpy { target, coefficient, source }.on(simd);
            }
        }
    }
}

impl AxpyRows<'_> {
    /// Adds to so many vectors of every row, from `at` on. Those of the source stay in registers.
    #[inline(always)]
    fn columns<S: Simd, const VECTORS: usize>(&mut self, simd: S, at: usize) {
        let mut sources = [simd.prepare(simd.zero()); VECTORS];
        for (vector, source) in sources.iter_mut().enumerate() {
            *source = simd.prepare(simd.load(&self.source[at + vector * S::BYTES..]));
        }
        let rows = self.rows.chunks_exact_mut(self.source.len());
        for (row, &coefficient) in rows.zip(self.coefficients) {
            let factor = simd.unpack(simd.pack(coefficient));
            let targets = row[at..at + VECTORS * S::BYTES].chunks_exact_mut(S::BYTES);
            for (target, source) in targets.zip(sources) {
                let sum = simd.add3(simd.load(target), simd.mul(factor, source), simd.zero());
                simd.store(target, sum);
            }
        }
    }
}

/// `out = Σ weight · source`, for each output with weights of its own.
pub(crate) struct Product<'a, 'b, 'c, Q> {
    pub(crate) outputs: &'a mut [Output<'b, 'c>],
    /// At most [`SOURCES_MAX`].
    pub(crate) sources: Q,
}

impl<Q: Sources> Operation for Product<'_, '_, '_, Q> {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S) {
        // The coefficients of a tile, packed: one for each of its outputs and each source. Making
        // room for them takes time, so there is only as much as is needed.
        let coefficients = self.outputs.len().min(ROWS_MAX) * self.sources.count();
        match coefficients {
            0..=64 => self.blocks(simd, &mut [simd.pack(0); 64]),
            65..=256 => self.blocks(simd, &mut [simd.pack(0); 256]),
            _ => self.blocks(simd, &mut [simd.pack(0); ROWS_MAX * SOURCES_MAX]),
        }
    }
}

impl<Q: Sources> Product<'_, '_, '_, Q> {
    /// Goes over blocks of columns short enough that those of all sources stay in the cache while
    /// every output is computed from them.
    #[inline(always)]
    fn blocks<S: Simd>(self, simd: S, panel: &mut [S::Packed]) {
        let Self { outputs, sources } = self;
        let end = outputs.first().map_or(0, |(_, out)| out.len());
        let share_bytes = CACHE_BYTES / sources.count().max(1);
        let block_bytes = share_bytes.next_multiple_of(BLOCK_STEP_BYTES);
        let mut start = 0;
        while start < end {
            // A load across two cache lines takes twice the time. Sources usually lie alike, so
            // that the first one tells where the columns begin that are aligned in all of them.
            let aligned = if start == 0 { sources.unaligned_bytes(S::BYTES) } else { start };
            let columns = start..end.min(aligned + block_bytes);
            start = columns.end;
            let rest = &mut *outputs;
            match S::TILE {
                Tile::Large => {
                    let rest = rows::<S, Q, 8, 2>(simd, rest, panel, sources, &columns);
                    let rest = rows::<S, Q, 4, 4>(simd, rest, panel, sources, &columns);
                    let rest = rows::<S, Q, 2, 8>(simd, rest, panel, sources, &columns);
                    rows::<S, Q, 1, 8>(simd, rest, panel, sources, &columns);
                }
                Tile::Small => {
                    let rest = rows::<S, Q, 4, 2>(simd, rest, panel, sources, &columns);
                    let rest = rows::<S, Q, 2, 4>(simd, rest, panel, sources, &columns);
                    rows::<S, Q, 1, 8>(simd, rest, panel, sources, &columns);
                }
                Tile::Narrow => {
                    let rest = rows::<S, Q, 4, 1>(simd, rest, panel, sources, &columns);
                    rows::<S, Q, 1, 1>(simd, rest, panel, sources, &columns);
                }
            }
        }
    }
}

/// Computes as many outputs as come in groups of `ROWS`, and returns the others.
#[inline(always)]
fn rows<'a, 'b, 'c, S: Simd, Q: Sources, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    outputs: &'a mut [Output<'b, 'c>],
    panel: &mut [S::Packed],
    sources: Q,
    columns: &Range<usize>,
) -> &'a mut [Output<'b, 'c>] {
    let (groups, rest) = outputs.as_chunks_mut::<ROWS>();
    for outputs in groups {
        let panel = &mut panel.as_chunks_mut::<ROWS>().0[..sources.count()];
        for (row, (weights, _)) in outputs.iter().enumerate() {
            for (packed, &weight) in panel.iter_mut().zip(*weights) {
                packed[row] = simd.pack(weight);
            }
        }
        strip::<S, Q, ROWS, VECTORS>(simd, outputs, panel, sources, columns);
    }
    rest
}

/// Computes a group of outputs over a block of columns, tile by tile.
#[inline(always)]
fn strip<S: Simd, Q: Sources, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    outputs: &mut [Output<'_, '_>; ROWS],
    panel: &[[S::Packed; ROWS]],
    sources: Q,
    columns: &Range<usize>,
) {
    let Range { start: mut at, end } = *columns;
    if at == 0 && ALIGNED_BYTES_MIN <= end {
        let unaligned_bytes = sources.unaligned_bytes(S::BYTES);
        if unaligned_bytes != 0 {
            tile::<S, Q, ROWS, 1, false>(simd, outputs, panel, sources, 0, S::BYTES);
            at = unaligned_bytes;
        }
    }
    while at + VECTORS * S::BYTES <= end {
        tile::<S, Q, ROWS, VECTORS, false>(simd, outputs, panel, sources, at, VECTORS * S::BYTES);
        at += VECTORS * S::BYTES;
    }
    while at + 2 * S::BYTES <= end {
        tile::<S, Q, ROWS, 2, false>(simd, outputs, panel, sources, at, 2 * S::BYTES);
        at += 2 * S::BYTES;
    }
    if at + S::BYTES <= end {
        tile::<S, Q, ROWS, 1, false>(simd, outputs, panel, sources, at, S::BYTES);
        at += S::BYTES;
    }
    if at == end {
        return;
    }
    if end >= S::BYTES {
        // The last columns once more, with those before them, are one more whole vector.
        tile::<S, Q, ROWS, 1, false>(simd, outputs, panel, sources, end - S::BYTES, S::BYTES);
    } else {
        tile::<S, Q, ROWS, 1, true>(simd, outputs, panel, sources, at, end - at);
    }
}

/// Computes `length` columns from `at` on of a group of outputs, in registers.
#[inline(always)]
fn tile<S: Simd, Q: Sources, const ROWS: usize, const VECTORS: usize, const PART: bool>(
    simd: S,
    outputs: &mut [Output<'_, '_>; ROWS],
    panel: &[[S::Packed; ROWS]],
    sources: Q,
    at: usize,
    length: usize,
) {
    let mut sums = [[simd.zero(); VECTORS]; ROWS];
    let load = |index: usize, vector: usize| {
        let columns = sources.columns(index, at, at + length);
        if ROWS == ROWS_MAX {
            simd.prefetch(columns.as_ptr().wrapping_add(vector * S::BYTES + AHEAD_BYTES));
        }
        if PART { simd.load_part(columns) } else { simd.load(&columns[vector * S::BYTES..]) }
    };
    let (pairs, singles) = paired::<S, _>(panel);
    for (pair, [first, second]) in pairs.iter().enumerate() {
        let mut vectors = [[simd.prepare(simd.zero()); 2]; VECTORS];
        for (vector, loaded) in vectors.iter_mut().enumerate() {
            *loaded =
                [simd.prepare(load(2 * pair, vector)), simd.prepare(load(2 * pair + 1, vector))];
        }
        add_pair(simd, &mut sums, [first, second], &vectors);
    }
    for (index, factors) in (2 * pairs.len()..).zip(singles) {
        let mut vectors = [simd.prepare(simd.zero()); VECTORS];
        for (vector, loaded) in vectors.iter_mut().enumerate() {
            *loaded = simd.prepare(load(index, vector));
        }
        add_single(simd, &mut sums, factors, &vectors);
    }
    for ((_, out), sums) in outputs.iter_mut().zip(sums) {
        let out = &mut out[at..at + length];
        for (vector, sum) in sums.into_iter().enumerate() {
            if PART {
                simd.store_part(out, sum);
            } else {
                simd.store(&mut out[vector * S::BYTES..], sum);
            }
        }
    }
}

/// Splits the coefficients of a tile into those of sources that are added two at a time and those
/// of the others.
#[inline(always)]
pub(crate) fn paired<S: Simd, T>(panel: &[T]) -> (&[[T; 2]], &[T]) {
    if S::PAIRED { panel.as_chunks::<2>() } else { (&[], panel) }
}

/// Adds two sources to every sum of a tile.
#[inline(always)]
pub(crate) fn add_pair<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    sums: &mut [[S::Vector; VECTORS]; ROWS],
    [first, second]: [&[S::Packed; ROWS]; 2],
    sources: &[[S::Source; 2]; VECTORS],
) {
    for ((sums, &first), &second) in sums.iter_mut().zip(first).zip(second) {
        let (first, second) = (simd.unpack(first), simd.unpack(second));
        for (sum, &[one, other]) in sums.iter_mut().zip(sources) {
            *sum = simd.add3(*sum, simd.mul(first, one), simd.mul(second, other));
        }
    }
}

/// Adds one source to every sum of a tile.
#[inline(always)]
pub(crate) fn add_single<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    sums: &mut [[S::Vector; VECTORS]; ROWS],
    factors: &[S::Packed; ROWS],
    source: &[S::Source; VECTORS],
) {
    for (sums, &packed) in sums.iter_mut().zip(factors) {
        let factor = simd.unpack(packed);
        for (sum, &vector) in sums.iter_mut().zip(source) {
            *sum = simd.add3(*sum, simd.mul(factor, vector), simd.zero());
        }
    }
}
