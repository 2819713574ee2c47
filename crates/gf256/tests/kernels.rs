//! Every kernel against the definition of the field, at every coefficient and around every block
//! edge, with guard bytes that must stay as they are.

use gf256::{Kernel, mul};

/// Lengths around every block edge a kernel can have: empty, tails, one block, many blocks.
#[cfg(not(miri))]
const LENGTHS: [usize; 24] = [
    0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 255, 256, 257, 287, 289, 511, 513,
    1031,
];
/// The same, fewer: an interpreter makes each byte slow.
#[cfg(miri)]
const LENGTHS: [usize; 4] = [0, 1, 33, 289];
/// Bytes on each side of a target that no kernel may touch.
const GUARD_BYTES: usize = 64;
const GUARD: u8 = 0xA5;

/// A target between guards, shifted by `shift` bytes so that every alignment occurs.
struct Guarded {
    bytes: Vec<u8>,
    shift: usize,
}

impl Guarded {
    fn new(inside: &[u8], shift: usize) -> Self {
        let mut bytes = vec![GUARD; GUARD_BYTES + shift];
        bytes.extend_from_slice(inside);
        bytes.resize(bytes.len() + GUARD_BYTES, GUARD);
        Self { bytes, shift }
    }

    fn inside(&mut self) -> &mut [u8] {
        let end = self.bytes.len() - GUARD_BYTES;
        &mut self.bytes[GUARD_BYTES + self.shift..end]
    }

    fn check(mut self, expected: &[u8], what: &str) {
        assert_eq!(self.inside(), expected, "{what}");
        let end = self.bytes.len() - GUARD_BYTES;
        let (before, after) = (&self.bytes[..GUARD_BYTES + self.shift], &self.bytes[end..]);
        let whole = before.iter().chain(after).all(|&byte| byte == GUARD);
        assert!(whole, "{what}: a byte outside the target was written");
    }
}

/// Bytes in which every value occurs once there is room for it, different for each `salt`.
fn bytes(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 167 + index / 256 * 31 + salt * 89 + 1) as u8).collect()
}

/// Coefficients to try: all, or a few where an interpreter makes each one slow.
fn coefficients() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).step_by(if cfg!(miri) { 85 } else { 1 })
}

#[test]
fn every_kernel_adds_products_as_the_field_defines_them() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            let (before, source) = (bytes(length, 1), bytes(length, 2));
            for coefficient in coefficients() {
                let sum = |(&t, &s): (&u8, &u8)| t ^ mul(coefficient, s);
                let expected: Vec<u8> = before.iter().zip(&source).map(sum).collect();
                let mut target = Guarded::new(&before, usize::from(coefficient) % 33);
                kernel.axpy(target.inside(), coefficient, &source);
                let what = format!("axpy {}, {length} bytes times {coefficient}", kernel.name());
                target.check(&expected, &what);
            }
        }
    }
}

#[test]
fn every_kernel_multiplies_as_the_field_defines_it() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            let source = bytes(length, 3);
            for coefficient in coefficients() {
                let expected: Vec<u8> = source.iter().map(|&s| mul(coefficient, s)).collect();
                let shift = usize::from(coefficient) % 33;
                let what = format!("{}, {length} bytes times {coefficient}", kernel.name());
                let mut target = Guarded::new(&bytes(length, 4), shift);
                kernel.mul(target.inside(), coefficient, &source);
                target.check(&expected, &format!("mul {what}"));
                let mut target = Guarded::new(&source, shift);
                kernel.scale(target.inside(), coefficient);
                target.check(&expected, &format!("scale {what}"));
            }
        }
    }
}

#[test]
fn every_kernel_combines_sources_as_the_field_defines_it() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            for coefficient in coefficients() {
                for count in [0, 1, 2, 5] {
                    check_combine(kernel, length, coefficient, count);
                }
            }
        }
    }
}

fn check_combine(kernel: Kernel, length: usize, coefficient: u8, count: usize) {
    let owned: Vec<(u8, Vec<u8>)> =
        (0..count).map(|index| (coefficient ^ (index * 77) as u8, bytes(length, index))).collect();
    let mut expected = vec![0; length];
    for (coefficient, source) in &owned {
        for (expected, &source) in expected.iter_mut().zip(source) {
            *expected ^= mul(*coefficient, source);
        }
    }
    let sources: Vec<(u8, &[u8])> = owned.iter().map(|(c, s)| (*c, s.as_slice())).collect();
    let mut out = Guarded::new(&bytes(length, 9), usize::from(coefficient) % 33);
    kernel.combine(out.inside(), &sources);
    let what = format!("combine {}, {count} × {length} bytes from {coefficient}", kernel.name());
    out.check(&expected, &what);
}

#[test]
fn the_scalar_kernel_is_the_last_choice_and_the_best_is_the_first() {
    let kernels: Vec<Kernel> = Kernel::available().collect();
    assert_eq!(kernels.first(), Some(&Kernel::best()));
    assert_eq!(kernels.last(), Some(&Kernel::scalar()));
}

#[test]
#[should_panic(expected = "a source of 2 bytes for a target of 3 bytes")]
fn a_source_of_another_length_is_refused() {
    Kernel::best().combine(&mut [0; 3], &[(1, &[1, 2, 3]), (1, &[1, 2])]);
}
