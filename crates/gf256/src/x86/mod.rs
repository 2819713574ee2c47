//! Kernels for x86 CPUs: one file for each instruction set.
//!
//! Each file has one type that exists only as proof that the CPU has the instructions. Since a
//! value comes from `detect` alone, its methods are safe to call; the `unsafe` here is the step
//! from that proof into the instructions.
#![expect(unsafe_code, reason = "instructions beyond the baseline, and vector loads and stores")]

#[cfg(target_arch = "x86")]
use std::arch::x86 as arch;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as arch;

mod avx2;
mod avx2_gfni;
mod avx512_gfni;
mod ssse3;

pub(crate) use avx2::Avx2;
pub(crate) use avx2_gfni::Avx2Gfni;
pub(crate) use avx512_gfni::Avx512Gfni;
pub(crate) use ssse3::Ssse3;
