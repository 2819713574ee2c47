//! Every kernel against the definition of the field, at every coefficient and around every block
//! edge, with guard bytes that must stay as they are.

mod combine;
mod guarded;
mod packed;
mod products;
mod rows;
mod slices;

use gf256::{Kernel, mul};

/// Lengths around every block edge a kernel can have: empty, tails, one vector of 8, 16, 32 and 64
/// bytes, groups of 2, 4 and 8 of them, alone and one behind the other, many groups.
#[cfg(not(miri))]
const LENGTHS: [usize; 45] = [
    0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 95, 96, 97, 127, 128, 129,
    160, 161, 191, 192, 193, 224, 255, 256, 257, 289, 320, 321, 384, 385, 448, 449, 511, 512, 575,
    577, 1031,
];
/// The same, fewer: an interpreter makes each byte slow.
#[cfg(miri)]
const LENGTHS: [usize; 3] = [0, 1, (4 + 2 + 1) * 32 + 5];

/// Every length up to two of the widest groups, with a lead and a tail: no edge is forgotten.
#[cfg(not(miri))]
const ALL_LENGTHS: std::ops::Range<usize> = 0..2 * 512 + 2 * 64;

/// Coefficients to try: all, or a few where an interpreter makes each one slow.
fn coefficients() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).step_by(if cfg!(miri) { 127 } else { 1 })
}

/// The sum of the products by the definition.
fn by_definition(weights: &[u8], sources: &[Vec<u8>], length: usize) -> Vec<u8> {
    let mut sum = vec![0; length];
    for (&weight, source) in weights.iter().zip(sources) {
        for (sum, &source) in sum.iter_mut().zip(source) {
            *sum ^= mul(weight, source);
        }
    }
    sum
}

#[test]
fn the_scalar_kernel_is_the_last_choice_and_the_best_is_the_first() {
    let kernels: Vec<Kernel> = Kernel::available().collect();
    assert_eq!(kernels.first(), Some(&Kernel::best()));
    assert_eq!(kernels.last(), Some(&Kernel::scalar()));
}

/// What this machine can test is shown, so that a gap does not go unseen.
#[test]
fn the_portable_kernel_is_there_on_every_machine() {
    let names: Vec<&str> = Kernel::available().map(Kernel::name).collect();
    println!("kernels of this CPU: {}", names.join(", "));
    assert!(names.contains(&"portable") && names.contains(&"scalar"), "{names:?}");
    if cfg!(target_arch = "aarch64") {
        assert_eq!(names[0], "neon");
    }
    if cfg!(miri) {
        // An interpreter has the vectors that it was told of, on any machine.
        let vectors = if cfg!(target_feature = "gfni") { 3 } else { 0 };
        assert_eq!(names.len(), vectors + 2, "{names:?}");
    }
}

#[test]
#[should_panic(expected = "a source of 2 bytes for a target of 3 bytes")]
fn a_source_of_another_length_is_refused() {
    Kernel::best().combine(&mut [0; 3], &[1, 1], &[&[1, 2, 3], &[1, 2]]);
}

#[test]
#[should_panic(expected = "a source of 2 bytes for a target of 1 bytes")]
fn a_source_longer_than_its_target_is_refused() {
    Kernel::best().axpy(&mut [0; 1], 1, &[1, 2]);
}

#[test]
#[should_panic(expected = "1 weights for 2 sources")]
fn weights_for_another_number_of_sources_are_refused() {
    Kernel::best().combine(&mut [0; 1], &[1], &[&[1], &[2]]);
}

#[test]
#[should_panic(expected = "257 sources: there may be 256")]
fn more_sources_than_elements_of_the_field_are_refused() {
    Kernel::best().combine(&mut [0; 1], &[1; 257], &[&[1][..]; 257]);
}

#[test]
#[should_panic(expected = "5 bytes for 2 rows of 3 bytes")]
fn rows_of_another_length_are_refused() {
    Kernel::best().combine_rows(&mut [0; 3], &[1, 2], &[1, 2, 3, 4, 5]);
}

#[test]
#[should_panic(expected = "257 sources: there may be 256")]
fn more_rows_than_elements_of_the_field_are_refused() {
    Kernel::best().combine_rows(&mut [0; 1], &[1; 257], &[1; 257]);
}

#[test]
#[should_panic(expected = "rows of 0 bytes")]
fn empty_rows_are_refused() {
    Kernel::best().axpy_rows(&mut [], &[], &[]);
}

#[test]
#[should_panic(expected = "a source of 2 bytes for a target of 1 bytes")]
fn outputs_of_different_lengths_are_refused() {
    let (mut short, mut long) = ([0; 1], [0; 2]);
    Kernel::best().product(&mut [(&[1], &mut short), (&[1], &mut long)], &[&[1]]);
}

#[test]
#[should_panic(expected = "2 weights for 1 sources")]
fn weights_for_another_number_of_sources_are_refused_in_any_output() {
    let (mut first, mut second) = ([0; 1], [0; 1]);
    Kernel::best().product(&mut [(&[1], &mut first), (&[1, 2], &mut second)], &[&[1]]);
}
