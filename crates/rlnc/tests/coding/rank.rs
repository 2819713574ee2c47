//! How many random vectors make full rank, and what a decoder keeps.

use crate::common::rng;
use bytes::Bytes;
use rand::Rng;
use rlnc::{Absorbed, CoefficientSource, Decoder, FRAGMENTS_MAX, OtherShape, Pool, Shape, Shard};

/// Returns the shard of a generation of zeros with these coefficients: all that rank needs.
fn shard(shape: Shape, coefficients: Vec<u8>) -> Shard {
    let payload = vec![0; shape.fragment_bytes() as usize];
    Shard::parse(shape, coefficients.into(), payload.into()).unwrap()
}

/// Returns how many vectors of this seed it takes to rank `fragments`.
fn vectors_to_full_rank(fragments: u16, seed: [u8; 32]) -> u64 {
    let shape = Shape::new(fragments, 1).unwrap();
    let source = CoefficientSource::new(seed);
    let mut decoder = Decoder::new(shape);
    let mut taken = 0;
    while !decoder.is_full() {
        let _ = decoder.absorb(shard(shape, source.coefficients(shape, taken))).unwrap();
        taken += 1;
    }
    taken
}

/// Of `k` random vectors over a field of 256 elements, all are independent with probability
/// `(1 - 256^-1)(1 - 256^-2)…(1 - 256^-k)`, about 0.9961, and `k + 1` reach rank `k` with about
/// 0.99998. Over 256 values of `k` and 4 seeds that is 4 failures of `k` expected (fewer than 16
/// with a probability above 0.99999), and 0.016 failures of `k + 1`.
#[test]
fn as_many_vectors_as_fragments_reach_full_rank_as_often_as_chance_allows() {
    let (mut first_failures, mut second_failures) = (0, 0);
    for fragments in 1..=FRAGMENTS_MAX {
        for seed in 0..4 {
            let excess = vectors_to_full_rank(fragments, [seed; 32]) - u64::from(fragments);
            assert!(excess <= 2, "{excess} vectors more than {fragments} with seed {seed}");
            first_failures += u32::from(excess > 0);
            second_failures += u32::from(excess > 1);
        }
    }
    assert!((1..16).contains(&first_failures), "{first_failures} of 1024");
    assert!(second_failures <= 1, "{second_failures} of 1024");
}

/// Until rank `k`, a random vector that is not zero fails at rank `r` with the probability
/// `(256^r - 1) / (256^k - 1)`, each time anew. So the vectors beyond `k` are 0.0039 on average:
/// their number over many trials has this mean and variance, and it is further than 5 deviations
/// from the mean with a probability of 6 in ten million, as is the number of trials without any.
#[test]
fn the_vectors_beyond_full_rank_are_as_few_as_theory_says() {
    const TRIALS: u32 = 100_000;
    let mut rng = rng(17);
    for fragments in [2_u16, 8] {
        let shape = Shape::new(fragments, 1).unwrap();
        let mut decoder = Decoder::new(shape);
        let payload = Bytes::from_static(&[0]);
        let (mut surplus, mut with_none) = (0_u32, 0_u32);
        for _ in 0..TRIALS {
            decoder.clear(shape);
            let mut taken = 0;
            while !decoder.is_full() {
                let mut vector = vec![0; fragments.into()];
                rng.fill_bytes(&mut vector);
                // A vector of zeros is no shard; another one takes its place.
                let Ok(shard) = Shard::parse(shape, vector.into(), payload.clone()) else {
                    continue;
                };
                let _ = decoder.absorb(shard).unwrap();
                taken += 1;
            }
            surplus += taken - u32::from(fragments);
            with_none += u32::from(taken == u32::from(fragments));
        }
        let failure = |rank| (256_f64.powi(rank) - 1.0) / (256_f64.powi(fragments.into()) - 1.0);
        let (mut mean, mut variance, mut none) = (0.0, 0.0, 1.0);
        for failure in (0..fragments.into()).map(failure) {
            mean += failure / (1.0 - failure);
            variance += failure / (1.0 - failure).powi(2);
            none *= 1.0 - failure;
        }
        let trials = f64::from(TRIALS);
        let off = (f64::from(surplus) - trials * mean).abs();
        assert!(off < 5.0 * (trials * variance).sqrt(), "{surplus} beyond {fragments}");
        let off = (f64::from(with_none) - trials * none).abs();
        assert!(off < 5.0 * (trials * none * (1.0 - none)).sqrt(), "{with_none} at {fragments}");
    }
}

