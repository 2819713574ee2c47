//! The kernel for 64-bit ARM CPUs.
//!
//! Its type exists only as proof that the CPU has the instructions. Since a value comes from
//! `detect` alone, its methods are safe to call; the `unsafe` here is the step from that proof
//! into the instructions.
#![expect(unsafe_code, reason = "instructions beyond the baseline, and vector loads and stores")]

mod neon;

pub(crate) use neon::Neon;
