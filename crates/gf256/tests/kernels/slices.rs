//! The operations on one target: a product added, and a product in place.

use std::iter::zip;

use gf256::{Kernel, mul};

#[cfg(not(miri))]
use crate::ALL_LENGTHS;
use crate::{
    LENGTHS, coefficients,
    guarded::{Guarded, bytes},
};

/// Places from an aligned one at which a slice can begin.
const SHIFTS: usize = 64;

/// Every length with every coefficient, the target and the source each shifted from an aligned
/// place: over all of them every pair of shifts comes up.
fn cases() -> impl Iterator<Item = (usize, u8, usize, usize)> {
    LENGTHS.into_iter().enumerate().flat_map(|(turn, length)| {
        coefficients().map(move |coefficient| {
            let number = turn * 256 + usize::from(coefficient);
            (length, coefficient, number % SHIFTS, number / SHIFTS % SHIFTS)
        })
    })
}

fn sum(before: &[u8], coefficient: u8, source: &[u8]) -> Vec<u8> {
    zip(before, source).map(|(&before, &source)| before ^ mul(coefficient, source)).collect()
}

fn check_axpy(case: (usize, u8, usize, usize)) {
    let (length, coefficient, target_shift, source_shift) = case;
    let (before, source) = (bytes(length, 1), bytes(length, 2));
    let expected = sum(&before, coefficient, &source);
    for kernel in Kernel::available() {
        let mut target = Guarded::new(&before, target_shift);
        let mut source = Guarded::new(&source, source_shift);
        kernel.axpy(target.inside(), coefficient, source.inside());
        let what = || format!("axpy {}, (length, factor, shifts) {case:?}", kernel.name());
        target.check(&expected, what);
    }
}

fn check_scale(case: (usize, u8, usize, usize)) {
    let (length, coefficient, shift, _) = case;
    let before = bytes(length, 3);
    let expected: Vec<u8> = before.iter().map(|&byte| mul(coefficient, byte)).collect();
    for kernel in Kernel::available() {
        let mut target = Guarded::new(&before, shift);
        kernel.scale(target.inside(), coefficient);
        let what = || format!("scale {}, (length, factor, shifts) {case:?}", kernel.name());
        target.check(&expected, what);
    }
}

#[test]
#[cfg(not(miri))]
fn the_cases_have_every_pair_of_shifts() {
    let pairs: std::collections::BTreeSet<_> =
        cases().map(|(_, _, target, source)| (target, source)).collect();
    assert_eq!(pairs.len(), SHIFTS * SHIFTS);
}

#[test]
fn every_kernel_adds_products_as_the_field_defines_them() {
    cases().for_each(check_axpy);
}

#[test]
#[cfg(not(miri))]
fn every_kernel_adds_products_at_every_length() {
    for length in ALL_LENGTHS {
        check_axpy((length, (length * 3 + 2) as u8, length % 7, length % 5));
    }
}

#[test]
fn every_kernel_scales_as_the_field_defines_it() {
    cases().for_each(check_scale);
}

#[test]
#[cfg(not(miri))]
fn every_kernel_scales_at_every_length() {
    for length in ALL_LENGTHS {
        check_scale((length, (length * 3 + 2) as u8, length % 7, 0));
    }
}