/// The expected bytes come from another implementation of `ChaCha12`, with the bytes 0 to 31 as the
/// key, the index as the 64-bit nonce and a 64-bit block counter that starts at zero.
#[test]
fn vectors_of_a_source_are_the_same_everywhere_and_for_good() {
    let source = CoefficientSource::new(std::array::from_fn(|index| index as u8));
    let shape = Shape::new(8, 1).unwrap();
    for (index, expected) in [
        (0, [242, 49, 249, 255, 209, 122, 198, 94]),
        (1, [146, 182, 128, 24, 168, 165, 90, 15]),
        (u64::MAX, [38, 239, 195, 232, 1, 221, 155, 79]),
    ] {
        assert_eq!(source.coefficients(shape, index), expected, "index {index}");
    }
}

/// The first byte of this stream is zero, so a vector of one coefficient is drawn again, from the
/// next word of 4 bytes on.
#[test]
fn a_vector_of_zeros_is_drawn_again_the_same_way_for_good() {
    let source = CoefficientSource::new([0; 32]);
    assert_eq!(source.coefficients(Shape::new(1, 1).unwrap(), 44), [135]);
    assert_eq!(source.coefficients(Shape::new(4, 1).unwrap(), 44), [0, 104, 202, 125]);
}

/// With one coefficient, one vector in 256 would be zero if that were not ruled out.
#[test]
fn no_vector_of_a_source_is_zero() {
    let source = CoefficientSource::new([9; 32]);
    let shape = Shape::new(1, 1).unwrap();
    assert!((0..10_000).all(|index| source.coefficients(shape, index) != [0]));
}

/// Weights are drawn byte by byte, so for one held shard the draw is zero once in 256 times.
#[test]
fn no_recipe_has_a_zero_coefficient_vector() {
    let shape = Shape::new(3, 1).unwrap();
    let mut decoder = Decoder::new(shape);
    assert_eq!(decoder.recipe(&mut rng(0)), None);
    assert_eq!(decoder.absorb(shard(shape, vec![0, 7, 0])), Ok(Absorbed::Innovative));
    let mut rng = rng(1);
    for _ in 0..10_000 {
        let recipe = decoder.recipe(&mut rng).unwrap();
        assert_ne!(recipe.coefficients()[1], 0);
        assert_eq!(recipe.weights().len(), 1);
    }
}

#[test]
fn a_redundant_shard_is_not_kept() {
    let shape = Shape::new(3, 2).unwrap();
    let mut decoder = Decoder::new(shape);
    let first = shard(shape, vec![1, 2, 3]);
    let second = shard(shape, vec![0, 0, 5]);
    assert_eq!(decoder.absorb(first.clone()), Ok(Absorbed::Innovative));
    assert_eq!(decoder.absorb(second.clone()), Ok(Absorbed::Innovative));
    for redundant in [vec![1, 2, 3], vec![2, 4, 6], vec![1, 2, 0], vec![0, 0, 1]] {
        assert_eq!(decoder.absorb(shard(shape, redundant)), Ok(Absorbed::Redundant));
    }
    assert_eq!(decoder.held(), [first, second]);
    assert_eq!((decoder.rank(), decoder.is_full()), (2, false));
    assert!(decoder.decode(1, &Pool::new(0)).is_err());
}

#[test]
fn at_full_rank_every_shard_is_redundant() {
    let shape = Shape::new(2, 1).unwrap();
    let mut decoder = Decoder::new(shape);
    assert!(decoder.absorb(shard(shape, vec![1, 1])).unwrap().is_innovative());
    assert!(decoder.absorb(shard(shape, vec![1, 2])).unwrap().is_innovative());
    assert!(decoder.is_full());
    assert!(!decoder.absorb(shard(shape, vec![9, 200])).unwrap().is_innovative());
    assert_eq!(decoder.held().len(), 2);
}

#[test]
fn a_held_payload_is_the_one_received_and_no_copy() {
    let shape = Shape::new(2, 4).unwrap();
    let payload = Bytes::from(vec![1, 2, 3, 4]);
    let at = payload.as_ptr();
    let mut decoder = Decoder::new(shape);
    let shard = Shard::parse(shape, Bytes::from_static(&[3, 4]), payload).unwrap();
    assert!(decoder.absorb(shard).unwrap().is_innovative());
    assert_eq!(decoder.held()[0].payload().as_ptr(), at);
}

#[test]
fn a_shard_parsed_for_another_shape_is_refused_with_both_shapes() {
    let mut decoder = Decoder::new(Shape::new(2, 1).unwrap());
    for (fragments, fragment_bytes) in [(3, 1), (2, 9), (1, 1)] {
        let other = Shape::new(fragments, fragment_bytes).unwrap();
        let shard = shard(other, vec![1; fragments.into()]);
        let expected = OtherShape {
            fragments: 2,
            fragment_bytes: 1,
            got_fragments: fragments.into(),
            got_bytes: fragment_bytes as usize,
        };
        assert_eq!(decoder.absorb(shard), Err(expected));
    }
    assert_eq!(decoder.rank(), 0);
}
