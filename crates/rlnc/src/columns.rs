//! Combinations of payloads, some columns at a time.
//!
//! A combination is made byte by byte: column `n` of a shard depends on column `n` of its sources
//! alone. So any range of columns can be coded by itself.

use std::ops::Range;

use gf256::Kernel;

/// Writes the sum of `weight · payload` over the columns `range` over `out`.
///
/// Panics when the range goes beyond a payload, or `out` is not as long as the range.
pub(crate) fn combine<'a>(
    out: &mut [u8],
    range: &Range<usize>,
    weights: &[u8],
    payloads: impl IntoIterator<Item = &'a [u8]>,
) {
    let sources: Vec<(u8, &[u8])> = weights
        .iter()
        .zip(payloads)
        .filter(|&(&weight, _)| weight != 0)
        .map(|(&weight, payload)| (weight, &payload[range.clone()]))
        .collect();
    Kernel::best().combine(out, &sources);
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
