//! Several outputs from many sources, by way of a copy of the sources.
//!
//! Sources may lie anywhere: at the same place of different pages, where they compete for the same
//! lines of the caches, or far apart, where the CPU cannot guess what is read next. So a block of
//! their columns is first copied to lent room, in the very order in which the tiles read it, and
//! then every output is computed from there. The copy is one read and one write for all outputs.

use crate::{
    fused::{ROWS_MAX, Sources, add_pair, add_single, paired},
    kernel::{Output, SOURCES_MAX},
    simd::{BYTES_MAX, Operation, Simd, Tile},
};

/// So many outputs make the copy worth its time; more where the sources are so long that they come
/// from further away than the second-level cache (measured; see `docs/coding.md`).
const OUTPUTS_MIN: usize = 32;
const OUTPUTS_OF_LONG_MIN: usize = 64;
const LONG_BYTES: usize = 128 * 1024;

/// Between tiles in the copy: without it, a number of sources that is a power of two would put all
/// tiles at the same place of their pages.
const GAP_BYTES: usize = BYTES_MAX;

/// `out = Σ weight · source`, for each output with weights of its own.
pub(crate) struct PackedProduct<'a, 'b, 'c, Q> {
    pub(crate) outputs: &'a mut [Output<'b, 'c>],
    /// At most [`SOURCES_MAX`], at least one.
    pub(crate) sources: Q,
    /// Room for at least one tile of all sources, [`tile_bytes_max`].
    pub(crate) scratch: &'a mut [u8],
}

/// Returns whether the copy is worth its time, and there is room for it.
pub(crate) fn is_worth_it(outputs: &[Output<'_, '_>], sources: usize, scratch: &[u8]) -> bool {
    let long = outputs.first().is_some_and(|(_, out)| out.len() >= LONG_BYTES);
    let outputs_min = if long { OUTPUTS_OF_LONG_MIN } else { OUTPUTS_MIN };
    outputs.len() >= outputs_min && sources > 0 && scratch.len() >= tile_bytes_max(sources)
}

/// Returns how long a tile of so many sources is at most, beginning at a multiple of a vector.
const fn tile_bytes_max(sources: usize) -> usize {
    sources * 2 * BYTES_MAX + GAP_BYTES + BYTES_MAX
}

impl<Q: Sources> Operation for PackedProduct<'_, '_, '_, Q> {
    #[inline(always)]
    fn on<S: Simd>(self, simd: S) {
        let mut panel = [simd.pack(0); ROWS_MAX * SOURCES_MAX];
        match S::TILE {
            Tile::Large => self.blocks::<S, 8, 2>(simd, &mut panel),
            Tile::Small => self.blocks::<S, 4, 2>(simd, &mut panel),
            Tile::Narrow => self.blocks::<S, 4, 1>(simd, &mut panel),
        }
    }
}

impl<Q: Sources> PackedProduct<'_, '_, '_, Q> {
    /// Goes over blocks of columns that the room holds.
    #[inline(always)]
    fn blocks<S: Simd, const ROWS: usize, const VECTORS: usize>(
        self,
        simd: S,
        panel: &mut [S::Packed],
    ) {
        let Self { outputs, sources, scratch } = self;
        let aligned = scratch.as_ptr().addr().wrapping_neg() % BYTES_MAX;
        let scratch = &mut scratch[aligned..];
        let count = sources.count();
        let end = outputs.first().map_or(0, |(_, out)| out.len());
        let width = VECTORS * S::BYTES;
        let stride = count * width + GAP_BYTES;
        let block_bytes = scratch.len() / stride * width;
        let mut start = 0;
        while start < end {
            let stop = end.min(start + block_bytes);
            for index in 0..count {
                let columns = sources.columns(index, start, stop);
                copy(simd, columns, width, &mut scratch[index * width..], stride);
            }
            let tiles = Tiles { bytes: scratch, width, stride, sources: count, start, stop };
            let rest = rows::<S, ROWS, VECTORS>(simd, outputs, panel, &tiles);
            let rest = rows::<S, 4, VECTORS>(simd, rest, panel, &tiles);
            let rest = rows::<S, 2, VECTORS>(simd, rest, panel, &tiles);
            rows::<S, 1, VECTORS>(simd, rest, panel, &tiles);
            start = stop;
        }
    }
}

