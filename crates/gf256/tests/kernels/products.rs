//! The fused products: one output and several outputs from many sources.

use gf256::{Kernel, Output};

#[cfg(not(miri))]
use crate::ALL_LENGTHS;
use crate::{
    LENGTHS, by_definition, coefficients,
    guarded::{Guarded, bytes},
};

/// Numbers of sources around the pairs they are taken in.
const SOURCES: &[usize] = if cfg!(miri) { &[3] } else { &[0, 1, 2, 3, 8] };
/// More numbers of sources for one output.
const SOURCES_OF_ONE: &[usize] =
    if cfg!(miri) { &[15] } else { &[4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24] };
/// Numbers of outputs around every tile: 1, 2, 4 and 8 rows, alone and together.
const OUTPUTS: &[usize] = if cfg!(miri) { &[15] } else { &[0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31] };

/// Outputs and sources of a product, and what must come out.
pub(crate) struct Case {
    pub(crate) weights: Vec<Vec<u8>>,
    pub(crate) sources: Vec<Vec<u8>>,
    length: usize,
    seed: usize,
    expected: Vec<Vec<u8>>,
}

impl Case {
    pub(crate) fn new(outputs: usize, sources: usize, length: usize, seed: usize) -> Self {
        let weight = |row: usize, index: usize| (seed + row * 77 + index * 29) as u8;
        let weights: Vec<Vec<u8>> = (0..outputs)
            .map(|row| (0..sources).map(|index| weight(row, index)).collect())
            .collect();
        let sources: Vec<Vec<u8>> = (0..sources).map(|index| bytes(length, index)).collect();
        let expected =
            weights.iter().map(|weights| by_definition(weights, &sources, length)).collect();
        Self { weights, sources, length, seed, expected }
    }

    /// Runs `product` for every kernel, outputs and sources shifted from aligned places: in two
    /// of three cases the sources lie alike, in the third each has a shift of its own.
    pub(crate) fn check(&self, mut product: impl FnMut(Kernel, &mut [Output<'_, '_>], &[&[u8]])) {
        let Self { weights, sources, length, seed, expected } = self;
        let step = if seed.is_multiple_of(3) { 13 } else { 0 };
        for kernel in Kernel::available() {
            let shift = |index: usize| (seed + index * step) % 64;
            let inputs = sources.iter().enumerate();
            let mut inputs: Vec<Guarded> =
                inputs.map(|(index, input)| Guarded::new(input, shift(index))).collect();
            let inputs: Vec<&[u8]> = inputs.iter_mut().map(|input| &*input.inside()).collect();
            let mut outs: Vec<Guarded> = (0..weights.len())
                .map(|row| Guarded::new(&bytes(*length, 40 + row), (seed / 2 + row * 5) % 64))
                .collect();
            let mut pairs: Vec<Output<'_, '_>> =
                weights.iter().zip(&mut outs).map(|(row, out)| (&row[..], out.inside())).collect();
            product(kernel, &mut pairs, &inputs);
            for (row, (out, expected)) in outs.into_iter().zip(expected).enumerate() {
                let what = || {
                    let (name, outputs, sources) = (kernel.name(), weights.len(), sources.len());
                    let what = format!("output {row} of {outputs} from {sources} sources");
                    format!("{name}: {what} of {length} bytes, seed {seed}")
                };
                out.check(expected, what);
            }
        }
    }
}

fn check(outputs: usize, sources: usize, length: usize, seed: usize) {
    let case = Case::new(outputs, sources, length, seed);
    case.check(Kernel::product);
    if let [weights] = &case.weights[..] {
        case.check(|kernel, pairs, inputs| {
            let [(_, out)] = pairs else { unreachable!("one output") };
            kernel.combine(out, weights, inputs);
        });
    }
}

#[test]
fn every_kernel_combines_sources_at_every_coefficient_length_and_alignment() {
    for length in LENGTHS {
        for coefficient in coefficients() {
            check(1, 2 + usize::from(coefficient) % 2, length, coefficient.into());
        }
    }
}

#[test]
fn every_kernel_combines_any_number_of_sources() {
    for &sources in SOURCES_OF_ONE {
        for length in LENGTHS {
            check(1, sources, length, sources * 5 + length);
        }
    }
}

#[test]
fn every_kernel_computes_any_number_of_outputs_from_any_number_of_sources() {
    for &outputs in OUTPUTS {
        for &sources in SOURCES {
            for length in LENGTHS {
                check(outputs, sources, length, outputs * 3 + sources * 5 + length);
            }
        }
    }
}

/// Each output has every weight once, and each weight stands in each row of a tile.
#[test]
#[cfg(not(miri))]
fn every_kernel_computes_several_outputs_at_every_weight() {
    for (outputs, length) in [(2, 97), (4, 129), (8, 577), (15, 193)] {
        for seed in [0, 1] {
            check(outputs, 256, length, seed);
        }
    }
}

#[test]
#[cfg(not(miri))]
fn every_kernel_computes_one_and_several_outputs_at_every_length() {
    for length in ALL_LENGTHS {
        // Only one number of outputs for each length and each tile: 1, 2, 4 or 8 rows.
        check(1, 3, length, length);
        check(2 + length % 2, 3, length, length + 1);
        check(4 + length % 4, 2, length, length + 2);
        check(8, 3, length, length + 3);
    }
}

/// One output is computed in runs of some pages; several in blocks of columns that are 256 KiB
/// divided by the sources long, 1 KiB at 256 sources.
#[test]
#[cfg(not(miri))]
fn every_kernel_computes_across_runs_and_blocks_of_columns() {
    for length in [1023, 1024, 1025, 1087, 2047, 2048, 2049, 2111, 4096 + 63, 4160 + 1] {
        for outputs in [1, 3] {
            check(outputs, 256, length, length + outputs);
        }
    }
    check(13, 256, 2111, 7);
    for length in [4095, 4096, 4097, 4159, 8191, 8192, 8193, 8255, 8256, 16_384 + 65, 20_000] {
        for sources in [1, 3, 15] {
            check(1, sources, length, length + sources);
        }
    }
    for length in [131_071, 131_072, 131_073, 131_136 + 63] {
        check(2, 2, length, length);
    }
}
