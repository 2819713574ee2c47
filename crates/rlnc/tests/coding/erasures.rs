//! Whatever is lost on the way and in whatever order the rest comes: any `k` independent shards
//! are the payload, by every kernel.

use crate::common::{by_definition, decode, payload, rank_by_definition, rng};
use bytes::Bytes;
use gf256::Kernel;
use proptest::{collection::vec, prelude::*, sample::subsequence};
use rlnc::{CoefficientSource, Decoder, Encoder, Shape, Shard};

/// Returns vectors that depend on each other often: most coefficients are zero, the others few.
fn dependent_vectors(width: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let coefficient = prop_oneof![4 => Just(0_u8), 2 => Just(1), 1 => 2_u8..5];
    vec(vec(coefficient, width), 1..2 * width + 3)
}

fn shard(encoder: &Encoder, coefficients: &[u8]) -> Option<Shard> {
    encoder.shard(Bytes::copy_from_slice(coefficients)).ok()
}

/// Absorbs the shards and returns what the rank was after each.
fn ranks(decoder: &mut Decoder, shards: impl IntoIterator<Item = Shard>) -> Vec<usize> {
    let mut absorb = |shard| {
        let before = decoder.rank();
        let absorbed = decoder.absorb(shard).unwrap();
        assert_eq!(decoder.rank(), before + u16::from(absorbed.is_innovative()));
        usize::from(decoder.rank())
    };
    shards.into_iter().map(&mut absorb).collect()
}

proptest! {
    #[test]
    fn any_shards_that_are_left_decode_if_as_many_as_fragments_are_independent(
        (fragments, kept) in (1_usize..=20).prop_flat_map(|fragments| {
            let numbers: Vec<u64> = (0..2 * fragments as u64 + 2).collect();
            (Just(fragments), subsequence(numbers, fragments..=fragments + 2))
        }),
        payload_bytes in 1_usize..4_000,
        seed: [u8; 32],
    ) {
        let payload = payload(payload_bytes, seed[0].into());
        let shape = Shape::for_payload(payload_bytes as u64, fragments as u16).unwrap();
        let encoder = Encoder::new(shape, payload.clone()).unwrap();
        let source = CoefficientSource::new(seed);
        let vectors: Vec<Vec<u8>> =
            kept.into_iter().map(|index| source.coefficients(shape, index)).collect();
        let mut decoder = Decoder::new(shape);
        ranks(&mut decoder, vectors.iter().filter_map(|vector| shard(&encoder, vector)));
        prop_assert_eq!(usize::from(decoder.rank()), rank_by_definition(vectors));
        if decoder.is_full() {
            prop_assert_eq!(decode(&decoder, payload_bytes as u64), payload);
        }
    }

    #[test]
    fn the_rank_is_that_of_the_vectors_after_each_and_in_any_order(
        (vectors, shuffled) in (1_usize..=12).prop_flat_map(dependent_vectors)
            .prop_flat_map(|vectors| (Just(vectors.clone()), Just(vectors).prop_shuffle())),
        seed: u64,
    ) {
        let fragments = vectors[0].len();
        let payload = payload(fragments * 9, seed);
        let shape = Shape::new(fragments as u16, 9).unwrap();
        let encoder = Encoder::new(shape, payload.clone()).unwrap();
        let mut last = 0;
        for vectors in [vectors, shuffled] {
            let vectors: Vec<Vec<u8>> =
                vectors.into_iter().filter(|vector| vector.iter().any(|&value| value != 0)).collect();
            let mut decoder = Decoder::new(shape);
            let shards = vectors.iter().filter_map(|vector| shard(&encoder, vector));
            let ranks = ranks(&mut decoder, shards);
            let expected: Vec<usize> = (1..=vectors.len())
                .map(|count| rank_by_definition(vectors[..count].to_vec()))
                .collect();
            prop_assert_eq!(&ranks, &expected);
            last = last.max(decoder.rank());
            prop_assert_eq!(decoder.rank(), last, "in another order");
            if decoder.is_full() {
                prop_assert_eq!(decode(&decoder, shape.generation_bytes()), &payload);
            }
        }
    }

    #[test]
    fn every_kernel_makes_the_same_shards_and_decodes_them_alike(
        fragments in 1_u16..=40,
        fragment_bytes in 1_u32..700,
        short_bytes in 0_u32..300,
        seed: u64,
    ) {
        let shape = Shape::new(fragments, fragment_bytes).unwrap();
        let payload_bytes = shape.generation_bytes().saturating_sub(short_bytes.into()).max(1);
        let payload = payload(payload_bytes as usize, seed);
        let source = CoefficientSource::new([seed as u8; 32]);
        for kernel in Kernel::available() {
            let encoder = Encoder::with_kernel(shape, payload.clone(), kernel).unwrap();
            let mut relay = Decoder::with_kernel(shape, kernel);
            let mut index = 0;
            while !relay.is_full() {
                let vector = source.coefficients(shape, index);
                let shard = shard(&encoder, &vector).unwrap();
                if index < 3 {
                    let expected = by_definition(shape, &payload, &vector);
                    prop_assert_eq!(shard.payload(), &expected, "{}", kernel.name());
                }
                let _ = relay.absorb(shard).unwrap();
                index += 1;
            }
            check_batches(kernel, &encoder, &relay, seed);
            prop_assert_eq!(decode(&relay, payload_bytes), &payload, "{}", kernel.name());
        }
    }
}

/// Checks some shards, encoded and recoded in one call, against the definition.
fn check_batches(kernel: Kernel, encoder: &Encoder, relay: &Decoder, seed: u64) {
    const SHARDS: usize = 10;
    let (shape, mut rng) = (encoder.shape(), rng(seed));
    let recipes: Vec<_> =
        (0..SHARDS as u16).filter_map(|turn| relay.sparse_recipe(&mut rng, turn + 1)).collect();
    let vectors: Vec<u8> =
        recipes.iter().flat_map(|recipe| recipe.coefficients().to_vec()).collect();
    let fragment_bytes = shape.fragment_bytes() as usize;
    let (mut published, mut passed_on) =
        (vec![1; SHARDS * fragment_bytes], vec![2; SHARDS * fragment_bytes]);
    let mut outs: Vec<&mut [u8]> = published.chunks_mut(fragment_bytes).collect();
    encoder.write_batch(&vectors, &mut outs).unwrap();
    let mut outs: Vec<&mut [u8]> = passed_on.chunks_mut(fragment_bytes).collect();
    relay.write_ranges(&recipes, 0..fragment_bytes, &mut outs);
    let name = kernel.name();
    assert!(published == passed_on, "{name}: shards of equal vectors differ");
    let vectors = vectors.chunks(shape.fragments().into());
    for (vector, shard) in vectors.zip(published.chunks(fragment_bytes)).step_by(4) {
        assert!(by_definition(shape, encoder.payload(), vector) == shard, "{name}");
    }
}