/// Copies the columns of a source to its place in each tile. Behind the last one are zeros.
#[inline(always)]
fn copy<S: Simd>(simd: S, columns: &[u8], width: usize, to: &mut [u8], stride: usize) {
    let whole = columns.chunks_exact(width);
    let rest = whole.remainder();
    let mut at = 0;
    for columns in whole {
        let to = to[at..at + width].chunks_exact_mut(S::BYTES);
        for (to, vector) in to.zip(columns.chunks_exact(S::BYTES)) {
            simd.store(to, simd.load(vector));
        }
        at += stride;
    }
    if !rest.is_empty() {
        to[at..at + rest.len()].copy_from_slice(rest);
        to[at + rest.len()..at + width].fill(0);
    }
}

/// A block of columns of all sources, copied.
struct Tiles<'a> {
    bytes: &'a [u8],
    /// Columns of a tile.
    width: usize,
    /// From the beginning of a tile to that of the next.
    stride: usize,
    sources: usize,
    /// Which columns they are.
    start: usize,
    stop: usize,
}

/// Computes as many outputs as come in groups of `ROWS`, and returns the others.
#[inline(always)]
fn rows<'a, 'b, 'c, S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    outputs: &'a mut [Output<'b, 'c>],
    panel: &mut [S::Packed],
    tiles: &Tiles<'_>,
) -> &'a mut [Output<'b, 'c>] {
    let (groups, rest) = outputs.as_chunks_mut::<ROWS>();
    for outputs in groups {
        let panel = &mut panel.as_chunks_mut::<ROWS>().0[..tiles.sources];
        for (row, (weights, _)) in outputs.iter().enumerate() {
            for (packed, &weight) in panel.iter_mut().zip(*weights) {
                packed[row] = simd.pack(weight);
            }
        }
        let mut at = tiles.start;
        for bytes in tiles.bytes.chunks(tiles.stride) {
            if at >= tiles.stop {
                break;
            }
            let sums = tile::<S, ROWS, VECTORS>(simd, panel, &bytes[..tiles.sources * tiles.width]);
            let stop = tiles.stop.min(at + tiles.width);
            for ((_, out), sums) in outputs.iter_mut().zip(sums) {
                store(simd, &mut out[at..stop], sums);
            }
            at = stop;
        }
    }
    rest
}

/// Returns the sums of one tile: `ROWS` outputs from all sources.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    panel: &[[S::Packed; ROWS]],
    bytes: &[u8],
) -> [[S::Vector; VECTORS]; ROWS] {
    let width = VECTORS * S::BYTES;
    let mut sums = [[simd.zero(); VECTORS]; ROWS];
    let (pairs, singles) = paired::<S, _>(panel);
    let (pairs_bytes, singles_bytes) = bytes.split_at(2 * pairs.len() * width);
    for ([first, second], bytes) in pairs.iter().zip(pairs_bytes.chunks_exact(2 * width)) {
        let mut vectors = [[simd.prepare(simd.zero()); 2]; VECTORS];
        for (vector, loaded) in vectors.iter_mut().enumerate() {
            let at = vector * S::BYTES;
            *loaded = [
                simd.prepare(simd.load(&bytes[at..])),
                simd.prepare(simd.load(&bytes[width + at..])),
            ];
        }
        add_pair(simd, &mut sums, [first, second], &vectors);
    }
    for (factors, bytes) in singles.iter().zip(singles_bytes.chunks_exact(width)) {
        let mut vectors = [simd.prepare(simd.zero()); VECTORS];
        for (vector, loaded) in vectors.iter_mut().enumerate() {
            *loaded = simd.prepare(simd.load(&bytes[vector * S::BYTES..]));
        }
        add_single(simd, &mut sums, factors, &vectors);
    }
    sums
}

/// Writes as much of the sums as there is room for.
#[inline(always)]
fn store<S: Simd, const VECTORS: usize>(simd: S, out: &mut [u8], sums: [S::Vector; VECTORS]) {
    if out.len() == VECTORS * S::BYTES {
        for (out, sum) in out.chunks_exact_mut(S::BYTES).zip(sums) {
            simd.store(out, sum);
        }
        return;
    }
    for (out, sum) in out.chunks_mut(S::BYTES).zip(sums) {
        if out.len() == S::BYTES {
            simd.store(out, sum);
        } else {
            simd.store_part(out, sum);
        }
    }
}
