//! Several outputs by way of a copy of the sources: the room for it may be of any length and lie
//! anywhere, and what stands in it changes nothing.

use gf256::Kernel;

use crate::{
    LENGTHS,
    guarded::{Guarded, bytes},
    products::Case,
};

/// Numbers of outputs from one too few for a copy on, around every tile: 1, 2, 4 and 8 rows.
const OUTPUTS: &[usize] = if cfg!(miri) { &[39] } else { &[31, 32, 33, 36, 38, 39, 40, 63] };

/// Room for the copy, none of whose guards may change.
fn check(case: &Case, room_bytes: usize, shift: usize) {
    let mut room = Guarded::new(&bytes(room_bytes, 9), shift);
    case.check(|kernel, outputs, sources| kernel.product_with(room.inside(), outputs, sources));
    let left = room.inside().to_vec();
    room.check(&left, || format!("{room_bytes} bytes of room at {shift}"));
}

/// The least room that a tile of so many sources can need: two vectors of each.
fn tile_bytes(sources: usize) -> usize {
    sources * 2 * 64
}

#[test]
fn every_kernel_computes_the_same_by_way_of_a_copy() {
    let sources: &[usize] = if cfg!(miri) { &[3] } else { &[0, 1, 2, 3, 16] };
    for &outputs in OUTPUTS {
        for &sources in sources {
            for length in LENGTHS {
                let case = Case::new(outputs, sources, length, outputs + sources * 5 + length);
                check(&case, tile_bytes(sources) + 300, length % 64);
            }
        }
    }
}

/// From none to more than a tile, byte by byte where it begins to be enough.
#[test]
fn any_length_of_room_will_do() {
    let case = Case::new(33, 2, if cfg!(miri) { 35 } else { 700 }, 1);
    for room_bytes in (0..tile_bytes(2) + 400).step_by(if cfg!(miri) { 401 } else { 1 }) {
        check(&case, room_bytes, room_bytes % 64);
    }
}

#[test]
fn room_at_any_alignment_will_do() {
    let case = Case::new(33, 3, if cfg!(miri) { 35 } else { 300 }, 2);
    for shift in (0..64).step_by(if cfg!(miri) { 40 } else { 1 }) {
        check(&case, tile_bytes(3) + 128, shift);
    }
}

/// The copies of a block are as long as the room: at these numbers one to many blocks.
#[test]
#[cfg(not(miri))]
fn every_kernel_computes_across_blocks_of_the_copy() {
    for (outputs, sources, length) in [(33, 256, 1_500), (35, 100, 5_000), (65, 1, 300_001)] {
        let case = Case::new(outputs, sources, length, length);
        for room_bytes in [tile_bytes(sources) + 128, tile_bytes(sources) * 3, gf256::SCRATCH_BYTES]
        {
            check(&case, room_bytes, 0);
        }
    }
}

#[test]
#[cfg(not(miri))]
fn as_many_outputs_as_sources_come_by_way_of_a_copy_at_every_weight() {
    check(&Case::new(256, 256, 70, 3), gf256::SCRATCH_BYTES, 0);
}

#[test]
#[should_panic(expected = "1 weights for 2 sources")]
fn weights_for_another_number_of_sources_are_refused_before_the_copy() {
    let mut outs = [[0; 1]; 33];
    let mut outputs: Vec<gf256::Output<'_, '_>> =
        outs.iter_mut().map(|out| (&[1][..], &mut out[..])).collect();
    Kernel::best().product_with(&mut [0; 1_000], &mut outputs, &[&[1], &[2]]);
}
