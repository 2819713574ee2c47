//! Other libraries: one file each.
//!
//! Each is given what ours is given: buffers kept or fresh, wherever its interface lets the caller
//! choose, and a message that it cuts into pieces of the same length. What a library does inside an
//! operation (copies, allocations, the making of tables) is part of its time, with two exceptions
//! in its favour: tables of multiplication are made beforehand where the coefficients could be
//! known beforehand, and results are left where the library puts them.

#[cfg(isa_l)]
mod isa_l;
mod reed_solomon_erasure;
mod reed_solomon_simd;
mod rlnc;
mod rlnc_simdx;

use crate::work::{Buffers, Input, Operation, Run};

/// Another library.
pub(crate) trait Peer {
    /// Its name, that of the crate where it is one.
    fn name(&self) -> &'static str;

    /// Whether it codes as ours does: dense, over a field of 256 elements, with any coefficients.
    /// The others are codes with a fixed matrix.
    fn is_rlnc_or_isal(&self) -> bool;

    /// Returns one operation, ready to be timed; nothing if it has no such operation.
    fn prepare(
        &self,
        operation: Operation,
        input: &Input,
        buffers: Buffers,
    ) -> Option<Box<dyn Run>>;
}

/// Returns which versions are measured; those of the Rust ones stand in `Cargo.toml` too.
pub(crate) fn versions() -> String {
    let isa_l = option_env!("ISA_L_VERSION").map_or(String::new(), |v| format!("ISA-L {v}, "));
    format!(
        "rlnc 0.8.7, rlnc-simdx 1.3.1, {isa_l}reed-solomon-erasure 6.0.0 (simd-accel), \
         reed-solomon-simd 3.1.0"
    )
}

/// Returns every library that is there.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(rlnc::Rlnc),
        Box::new(rlnc_simdx::RlncSimdx),
        #[cfg(isa_l)]
        Box::new(isa_l::IsaL),
        Box::new(reed_solomon_erasure::Erasure),
        Box::new(reed_solomon_simd::Simd),
    ]
}

/// Returns what is to be said of libraries that are missing here.
pub(crate) const fn missing() -> Option<&'static str> {
    if cfg!(isa_l) {
        None
    } else {
        Some("ISA-L is not on this machine (Debian: libisal-dev), so it was not measured.")
    }
}

/// An operation made of functions on some state.
struct Timed<S> {
    state: S,
    reset: Option<fn(&mut S)>,
    run: fn(&mut S),
    check: fn(&mut S) -> Result<(), String>,
}

impl<S: 'static> Timed<S> {
    /// Returns an operation that consumes nothing.
    fn boxed(state: S, run: fn(&mut S), check: fn(&mut S) -> Result<(), String>) -> Box<dyn Run> {
        Box::new(Self { state, reset: None, run, check })
    }
}

impl<S> Run for Timed<S> {
    fn reset(&mut self) {
        if let Some(reset) = self.reset {
            reset(&mut self.state);
        }
    }

    fn consumes(&self) -> bool {
        self.reset.is_some()
    }

    fn run(&mut self) {
        (self.run)(&mut self.state);
    }

    fn check(&mut self) -> Result<(), String> {
        (self.check)(&mut self.state)
    }
}

/// The check of an operation whose result only its own decoder can judge, which it does in the
/// cells that decode.
fn checked_by_decoding<S>(_: &mut S) -> Result<(), String> {
    Ok(())
}

/// Returns whether a message came back, as the result of a check.
fn same(got: &[u8], expected: &[u8]) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err("another message".to_owned()) }
}

/// Returns whether a piece is the combination that its coefficients say, as the result of a check.
/// `mul` is the product of its field.
fn combination(
    piece: &[u8],
    coefficients: &[u8],
    fragments: &[&[u8]],
    mul: impl Fn(u8, u8) -> u8,
) -> Result<(), String> {
    let sound = (0..piece.len()).step_by(piece.len() / 7 + 1).all(|column| {
        let products = fragments.iter().zip(coefficients);
        piece[column] == products.fold(0, |sum, (f, &c)| sum ^ mul(f[column], c))
    });
    if sound { Ok(()) } else { Err("a piece is not its combination".to_owned()) }
}
