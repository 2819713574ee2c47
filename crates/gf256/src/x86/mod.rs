//! Kernels for x86 CPUs: one file for each instruction set.
//!
//! Each file has one type that exists only as proof that the CPU has the instructions. Since a
//! value comes from `detect` alone, its methods are safe to call; the `unsafe` here is the step
//! from that proof into the functions that use the instructions, and the loads and stores.
#![expect(unsafe_code, reason = "instructions beyond the baseline, and vector loads and stores")]

mod avx2;

pub(crate) use avx2::Avx2;
