//! Combinations of payloads, some columns at a time.
//!
//! A combination is made byte by byte: column `n` of a shard depends on column `n` of its sources
//! alone. So any range of columns can be coded by itself.

use std::ops::Range;

use arrayvec::ArrayVec;
use gf256::{Kernel, Output};

use crate::FRAGMENTS_MAX;

/// As many slices as a generation can have fragments, on the stack.
pub(crate) type Slices<'a> = ArrayVec<&'a [u8], { FRAGMENTS_MAX as usize }>;

/// As many outputs as a generation can have fragments, on the stack.
pub(crate) type Outputs<'a, 'b> = ArrayVec<Output<'a, 'b>, { FRAGMENTS_MAX as usize }>;

/// Writes the sum of `weight · payload` over the columns `range` over `out`. Payloads of weight
/// zero are not read.
///
/// Panics when the range goes beyond a payload, or `out` is not as long as the range.
pub(crate) fn combine<'a>(
    kernel: Kernel,
    out: &mut [u8],
    range: &Range<usize>,
    weights: &[u8],
    payloads: impl Iterator<Item = &'a [u8]>,
) {
    let mut kept = [0; FRAGMENTS_MAX as usize];
    let mut sources = Slices::new();
    for (&weight, payload) in weights.iter().zip(payloads).filter(|&(&weight, _)| weight != 0) {
        kept[sources.len()] = weight;
        sources.push(&payload[range.clone()]);
    }
    kernel.combine(out, &kept[..sources.len()], &sources);
}

/// Panics unless `range` is a range of columns and `out` is as long.
#[track_caller]
pub(crate) fn assert_range(range: &Range<usize>, fragment_bytes: u32, out: &[u8]) {
    assert!(
        range.start <= range.end && range.end <= fragment_bytes as usize,
        "columns {range:?} of a fragment of {fragment_bytes} bytes"
    );
    assert!(out.len() == range.len(), "{} bytes of room for {} columns", out.len(), range.len());
}
