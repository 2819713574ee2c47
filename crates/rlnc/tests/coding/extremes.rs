//! The ends of every bound.

use crate::common::{decode, fill, payload, recoded, rng};
use bytes::Bytes;
use rlnc::{
    CoefficientSource, Decoder, Encoder, FRAGMENT_BYTES_MAX, FRAGMENTS_MAX, Generations,
    GenerationsError, MESSAGE_BYTES_MAX, Pool, Shape, ShapeError,
};

/// Returns a long payload, quickly made: a block that begins with a number of its own each time.
fn long_payload(bytes: usize) -> Bytes {
    let block = payload(1 << 16, 1);
    let mut payload = Vec::with_capacity(bytes + block.len());
    for number in 0_u64.. {
        if payload.len() >= bytes {
            break;
        }
        payload.extend_from_slice(&number.to_le_bytes());
        payload.extend_from_slice(&block);
    }
    payload.truncate(bytes);
    payload.into()
}

/// Encodes, recodes and decodes.
fn round_trip(shape: Shape, payload: &Bytes) {
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let mut relay = Decoder::new(shape);
    fill(&mut relay, &encoder, 1);
    let mut receiver = Decoder::new(shape);
    let mut rng = rng(1);
    while !receiver.is_full() {
        let _ = receiver.absorb(recoded(&relay, &mut rng)).unwrap();
    }
    let decoded = decode(&receiver, payload.len() as u64);
    assert!(decoded == payload, "{} bytes in {shape:?}", payload.len());
}

#[test]
fn the_fewest_and_the_most_fragments_of_the_fewest_bytes_come_back() {
    for fragments in [1, 2, 255, FRAGMENTS_MAX] {
        for fragment_bytes in [1, 2, 64] {
            let shape = Shape::new(fragments, fragment_bytes).unwrap();
            let all = shape.generation_bytes() as usize;
            for payload_bytes in [all, all.div_ceil(2), 1] {
                round_trip(shape, &payload(payload_bytes, 2));
            }
        }
    }
}

#[test]
fn the_longest_fragments_come_back() {
    for fragments in [1, 2] {
        let shape = Shape::new(fragments, FRAGMENT_BYTES_MAX).unwrap();
        round_trip(shape, &long_payload(shape.generation_bytes() as usize - 1));
    }
}

#[test]
fn the_longest_message_comes_back_generation_by_generation() {
    let message = long_payload(MESSAGE_BYTES_MAX as usize);
    let generations = Generations::new(MESSAGE_BYTES_MAX, 4, 24 << 20).unwrap();
    assert_eq!(generations.count(), 3);
    let (pool, source) = (Pool::new(32 << 20), CoefficientSource::new([3; 32]));
    let mut decoder = Decoder::new(Shape::new(1, 1).unwrap());
    for (bytes, shape) in generations.iter() {
        let part = message.slice(bytes.start as usize..bytes.end as usize);
        let encoder = Encoder::new(shape, part.clone()).unwrap();
        decoder.clear(shape);
        let mut index = 0;
        while !decoder.is_full() {
            let shard = encoder.shard(source.coefficients(shape, index).into()).unwrap();
            let _ = decoder.absorb(shard).unwrap();
            index += 1;
        }
        let unchecked = decoder.decode(part.len() as u64, &pool).unwrap();
        assert!(unchecked.verify(|bytes| bytes == part).is_ok(), "bytes {bytes:?}");
    }
    assert_eq!(pool.stats().allocated, 1);
}

#[test]
fn lengths_beyond_every_bound_are_refused_with_their_numbers() {
    assert_eq!(
        Generations::new(u64::MAX, 4, u64::MAX).unwrap_err(),
        GenerationsError::MessageBytes(u64::MAX)
    );
    assert_eq!(
        Generations::new(MESSAGE_BYTES_MAX, 1, u64::MAX).unwrap_err(),
        GenerationsError::Shape(ShapeError::FragmentBytes(MESSAGE_BYTES_MAX))
    );
    assert_eq!(Shape::for_payload(u64::MAX, 1).unwrap_err(), ShapeError::FragmentBytes(u64::MAX));
    assert_eq!(Shape::new(1, u32::MAX).unwrap_err(), ShapeError::FragmentBytes(u32::MAX.into()));
    assert_eq!(Shape::new(u16::MAX, 1).unwrap_err(), ShapeError::Fragments(u16::MAX));
}

/// A generation may be as short as a byte, so there are as many as a message has bytes.
#[test]
fn the_most_generations_cover_the_longest_message() {
    let generations = Generations::new(MESSAGE_BYTES_MAX, 256, 1).unwrap();
    assert_eq!(generations.count(), MESSAGE_BYTES_MAX);
    let (bytes, shape) = generations.iter().next().unwrap();
    assert_eq!((bytes, shape.generation_bytes()), (0..1, 256));
}

#[test]
fn a_decoder_goes_from_any_shape_to_any_other() {
    let mut decoder = Decoder::new(Shape::new(3, 1).unwrap());
    for (fragments, fragment_bytes) in
        [(1, 1), (256, 2), (2, 300), (64, 5), (65, 5), (63, 5), (256, 1), (1, 4_096)]
    {
        let shape = Shape::new(fragments, fragment_bytes).unwrap();
        let payload = payload(shape.generation_bytes() as usize, fragments.into());
        let encoder = Encoder::new(shape, payload.clone()).unwrap();
        decoder.clear(shape);
        assert_eq!((decoder.rank(), decoder.held().len(), decoder.shape()), (0, 0, shape));
        fill(&mut decoder, &encoder, 4);
        assert_eq!(decode(&decoder, u64::MAX), payload);
        // And away from a half full one.
        decoder.clear(shape);
        let _ = decoder.absorb(encoder.systematic(fragments - 1).unwrap()).unwrap();
    }
}
