//! The fused products: one output and several outputs from many sources.

use gf256::{Kernel, Output, mul};

use crate::{
    LENGTHS, coefficients,
    guarded::{Guarded, bytes},
};

/// Numbers of sources around the pairs they are taken in.
const SOURCES: &[usize] = if cfg!(miri) { &[0, 3] } else { &[0, 1, 2, 3, 8] };
/// Numbers of outputs around every tile: 1, 2, 4 and 8 rows, alone and together.
const OUTPUTS: &[usize] =
    if cfg!(miri) { &[1, 5] } else { &[0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31] };

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

/// Sources of this length, each at an alignment of its own if `spread`, else all at `shift`.
fn guarded(count: usize, length: usize, shift: usize, spread: bool) -> Vec<Guarded> {
    let step = if spread { 13 } else { 0 };
    (0..count)
        .map(|index| Guarded::new(&bytes(length, index), (shift + index * step) % 64))
        .collect()
}

fn check(kernel: Kernel, outputs: usize, sources: usize, length: usize, seed: usize) {
    let weights: Vec<Vec<u8>> = (0..outputs)
        .map(|row| (0..sources).map(|index| (seed + row * 77 + index * 29) as u8).collect())
        .collect();
    let plain: Vec<Vec<u8>> = (0..sources).map(|index| bytes(length, index)).collect();
    let mut inputs = guarded(sources, length, seed % 64, seed.is_multiple_of(3));
    let inputs: Vec<&[u8]> = inputs.iter_mut().map(|input| &*input.inside()).collect();
    let mut outs: Vec<Guarded> = (0..outputs)
        .map(|row| Guarded::new(&bytes(length, 40 + row), (seed / 2 + row * 5) % 64))
        .collect();
    let mut pairs: Vec<Output<'_, '_>> =
        weights.iter().zip(&mut outs).map(|(row, out)| (&row[..], out.inside())).collect();
    kernel.product(&mut pairs, &inputs);
    for (row, out) in outs.into_iter().enumerate() {
        let expected = by_definition(&weights[row], &plain, length);
        let what = format!(
            "{}: output {row} of {outputs} from {sources} sources of {length} bytes, seed {seed}",
            kernel.name()
        );
        out.check(&expected, &what);
    }
}

#[test]
fn every_kernel_combines_sources_at_every_coefficient_length_and_alignment() {
    for kernel in Kernel::available() {
        for length in LENGTHS {
            for coefficient in coefficients() {
                check(kernel, 1, 2 + usize::from(coefficient) % 2, length, coefficient.into());
            }
        }
    }
}

#[test]
fn every_kernel_computes_any_number_of_outputs_from_any_number_of_sources() {
    for kernel in Kernel::available() {
        for &outputs in OUTPUTS {
            for &sources in SOURCES {
                for length in LENGTHS {
                    check(kernel, outputs, sources, length, outputs * 3 + sources * 5 + length);
                }
            }
        }
    }
}

/// Blocks of columns are 512 KiB divided by the sources long: 2 KiB at 256 sources.
#[test]
#[cfg(not(miri))]
fn every_kernel_computes_across_blocks_of_columns() {
    for kernel in Kernel::available() {
        for length in [2047, 2048, 2049, 2111, 4096 + 63, 4160 + 1] {
            for outputs in [1, 3, 13] {
                check(kernel, outputs, 256, length, length + outputs);
            }
        }
    }
}

#[test]
fn every_kernel_combines_rows_as_it_combines_sources() {
    for kernel in Kernel::available() {
        for width in LENGTHS.into_iter().filter(|&width| width > 0) {
            for &count in SOURCES {
                let rows = bytes(width * count, 6);
                let weights: Vec<u8> = (0..count).map(|row| (row * 91 + width) as u8).collect();
                let plain: Vec<Vec<u8>> = rows.chunks(width).map(<[u8]>::to_vec).collect();
                let mut out = Guarded::new(&bytes(width, 7), width % 64);
                kernel.combine_rows(out.inside(), &weights, &rows);
                let what = format!("{}, {count} rows of {width}", kernel.name());
                out.check(&by_definition(&weights, &plain, width), &what);
            }
        }
    }
}
