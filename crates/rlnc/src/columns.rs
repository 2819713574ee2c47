//! Combinations of payloads, some columns at a time.
//!
//! A combination is made byte by byte: column `n` of a shard depends on column `n` of its sources
//! alone. So any range of columns can be coded by itself.

use std::ops::Range;

use gf256::{Kernel, Output};

use crate::FRAGMENTS_MAX;

/// As many slices as a generation can have fragments: room for them on the stack.
pub(crate) struct Slices<'a> {
    slices: [&'a [u8]; FRAGMENTS_MAX as usize],
    count: usize,
}

impl<'a> Slices<'a> {
    pub(crate) const fn new() -> Self {
        Self { slices: [&[]; FRAGMENTS_MAX as usize], count: 0 }
    }

    pub(crate) fn push(&mut self, slice: &'a [u8]) {
        self.slices[self.count] = slice;
        self.count += 1;
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }
}

impl<'a> FromIterator<&'a [u8]> for Slices<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(slices: I) -> Self {
        let mut all = Self::new();
        for slice in slices {
            all.push(slice);
        }
        all
    }
}

/// As many outputs as a generation can have fragments: room for them on the stack.
pub(crate) struct Outputs<'a, 'b> {
    outputs: [Output<'a, 'b>; FRAGMENTS_MAX as usize],
    count: usize,
}

impl<'a, 'b> Outputs<'a, 'b> {
    pub(crate) fn new() -> Self {
        let outputs = std::array::from_fn(|_| (&[][..], &mut [][..]));
        Self { outputs, count: 0 }
    }

    pub(crate) fn push(&mut self, weights: &'a [u8], out: &'b mut [u8]) {
        self.outputs[self.count] = (weights, out);
        self.count += 1;
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Output<'a, 'b>] {
        &mut self.outputs[..self.count]
    }
}

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
        kept[sources.count] = weight;
        sources.push(&payload[range.clone()]);
    }
    kernel.combine(out, &kept[..sources.count], sources.as_slice());
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
