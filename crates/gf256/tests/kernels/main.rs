//! Every kernel against the definition of the field, at every coefficient and around every block
//! edge, with guard bytes that must stay as they are.

mod guarded;
mod products;

use gf256::{Kernel, mul};

use crate::guarded::{Guarded, bytes};

/// Lengths around every block edge a kernel can have: empty, tails, one vector of 8, 16, 32 and 64
/// bytes, one tile of 128, 256 and 512, many tiles.
#[cfg(not(miri))]
const LENGTHS: [usize; 33] = [
    0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 95, 97, 127, 128, 129, 191, 193, 255,
    256, 257, 289, 511, 512, 513, 575, 577, 1031,
];
/// The same, fewer: an interpreter makes each byte slow.
#[cfg(miri)]
const LENGTHS: [usize; 4] = [0, 1, 33, 97];

/// Coefficients to try: all, or a few where an interpreter makes each one slow.
fn coefficients() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).step_by(if cfg!(miri) { 85 } else { 1 })
}

/// Shifts of the target and of the source from an aligned place. Every pair below 64 comes up over
/// the coefficients and lengths.
fn shifts(coefficient: u8, length: usize) -> (usize, usize) {
    (usize::from(coefficient) % 64, (usize::from(coefficient) / 4 + length) % 64)
}

#[test]
fn every_kernel_adds_products_as_the_field_defines_them() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            let (before, source) = (bytes(length, 1), bytes(length, 2));
            for coefficient in coefficients() {
                let sum = |(&t, &s): (&u8, &u8)| t ^ mul(coefficient, s);
                let expected: Vec<u8> = before.iter().zip(&source).map(sum).collect();
                let (target_shift, source_shift) = shifts(coefficient, length);
                let mut target = Guarded::new(&before, target_shift);
                let mut source = Guarded::new(&source, source_shift);
                kernel.axpy(target.inside(), coefficient, source.inside());
                let what = format!("axpy {}, {length} bytes times {coefficient}", kernel.name());
                target.check(&expected, &what);
            }
        }
    }
}

#[test]
fn every_kernel_scales_as_the_field_defines_it() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            let source = bytes(length, 3);
            for coefficient in coefficients() {
                let expected: Vec<u8> = source.iter().map(|&s| mul(coefficient, s)).collect();
                let mut target = Guarded::new(&source, shifts(coefficient, length).0);
                kernel.scale(target.inside(), coefficient);
                let what = format!("scale {}, {length} bytes times {coefficient}", kernel.name());
                target.check(&expected, &what);
            }
        }
    }
}

#[test]
fn every_kernel_adds_multiples_of_a_source_to_many_rows() {
    for kernel in Kernel::available() {
        for width in LENGTHS.into_iter().filter(|&width| width > 0) {
            for count in [0, 1, 2, 7] {
                let (before, source) = (bytes(width * count, 4), bytes(width, 5));
                let factors: Vec<u8> = (0..count).map(|row| (row * 91 + width) as u8).collect();
                let mut expected = before.clone();
                for (row, &factor) in expected.chunks_mut(width).zip(&factors) {
                    for (target, &source) in row.iter_mut().zip(&source) {
                        *target ^= mul(factor, source);
                    }
                }
                let mut rows = Guarded::new(&before, width % 64);
                kernel.axpy_rows(rows.inside(), &factors, &source);
                rows.check(&expected, &format!("{}, {count} rows of {width}", kernel.name()));
            }
        }
    }
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
}

#[test]
#[should_panic(expected = "a source of 2 bytes for a target of 3 bytes")]
fn a_source_of_another_length_is_refused() {
    Kernel::best().combine(&mut [0; 3], &[1, 1], &[&[1, 2, 3], &[1, 2]]);
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
#[should_panic(expected = "rows of 0 bytes")]
fn empty_rows_are_refused() {
    Kernel::best().axpy_rows(&mut [], &[], &[]);
}
