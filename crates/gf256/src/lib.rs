//! Arithmetic on slices of bytes as elements of the field GF(2^8).
//!
//! A byte is a polynomial over GF(2) of degree at most 7; sums are exclusive or, products are
//! taken modulo [`POLYNOMIAL`]. [`mul`] and [`inverse`] are the definition, for single bytes.
//! Slices go through a [`Kernel`], which is chosen at run time by what the CPU can do.
//!
//! The crate knows nothing of matrices, ranks or messages, and it does not allocate.
//!
//! ```
//! use gf256::Kernel;
//!
//! let kernel = Kernel::best();
//! let mut out = [0; 3];
//! kernel.combine(&mut out, &[2, 1], &[&[1, 2, 3], &[7, 7, 7]]);
//! assert_eq!(out, [2 ^ 7, 4 ^ 7, 6 ^ 7]);
//! ```
#![deny(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "vectors stay in registers only where everything is inlined into one function"
)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod combine;
mod field;
mod fused;
mod kernel;
#[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64", test))]
mod nibbles;
mod packed;
mod portable;
mod products;
mod scalar;
mod simd;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod x86;

pub use field::{POLYNOMIAL, inverse, mul};
pub use kernel::{Kernel, Output, SCRATCH_BYTES, SOURCES_MAX};
