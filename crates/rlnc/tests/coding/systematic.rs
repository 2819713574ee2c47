//! Fragments as they are: taken from the payload without a copy, and computed only where missing.

use crate::common::{decode, fill, payload};
use bytes::Bytes;
use rlnc::{Absorbed, Decoder, Encoder, NotFull, Shape, ShardError};

/// What stands where nothing may be written.
const UNTOUCHED: u8 = 0xEE;

/// Returns a decoder at full rank that got these fragments as they are, among coded shards.
fn full(shape: Shape, payload: &Bytes, plain: &[u16]) -> Decoder {
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let mut decoder = Decoder::new(shape);
    for &index in plain {
        assert_eq!(decoder.absorb(encoder.systematic(index).unwrap()), Ok(Absorbed::Innovative));
    }
    fill(&mut decoder, &encoder, 7);
    decoder
}

#[test]
fn a_fragment_is_a_slice_of_the_payload_unless_the_end_cuts_it() {
    let payload = payload(35, 1);
    let encoder = Encoder::new(Shape::new(5, 10).unwrap(), payload.clone()).unwrap();
    for index in 0..5 {
        let shard = encoder.systematic(index).unwrap();
        let start = usize::from(index) * 10;
        assert_eq!(shard.plain(), Some(index.into()));
        let fragment = payload.get(start..).unwrap_or(&[]);
        let whole = fragment.len() >= 10;
        assert_eq!(shard.payload().as_ptr() == fragment.as_ptr(), whole, "fragment {index}");
        let mut padded = fragment[..fragment.len().min(10)].to_vec();
        padded.resize(10, 0);
        assert_eq!(shard.payload(), &padded, "fragment {index}");
        let unit = (0..5).map(|column| u8::from(column == index)).collect::<Vec<_>>();
        assert_eq!(shard.coefficients(), &unit);
    }
}

#[test]
fn a_fragment_that_there_is_not_is_refused_with_both_numbers() {
    let encoder = Encoder::new(Shape::new(3, 10).unwrap(), payload(30, 2)).unwrap();
    for index in [3, 4, u16::MAX] {
        let error = encoder.systematic(index).unwrap_err();
        assert_eq!(error, ShardError::NoFragment { index, fragments: 3 });
    }
    let text = encoder.systematic(3).unwrap_err().to_string();
    assert_eq!(text, "no fragment 3: this generation has 3, counted from 0");
}

#[test]
fn fragments_in_their_place_stay_untouched_and_the_others_are_computed() {
    let payload = payload(60, 3);
    let shape = Shape::new(6, 10).unwrap();
    for plain in [&[][..], &[0], &[5], &[3, 1], &[0, 1, 2, 4, 5], &[5, 4, 3, 2, 1, 0]] {
        let decoder = full(shape, &payload, plain);
        let mut bytes = [UNTOUCHED; 60];
        decoder.decode_missing(&mut bytes).unwrap();
        for (index, fragment) in bytes.chunks(10).enumerate() {
            if plain.contains(&(index as u16)) {
                assert_eq!(fragment, [UNTOUCHED; 10], "fragment {index} of {plain:?}");
            } else {
                let start = index * 10;
                assert_eq!(fragment, &payload[start..start + 10], "fragment {index} of {plain:?}");
            }
        }
    }
}

/// A payload of any length: every missing fragment as far as it reaches, and no byte more.
#[test]
fn a_shorter_payload_is_computed_as_far_as_it_reaches_and_a_longer_one_keeps_its_rest() {
    let payload = payload(60, 4);
    let shape = Shape::new(6, 10).unwrap();
    let decoder = full(shape, &payload, &[1, 4]);
    for payload_bytes in 0..=80 {
        let mut bytes = vec![UNTOUCHED; payload_bytes];
        decoder.decode_missing(&mut bytes).unwrap();
        for (index, &byte) in bytes.iter().enumerate() {
            let is_missing = index < 60 && ![1, 4].contains(&(index / 10));
            let expected = if is_missing { payload[index] } else { UNTOUCHED };
            assert_eq!(byte, expected, "byte {index} of {payload_bytes}");
        }
        let whole = decode(&decoder, payload_bytes as u64);
        assert_eq!(whole, payload[..payload_bytes.min(60)]);
    }
}

/// The shard says the fragment, but not as it is: it must be computed.
#[test]
fn a_multiple_of_a_fragment_is_not_the_fragment() {
    let payload = payload(30, 5);
    let shape = Shape::new(3, 10).unwrap();
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let mut decoder = Decoder::new(shape);
    for vector in [[0, 2, 0], [0, 0, 1], [255, 0, 0]] {
        let shard = encoder.shard(Bytes::copy_from_slice(&vector)).unwrap();
        assert_eq!(shard.plain(), (vector[2] == 1).then_some(2));
        assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
    }
    let mut bytes = [UNTOUCHED; 30];
    decoder.decode_missing(&mut bytes).unwrap();
    assert_eq!(bytes[..20], payload[..20]);
    assert_eq!(bytes[20..], [UNTOUCHED; 10]);
    assert_eq!(decode(&decoder, 30), payload);
}

#[test]
fn before_full_rank_nothing_is_computed_and_both_numbers_are_said() {
    let payload = payload(30, 6);
    let shape = Shape::new(3, 10).unwrap();
    let encoder = Encoder::new(shape, payload).unwrap();
    let mut decoder = Decoder::new(shape);
    for rank in 0..3 {
        let mut bytes = [UNTOUCHED; 30];
        let error = decoder.decode_missing(&mut bytes).unwrap_err();
        assert_eq!(error, NotFull { rank, fragments: 3 });
        assert_eq!(bytes, [UNTOUCHED; 30]);
        let left = 3 - rank;
        assert_eq!(
            error.to_string(),
            format!("rank {rank} of 3: {left} more independent shards are needed")
        );
        let _ = decoder.absorb(encoder.systematic(rank).unwrap()).unwrap();
    }
    assert!(decoder.decode_missing(&mut []).is_ok());
}
