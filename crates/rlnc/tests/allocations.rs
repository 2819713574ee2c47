//! In a steady state, coding allocates nothing. A binary of its own: it counts what its allocator
//! does, thread by thread.
#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use gf256::Kernel;
use rlnc::{CoefficientSource, Decoder, Encoder, Pool, Shape, Shard};

/// Fragments that end before the room for copies of them, and ones that do not.
const SHAPES: [(u16, u32); 5] = [(1, 1), (4, 300), (16, 2_048), (64, 1_000), (256, 3_000)];

fn encoder(shape: Shape) -> Encoder {
    let bytes: Vec<u8> = (0..shape.generation_bytes()).map(|index| (index * 7 / 5) as u8).collect();
    Encoder::new(shape, bytes.into()).unwrap()
}

/// Returns shards enough for full rank, redundant ones among them.
fn shards(encoder: &Encoder) -> Vec<Shard> {
    let (shape, source) = (encoder.shape(), CoefficientSource::new([1; 32]));
    let coded = |index| encoder.shard(source.coefficients(shape, index).into()).unwrap();
    let mut shards: Vec<Shard> = (0..u64::from(shape.fragments()) + 4).map(coded).collect();
    shards.insert(0, encoder.systematic(0).unwrap());
    shards.insert(1, shards[0].clone());
    shards
}

/// Takes a generation from its first shard to its message.
fn receive(decoder: &mut Decoder, shape: Shape, shards: &[Shard], pool: &Pool, payload: &Bytes) {
    decoder.clear(shape);
    for shard in shards {
        let _ = decoder.absorb(shard.clone()).unwrap();
    }
    let unchecked = decoder.decode(payload.len() as u64, pool).unwrap();
    assert!(unchecked.verify(|bytes| bytes == payload).is_ok());
}

#[track_caller]
fn assert_none(allocations: AllocationInfo, what: &str) {
    assert_eq!(allocations.count_total, 0, "{what}: {allocations:?}");
}

#[test]
fn a_decoder_that_is_used_again_allocates_nothing() {
    for (fragments, fragment_bytes) in SHAPES {
        let shape = Shape::new(fragments, fragment_bytes).unwrap();
        let encoder = encoder(shape);
        let (shards, payload) = (shards(&encoder), encoder.payload());
        let pool = Pool::new(1 << 20);
        for kernel in Kernel::available() {
            let mut decoder = Decoder::with_kernel(shape, kernel);
            receive(&mut decoder, shape, &shards, &pool, payload);
            for _ in 0..3 {
                let allocations = measure(|| receive(&mut decoder, shape, &shards, &pool, payload));
                assert_none(allocations, &format!("{} in {shape:?}", kernel.name()));
            }
        }
        assert_eq!(pool.stats().allocated, 1);
    }
}

/// The room of the largest shape is enough for every other.
#[test]
fn a_decoder_that_goes_to_smaller_shapes_and_back_allocates_nothing() {
    let generations = SHAPES.map(|(fragments, fragment_bytes)| {
        let encoder = encoder(Shape::new(fragments, fragment_bytes).unwrap());
        let shards = shards(&encoder);
        (encoder, shards)
    });
    let pool = Pool::new(4 << 20);
    let mut decoder = Decoder::new(Shape::new(256, 1).unwrap());
    let mut receive_all = || {
        for (encoder, shards) in &generations {
            receive(&mut decoder, encoder.shape(), shards, &pool, encoder.payload());
        }
    };
    receive_all();
    assert_none(measure(receive_all), "all shapes");
}

#[test]
fn encoding_allocates_nothing() {
    const SHARDS: usize = 12;
    for (fragments, fragment_bytes) in SHAPES {
        let shape = Shape::new(fragments, fragment_bytes).unwrap();
        let encoder = encoder(shape);
        let source = CoefficientSource::new([2; 32]);
        let mut coefficients = vec![0; SHARDS * usize::from(fragments)];
        let fragment_bytes = fragment_bytes as usize;
        let mut room = vec![0; SHARDS * fragment_bytes];
        let mut outs: Vec<&mut [u8]> = room.chunks_mut(fragment_bytes).collect();
        let mut encode = || {
            for (index, vector) in (0..).zip(coefficients.chunks_mut(fragments.into())) {
                source.write(index, vector);
            }
            encoder.write_batch(&coefficients, &mut outs).unwrap();
            let first = &coefficients[..fragments.into()];
            encoder.write_range(first, 0..fragment_bytes, outs[0]);
        };
        encode();
        assert_none(measure(encode), &format!("{shape:?}"));
    }
}

/// A recipe is two allocations; writing the shards that it stands for is none.
#[test]
fn writing_recoded_shards_allocates_nothing() {
    let shape = Shape::new(16, 2_048).unwrap();
    let mut decoder = Decoder::new(shape);
    for shard in shards(&encoder(shape)) {
        let _ = decoder.absorb(shard).unwrap();
    }
    let mut rng = <rand_chacha::ChaCha12Rng as rand::SeedableRng>::seed_from_u64(1);
    let recipes: Vec<_> = (0..12).map(|_| decoder.recipe(&mut rng).unwrap()).collect();
    let mut room = vec![0; 12 * 2_048];
    let mut outs: Vec<&mut [u8]> = room.chunks_mut(2_048).collect();
    let mut recode = || {
        decoder.write_ranges(&recipes, 0..2_048, &mut outs);
        decoder.write_range(&recipes[0], 0..2_048, outs[0]);
    };
    recode();
    assert_none(measure(recode), "recoding");
}
