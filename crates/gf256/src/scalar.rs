//! The portable kernel: one table row for each coefficient, one byte at a time.
//!
//! The callers have checked that the slices are equally long.

use crate::products::PRODUCTS;

/// Adds `coefficient · source` to `target`.
pub(crate) fn axpy(target: &mut [u8], coefficient: u8, source: &[u8]) {
    let row = &PRODUCTS[usize::from(coefficient)];
    for (target, &source) in target.iter_mut().zip(source) {
        *target ^= row[usize::from(source)];
    }
}

/// Writes `coefficient · source` over `target`.
pub(crate) fn mul(target: &mut [u8], coefficient: u8, source: &[u8]) {
    let row = &PRODUCTS[usize::from(coefficient)];
    for (target, &source) in target.iter_mut().zip(source) {
        *target = row[usize::from(source)];
    }
}

/// Multiplies `target` by `coefficient`.
pub(crate) fn scale(target: &mut [u8], coefficient: u8) {
    let row = &PRODUCTS[usize::from(coefficient)];
    for target in target {
        *target = row[usize::from(*target)];
    }
}

/// Writes the sum of `coefficient · source` over all sources over `out`.
pub(crate) fn combine(out: &mut [u8], sources: &[(u8, &[u8])]) {
    // The outer loop goes over blocks, so that a block of `out` stays in the first-level cache
    // while every source is added to it.
    const BLOCK_BYTES: usize = 4096;
    for (index, block) in out.chunks_mut(BLOCK_BYTES).enumerate() {
        let columns = index * BLOCK_BYTES..index * BLOCK_BYTES + block.len();
        block.fill(0);
        for &(coefficient, source) in sources {
            axpy(block, coefficient, &source[columns.clone()]);
        }
    }
}
