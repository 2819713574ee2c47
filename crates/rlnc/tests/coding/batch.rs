//! Several shards in one call: the same shards as one by one, or an error and nothing written.

use crate::common::{by_definition, payload};
use rlnc::{BATCH_SHARDS_MAX, BatchError, CoefficientSource, Encoder, Shape};

/// What stands in the room for a shard before it is written.
const BEFORE: u8 = 0xEE;

/// Returns so many vectors of the shape, one behind the other.
fn coefficients(shape: Shape, shards: usize) -> Vec<u8> {
    let source = CoefficientSource::new([6; 32]);
    (0..shards as u64).flat_map(|index| source.coefficients(shape, index)).collect()
}

/// Returns the batch of these coefficients, each shard in room of its own.
fn batch(encoder: &Encoder, coefficients: &[u8]) -> Vec<Vec<u8>> {
    let shape = encoder.shape();
    let fragments = usize::from(shape.fragments());
    let room = vec![BEFORE; shape.fragment_bytes() as usize];
    let mut shards = vec![room; coefficients.len() / fragments];
    let mut outs: Vec<&mut [u8]> = shards.iter_mut().map(|shard| &mut shard[..]).collect();
    encoder.write_batch(coefficients, &mut outs).unwrap();
    shards
}

/// Checks a batch of `shards` shards against the same shards made one by one.
fn check(encoder: &Encoder, shards: usize) {
    let shape = encoder.shape();
    let coefficients = coefficients(shape, shards);
    let vectors = coefficients.chunks_exact(shape.fragments().into());
    for (index, (shard, vector)) in batch(encoder, &coefficients).iter().zip(vectors).enumerate() {
        let mut alone = vec![BEFORE; shard.len()];
        encoder.write_range(vector, 0..shard.len(), &mut alone);
        let payload_bytes = encoder.payload().len();
        assert!(shard == &alone, "shard {index} of {shards}, {payload_bytes} bytes in {shape:?}");
    }
}

/// The ends are behind the last fragment, in the last one, before it, in and before the one
/// before it, and in the first.
#[test]
fn a_batch_is_the_same_shards_as_one_by_one_wherever_the_payload_ends() {
    for fragment_bytes in [1, 63, 130, 700] {
        let shape = Shape::new(5, fragment_bytes).unwrap();
        let fragment_bytes = fragment_bytes as usize;
        for payload_bytes in [
            5 * fragment_bytes,
            5 * fragment_bytes - 1,
            4 * fragment_bytes + 1,
            4 * fragment_bytes,
            3 * fragment_bytes + fragment_bytes / 2,
            3 * fragment_bytes,
            1,
        ] {
            // Fragments of 1 byte can only end exactly.
            let payload = payload(payload_bytes.max(1), 1);
            let encoder = Encoder::new(shape, payload).unwrap();
            for shards in (0..=17).chain([BATCH_SHARDS_MAX]) {
                check(&encoder, shards);
            }
        }
    }
}

#[test]
fn a_batch_is_the_same_shards_at_any_number_of_fragments() {
    for fragments in [1, 2, 3, 16, 17, 64, 255, 256] {
        let shape = Shape::new(fragments, 100).unwrap();
        let encoder = Encoder::new(shape, payload(usize::from(fragments) * 100 - 30, 2)).unwrap();
        for shards in [1, 9, 17] {
            check(&encoder, shards);
        }
    }
    let shape = Shape::new(256, 40).unwrap();
    check(&Encoder::new(shape, payload(256 * 40, 3)).unwrap(), BATCH_SHARDS_MAX);
}

/// 20 fragments of 30,000 bytes are more than the room in which sources are copied.
#[test]
fn a_batch_of_long_shards_is_the_same_shards() {
    let shape = Shape::new(20, 30_000).unwrap();
    check(&Encoder::new(shape, payload(20 * 30_000 - 12_345, 4)).unwrap(), 20);
}

#[test]
fn a_batch_is_the_shards_of_the_definition() {
    let payload = payload(300, 5);
    let shape = Shape::new(7, 50).unwrap();
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let coefficients = coefficients(shape, 12);
    let expected: Vec<Vec<u8>> =
        coefficients.chunks_exact(7).map(|vector| by_definition(shape, &payload, vector)).collect();
    assert_eq!(batch(&encoder, &coefficients), expected);
}

#[test]
fn a_batch_of_unit_vectors_is_the_fragments() {
    let payload = payload(29, 6);
    let shape = Shape::new(3, 10).unwrap();
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let fragments = batch(&encoder, &[0, 0, 1, 1, 0, 0, 0, 1, 0]).concat();
    assert_eq!(fragments[..9], payload[20..]);
    assert_eq!(fragments[9..], [&[0], &payload[..20]].concat());
}

/// Makes a batch that cannot be made, and returns why not.
fn refused(shape: Shape, coefficients: &[u8], lengths: &[usize]) -> BatchError {
    let payload = payload(shape.generation_bytes() as usize, 7);
    let encoder = Encoder::new(shape, payload).unwrap();
    let mut shards: Vec<Vec<u8>> = lengths.iter().map(|&bytes| vec![BEFORE; bytes]).collect();
    let mut outs: Vec<&mut [u8]> = shards.iter_mut().map(|shard| &mut shard[..]).collect();
    let error = encoder.write_batch(coefficients, &mut outs).unwrap_err();
    let untouched = shards.iter().flatten().all(|&byte| byte == BEFORE);
    assert!(untouched, "a shard was written: {error}");
    error
}

#[test]
fn a_batch_that_cannot_be_made_is_refused_with_its_numbers_and_writes_nothing() {
    let shape = Shape::new(2, 3).unwrap();
    let above = BATCH_SHARDS_MAX + 1;
    assert_eq!(refused(shape, &vec![1; above * 2], &vec![3; above]), BatchError::Shards(above));
    for got in [0, 1, 5, 7] {
        let expected = BatchError::Coefficients { shards: 3, expected: 6, got };
        assert_eq!(refused(shape, &vec![1; got], &[3; 3]), expected);
    }
    assert_eq!(
        refused(shape, &[1, 2], &[]),
        BatchError::Coefficients { shards: 0, expected: 0, got: 2 }
    );
    for shard in 0..3 {
        let mut coefficients = [1, 0, 0, 2, 3, 4];
        coefficients[shard * 2..shard * 2 + 2].fill(0);
        let expected = BatchError::ZeroCoefficients { shard };
        assert_eq!(refused(shape, &coefficients, &[3; 3]), expected);
        for got in [0, 2, 4] {
            let mut lengths = [3; 3];
            lengths[shard] = got;
            let expected = BatchError::ShardBytes { shard, expected: 3, got };
            assert_eq!(refused(shape, &[1; 6], &lengths), expected);
        }
    }
}

#[test]
fn the_text_of_a_refused_batch_says_what_would_be_right() {
    let shape = Shape::new(2, 3).unwrap();
    let text =
        |coefficients: &[u8], lengths: &[usize]| refused(shape, coefficients, lengths).to_string();
    assert_eq!(text(&[1; 514], &[3; 257]), "a batch of 257 shards: there may be 256");
    assert_eq!(text(&[1; 3], &[3; 2]), "3 coefficients for 2 shards: there must be 4");
    assert_eq!(text(&[1, 1, 0, 0], &[3; 2]), "shard 1 has a coefficient vector of zeros");
    assert_eq!(text(&[1; 4], &[3, 4]), "4 bytes of room for shard 1: there must be 3");
}
