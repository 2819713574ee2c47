//! What goes in comes out: from the publisher, and through relays that never decoded.

use crate::common::{decode, payload, recoded, rng};
use bytes::Bytes;
use proptest::prelude::*;
use rand::Rng;
use rlnc::{Absorbed, CoefficientSource, Decoder, Encoder, Pool, Shape};

#[test]
fn a_payload_of_one_byte_survives_four_fragments() {
    let shape = Shape::for_payload(1, 4).unwrap();
    assert_eq!((shape.fragments(), shape.fragment_bytes()), (4, 1));
    let encoder = Encoder::new(shape, Bytes::from_static(b"!")).unwrap();
    let mut decoder = Decoder::new(shape);
    let source = CoefficientSource::new([3; 32]);
    for index in 0.. {
        if decoder.is_full() {
            break;
        }
        let _ = decoder
            .absorb(encoder.shard(source.coefficients(shape, index).into()).unwrap())
            .unwrap();
    }
    assert_eq!(decode(&decoder, 1), "!");
}

#[test]
fn plain_fragments_in_any_order_are_the_payload() {
    let payload = payload(1000, 1);
    let shape = Shape::for_payload(1000, 7).unwrap();
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let mut decoder = Decoder::new(shape);
    for index in [6, 0, 3, 1, 5, 4, 2] {
        let mut unit = vec![0; 7];
        unit[index] = 1;
        let shard = encoder.shard(unit.into()).unwrap();
        assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
    }
    assert_eq!(decode(&decoder, 1000), payload);
}

#[test]
fn a_relay_that_never_decodes_still_makes_decodable_shards() {
    let payload = payload(10_000, 2);
    let shape = Shape::for_payload(10_000, 8).unwrap();
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let source = CoefficientSource::new([4; 32]);
    let mut relays = [Decoder::new(shape), Decoder::new(shape)];
    for (number, relay) in relays.iter_mut().enumerate() {
        for index in 0..5 {
            let index = (number * 5 + index) as u64;
            let shard = encoder.shard(source.coefficients(shape, index).into()).unwrap();
            assert_eq!(relay.absorb(shard), Ok(Absorbed::Innovative));
        }
        assert!(relay.decode(1, &Pool::new(0)).is_err());
    }
    let mut rng = rng(5);
    let mut receiver = Decoder::new(shape);
    for turn in 0.. {
        if receiver.is_full() {
            break;
        }
        let _ = receiver.absorb(recoded(&relays[turn % 2], &mut rng)).unwrap();
    }
    assert_eq!(decode(&receiver, 10_000), payload);
}

proptest! {
    #[test]
    fn any_payload_comes_back_over_any_number_of_hops(
        fragments in 1_u16..=64,
        payload_bytes in 1_usize..20_000,
        hops in 0_usize..4,
        seed: u64,
    ) {
        let payload = payload(payload_bytes, seed);
        let shape = Shape::for_payload(payload_bytes as u64, fragments).unwrap();
        let encoder = Encoder::new(shape, payload.clone()).unwrap();
        let mut rng = rng(seed);
        let mut node = Decoder::new(shape);
        while !node.is_full() {
            let mut coefficients = vec![0; usize::from(fragments)];
            rng.fill_bytes(&mut coefficients);
            if let Ok(shard) = encoder.shard(coefficients.into()) {
                let _ = node.absorb(shard).unwrap();
            }
        }
        for _ in 0..hops {
            let mut next = Decoder::new(shape);
            while !next.is_full() {
                let _ = next.absorb(recoded(&node, &mut rng)).unwrap();
            }
            node = next;
        }
        prop_assert_eq!(decode(&node, payload_bytes as u64), payload);
    }
}
