//! One long output, which is computed in runs: from 3072 bytes on, in groups of 4, 2 and 1 sources,
//! with a head before the first aligned column and sums kept beside an output that lies otherwise.

use gf256::Kernel;

use crate::{
    by_definition,
    guarded::{Guarded, bytes},
    products::Case,
};

/// The shortest output that is computed so.
const LONG_BYTES: usize = 3072;

fn check(sources: usize, length: usize, seed: usize) {
    let case = Case::new(1, sources, length, seed);
    let weights = &case.weights[0];
    case.check(|kernel, pairs, inputs| {
        let [(_, out)] = pairs else { unreachable!("one output") };
        kernel.combine(out, weights, inputs);
    });
}

/// Over all seeds every coefficient stands at every place of every group.
#[test]
#[cfg(not(miri))]
fn every_kernel_adds_any_number_of_long_sources_at_every_coefficient() {
    for sources in 1..=10 {
        for coefficient in 0..=255 {
            check(sources, LONG_BYTES + 1, coefficient);
        }
    }
}

#[test]
#[cfg(not(miri))]
fn every_kernel_adds_long_sources_around_every_edge() {
    for length in [LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 2, LONG_BYTES + 255, 8191, 8192, 8193]
        .into_iter()
        .chain([8192 + 63, 8192 + 64, 8192 + 65, 16_384 + 37, 16_384 + 64 + 256, 24_577])
    {
        for sources in 0..=10 {
            // Sources alike and not, output aligned with them and not.
            for seed in [0, 1, 16, 33, 126] {
                check(sources, length, seed + 64 * sources);
            }
        }
    }
}

#[test]
#[cfg(not(miri))]
fn every_kernel_adds_long_sources_at_every_pair_of_alignments() {
    let length = LONG_BYTES + 133;
    let sources: Vec<Vec<u8>> = (0..7).map(|index| bytes(length, index)).collect();
    let weights = [0, 1, 2, 3, 0x53, 0xCA, 0xFF];
    let expected = by_definition(&weights, &sources, length);
    for kernel in Kernel::available() {
        for source_shift in 0..64 {
            let mut inputs: Vec<Guarded> =
                sources.iter().map(|source| Guarded::new(source, source_shift)).collect();
            let inputs: Vec<&[u8]> = inputs.iter_mut().map(|input| &*input.inside()).collect();
            for out_shift in 0..64 {
                let mut out = Guarded::new(&bytes(length, 40), out_shift);
                kernel.combine(out.inside(), &weights, &inputs);
                out.check(&expected, || format!("{} {source_shift} {out_shift}", kernel.name()));
            }
        }
    }
}

/// Both halves of the way: sums beside the output, and sums in it.
#[test]
#[cfg(miri)]
fn every_kernel_adds_long_sources_within_their_bounds() {
    for seed in [1, 0] {
        check(3, LONG_BYTES + 5, seed);
    }
}
