//! Columns are coded one by one: any range of a shard can be made by itself.

use crate::common::{by_definition, holding, payload, rng};
use bytes::Bytes;
use proptest::prelude::*;
use rlnc::{CoefficientSource, Encoder, EncoderError, Shape};

proptest! {
    #[test]
    fn a_shard_made_in_pieces_is_the_shard_of_the_definition(
        fragments in 1_u16..=40,
        payload_bytes in 1_usize..5_000,
        spare_bytes in 0_u32..50,
        piece_bytes in 1_usize..600,
        seed: [u8; 32],
    ) {
        let payload = payload(payload_bytes, 1);
        let tight = Shape::for_payload(payload_bytes as u64, fragments).unwrap();
        let shape = Shape::new(fragments, tight.fragment_bytes() + spare_bytes).unwrap();
        let encoder = Encoder::new(shape, payload.clone()).unwrap();
        let coefficients = CoefficientSource::new(seed).coefficients(shape, 0);
        let mut made = vec![0xEE; shape.fragment_bytes() as usize];
        for (index, piece) in made.chunks_mut(piece_bytes).enumerate() {
            let start = index * piece_bytes;
            encoder.write_range(&coefficients, start..start + piece.len(), piece);
        }
        prop_assert_eq!(&made, &by_definition(shape, &payload, &coefficients));
        let shard = encoder.shard(coefficients.into()).unwrap();
        prop_assert_eq!(shard.payload(), &made);
    }

    #[test]
    fn a_recoded_shard_is_the_encoded_shard_of_its_coefficients(
        fragments in 2_u16..=40,
        payload_bytes in 1_usize..5_000,
        piece_bytes in 1_usize..600,
        seed: u64,
    ) {
        let payload = payload(payload_bytes, seed);
        let shape = Shape::for_payload(payload_bytes as u64, fragments).unwrap();
        let decoder = holding(shape, &payload, u64::from(fragments) / 2);
        let recipe = decoder.recipe(&mut rng(seed)).unwrap();
        let mut made = vec![0xEE; shape.fragment_bytes() as usize];
        for (index, piece) in made.chunks_mut(piece_bytes).enumerate() {
            let start = index * piece_bytes;
            decoder.write_range(&recipe, start..start + piece.len(), piece);
        }
        prop_assert_eq!(&made, &by_definition(shape, &payload, recipe.coefficients()));
    }
}

#[test]
fn a_recipe_gives_the_same_bytes_after_more_shards_came() {
    let payload = payload(900, 3);
    let shape = Shape::for_payload(900, 6).unwrap();
    let early = holding(shape, &payload, 3);
    let late = holding(shape, &payload, 6);
    let recipe = early.recipe(&mut rng(4)).unwrap();
    let (mut before, mut after) = (vec![1; 150], vec![2; 150]);
    early.write_range(&recipe, 0..150, &mut before);
    late.write_range(&recipe, 0..150, &mut after);
    assert_eq!(before, after);
    assert_eq!(recipe.weights().len(), 3);
}

#[test]
fn the_encoder_reads_the_payload_where_it_lies() {
    let payload = payload(900, 3);
    let at = payload.as_ptr();
    let encoder = Encoder::new(Shape::for_payload(900, 6).unwrap(), payload).unwrap();
    assert_eq!(encoder.payload().as_ptr(), at);
}

#[test]
fn a_payload_that_does_not_fit_its_shape_is_refused() {
    let shape = Shape::new(4, 10).unwrap();
    assert_eq!(Encoder::new(shape, Bytes::new()).unwrap_err(), EncoderError::EmptyPayload);
    assert_eq!(
        Encoder::new(shape, payload(41, 0)).unwrap_err(),
        EncoderError::PayloadTooLong { payload_bytes: 41, generation_bytes: 40 }
    );
    assert!(Encoder::new(shape, payload(40, 0)).is_ok());
}

#[test]
fn coefficients_of_another_shape_make_no_shard() {
    let shape = Shape::new(4, 10).unwrap();
    let encoder = Encoder::new(shape, payload(40, 0)).unwrap();
    let text = |coefficients: &'static [u8]| {
        encoder.shard(Bytes::from_static(coefficients)).unwrap_err().to_string()
    };
    assert_eq!(
        text(&[1, 2, 3]),
        "a coefficient vector of 3 bytes: this generation has 4 fragments"
    );
    assert_eq!(
        text(&[0, 0, 0, 0]),
        "a coefficient vector of zeros: at least one must be another number"
    );
}

#[test]
#[should_panic(expected = "columns 5..11 of a fragment of 10 bytes")]
fn columns_beyond_a_fragment_are_refused() {
    let shape = Shape::new(4, 10).unwrap();
    let encoder = Encoder::new(shape, payload(40, 0)).unwrap();
    encoder.write_range(&[1, 2, 3, 4], 5..11, &mut [0; 6]);
}

#[test]
#[should_panic(expected = "a recipe of 2 shards for a decoder that holds 1")]
fn a_recipe_of_a_decoder_that_holds_more_is_refused() {
    let payload = payload(40, 0);
    let shape = Shape::for_payload(40, 4).unwrap();
    let recipe = holding(shape, &payload, 2).recipe(&mut rng(1)).unwrap();
    holding(shape, &payload, 1).write_range(&recipe, 0..10, &mut [0; 10]);
}
