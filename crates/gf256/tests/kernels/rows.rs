//! The operations on short rows that lie one behind the other.

use gf256::{Kernel, mul};

#[cfg(not(miri))]
use crate::ALL_LENGTHS;
use crate::{
    LENGTHS, by_definition, coefficients,
    guarded::{Guarded, bytes},
};

/// Numbers of rows around the groups in which they are combined.
const COUNTS: &[usize] =
    if cfg!(miri) { &[0, 15] } else { &[0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17] };

fn check_axpy_rows(width: usize, factors: &[u8], target_shift: usize, source_shift: usize) {
    let (before, source) = (bytes(width * factors.len(), 4), bytes(width, 5));
    let mut expected = before.clone();
    for (row, &factor) in expected.chunks_mut(width).zip(factors) {
        for (target, &source) in row.iter_mut().zip(&source) {
            *target ^= mul(factor, source);
        }
    }
    for kernel in Kernel::available() {
        let mut rows = Guarded::new(&before, target_shift);
        let mut source = Guarded::new(&source, source_shift);
        kernel.axpy_rows(rows.inside(), factors, source.inside());
        let what = || {
            let shifts = (target_shift, source_shift);
            format!("axpy_rows {}, {} of {width}, shifts {shifts:?}", kernel.name(), factors.len())
        };
        rows.check(&expected, what);
    }
}

fn check_combine_rows(width: usize, weights: &[u8], out_shift: usize, rows_shift: usize) {
    let rows = bytes(width * weights.len(), 6);
    let plain: Vec<Vec<u8>> = rows.chunks(width).map(<[u8]>::to_vec).collect();
    let expected = by_definition(weights, &plain, width);
    for kernel in Kernel::available() {
        let mut out = Guarded::new(&bytes(width, 7), out_shift);
        let mut rows = Guarded::new(&rows, rows_shift);
        kernel.combine_rows(out.inside(), weights, rows.inside());
        let what = || {
            let shifts = (out_shift, rows_shift);
            let count = weights.len();
            format!("combine_rows {}, {count} of {width}, shifts {shifts:?}", kernel.name())
        };
        out.check(&expected, what);
    }
}

/// The factors of so many rows, different for each width.
fn factors(count: usize, width: usize) -> Vec<u8> {
    (0..count).map(|row| (row * 91 + width) as u8).collect()
}

#[test]
fn every_kernel_adds_every_multiple_of_a_source_to_rows() {
    let factors: Vec<u8> = coefficients().collect();
    for (turn, width) in LENGTHS.into_iter().enumerate().filter(|&(_, width)| width > 0) {
        check_axpy_rows(width, &factors, turn * 7 % 64, turn * 13 % 64);
    }
}

#[test]
#[cfg(not(miri))]
fn every_kernel_adds_multiples_of_a_source_to_rows_of_every_length() {
    for width in ALL_LENGTHS.skip(1) {
        check_axpy_rows(width, &factors(width % 4, width), width * 5 % 64, width % 64);
    }
}

#[test]
fn every_kernel_combines_rows_at_every_weight() {
    let weights: Vec<u8> = coefficients().collect();
    for (turn, width) in LENGTHS.into_iter().enumerate().filter(|&(_, width)| width > 0) {
        check_combine_rows(width, &weights, turn * 11 % 64, turn * 17 % 64);
    }
}

#[test]
fn every_kernel_combines_any_number_of_rows() {
    for width in LENGTHS.into_iter().filter(|&width| width > 0) {
        for &count in COUNTS {
            check_combine_rows(width, &factors(count, width), width % 64, (width + count) % 64);
        }
    }
}

#[test]
#[cfg(not(miri))]
fn every_kernel_combines_rows_of_every_length() {
    for width in ALL_LENGTHS.skip(1) {
        check_combine_rows(width, &factors(3, width), width * 3 % 64, width % 64);
    }
}
