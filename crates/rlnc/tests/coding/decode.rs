//! The work of decoding: its result, where it may run, and what pollution does to it.

use std::sync::Arc;

use crate::common::{decode, fill, payload, recoded, rng};
use bytes::Bytes;
use proptest::prelude::*;
use rlnc::{Absorbed, Decoder, Encoder, Polluted, Pool, Shape, Shard};

/// Returns a decoder at full rank: `plain` fragments as they are, the rest coded.
fn full(shape: Shape, payload: &Bytes, plain: usize, seed: u8) -> Decoder {
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let mut decoder = Decoder::new(shape);
    for fragment in 0..plain {
        let shard = encoder.systematic(fragment as u16).unwrap();
        assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
    }
    fill(&mut decoder, &encoder, seed);
    decoder
}

/// Returns the shard with one byte of its payload changed.
fn polluted(shape: Shape, shard: &Shard, byte: usize) -> Shard {
    let mut payload = shard.payload().to_vec();
    payload[byte] ^= 1;
    Shard::parse(shape, shard.coefficients().clone(), payload.into()).unwrap()
}

#[test]
fn every_number_of_plain_fragments_among_coded_ones_decodes() {
    let payload = payload(5_003, 1);
    let shape = Shape::for_payload(5_003, 16).unwrap();
    for plain in 0..=16 {
        assert_eq!(decode(&full(shape, &payload, plain, 1), 5_003), payload, "{plain} plain");
    }
}

#[test]
fn fragments_longer_than_a_block_of_columns_decode() {
    let bytes = 2 * 700_001;
    let payload = payload(bytes, 2);
    let shape = Shape::for_payload(bytes as u64, 2).unwrap();
    assert_eq!(decode(&full(shape, &payload, 0, 2), bytes as u64), payload);
}

#[test]
fn the_largest_number_of_fragments_decodes() {
    let payload = payload(100_000, 3);
    let shape = Shape::for_payload(100_000, 256).unwrap();
    assert_eq!(decode(&full(shape, &payload, 0, 3), 100_000), payload);
}

#[test]
fn a_length_beyond_the_fragments_gives_all_there_is_padding_included() {
    let payload = Bytes::from_static(b"abcde");
    let shape = Shape::for_payload(5, 4).unwrap();
    let decoder = full(shape, &payload, 0, 4);
    assert_eq!(decode(&decoder, u64::MAX), "abcde\0\0\0");
    assert_eq!(decode(&decoder, 5), "abcde");
    assert_eq!(decode(&decoder, 2), "ab");
    assert_eq!(decode(&decoder, 0), "");
}

#[test]
fn a_decode_runs_on_another_thread_while_its_decoder_recodes() {
    let payload = payload(3_000, 5);
    let shape = Shape::for_payload(3_000, 8).unwrap();
    let decoder = Arc::new(full(shape, &payload, 3, 5));
    let shared = Arc::clone(&decoder);
    let pool = Pool::new(0);
    let unchecked =
        std::thread::spawn(move || shared.decode(3_000, &pool)).join().unwrap().unwrap();
    assert!(decoder.recipe(&mut rng(1)).is_some());
    let message = unchecked.verify(|bytes| bytes == payload).unwrap();
    assert_eq!(message.as_ref(), payload);
    assert_eq!(message.into_bytes(), payload);
}

#[test]
fn one_polluted_shard_is_found_by_the_check() {
    let payload = payload(1_000, 6);
    let shape = Shape::for_payload(1_000, 8).unwrap();
    let sound = full(shape, &payload, 0, 6);
    for victim in 0..8 {
        let mut decoder = Decoder::new(shape);
        for (index, shard) in sound.held().iter().enumerate() {
            let shard = if index == victim { polluted(shape, shard, 7) } else { shard.clone() };
            assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
        }
        let unchecked = decoder.decode(1_000, &Pool::new(0)).unwrap();
        let error = unchecked.verify(|bytes| bytes == payload).unwrap_err();
        assert_eq!(error, Polluted { payload_bytes: 1_000 });
    }
}

#[test]
fn pollution_travels_through_a_relay_and_is_found_behind_it() {
    let payload = payload(1_000, 7);
    let shape = Shape::for_payload(1_000, 4).unwrap();
    let mut relay = Decoder::new(shape);
    for (index, shard) in full(shape, &payload, 0, 7).held().iter().enumerate() {
        let shard = if index == 2 { polluted(shape, shard, 0) } else { shard.clone() };
        assert_eq!(relay.absorb(shard), Ok(Absorbed::Innovative));
    }
    let mut rng = rng(8);
    let mut receiver = Decoder::new(shape);
    while !receiver.is_full() {
        let _ = receiver.absorb(recoded(&relay, &mut rng)).unwrap();
    }
    let unchecked = receiver.decode(1_000, &Pool::new(0)).unwrap();
    assert!(unchecked.verify(|bytes| bytes == payload).is_err());
}

proptest! {
    /// The inverse is exact: the fragments coded by the received vectors are the received shards.
    #[test]
    fn decoding_then_encoding_gives_the_shards_back(
        fragments in 1_u16..=256,
        fragment_bytes in 1_u32..40,
        seed: u64,
    ) {
        let shape = Shape::new(fragments, fragment_bytes).unwrap();
        let mut rng = rng(seed);
        let mut decoder = Decoder::new(shape);
        while !decoder.is_full() {
            // Shards of nothing in particular: any bytes are a combination of some fragments.
            let mut bytes = vec![0; usize::from(fragments) + fragment_bytes as usize];
            rng.fill_bytes(&mut bytes);
            let mut coefficients = Bytes::from(bytes);
            let payload = coefficients.split_off(usize::from(fragments));
            if let Ok(shard) = Shard::parse(shape, coefficients, payload) {
                let _ = decoder.absorb(shard).unwrap();
            }
        }
        let fragments = decode(&decoder, shape.generation_bytes());
        let encoder = Encoder::new(shape, fragments).unwrap();
        for shard in decoder.held() {
            prop_assert_eq!(&encoder.shard(shard.coefficients().clone()).unwrap(), shard);
        }
    }
}
