//! What several test files need.

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rlnc::{Absorbed, CoefficientSource, Decoder, Encoder, Pool, Recipe, Shape, Shard};

/// Returns a generator for this seed.
pub(super) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// Returns a payload of this length, different for each seed.
pub(super) fn payload(bytes: usize, seed: u64) -> Bytes {
    let mut payload = vec![0; bytes];
    rng(seed ^ 0x5EED).fill_bytes(&mut payload);
    payload.into()
}

/// The columns of a coded shard by the definition: one byte at a time.
pub(super) fn by_definition(shape: Shape, payload: &[u8], coefficients: &[u8]) -> Vec<u8> {
    let fragment_bytes = shape.fragment_bytes() as usize;
    (0..fragment_bytes)
        .map(|column| {
            let products = coefficients.iter().enumerate().map(|(fragment, &coefficient)| {
                let byte = payload.get(fragment * fragment_bytes + column).copied();
                gf256::mul(coefficient, byte.unwrap_or(0))
            });
            products.fold(0, |sum, product| sum ^ product)
        })
        .collect()
}

/// Returns how many of the vectors are independent, by elimination as in a textbook.
pub(super) fn rank_by_definition(mut vectors: Vec<Vec<u8>>) -> usize {
    let width = vectors.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..width {
        let Some(row) = (rank..vectors.len()).find(|&row| vectors[row][column] != 0) else {
            continue;
        };
        vectors.swap(rank, row);
        let pivot = vectors[rank].clone();
        let inverse = gf256::inverse(pivot[column]).unwrap();
        for vector in &mut vectors[rank + 1..] {
            let factor = gf256::mul(vector[column], inverse);
            for (value, &pivot) in vector.iter_mut().zip(&pivot) {
                *value ^= gf256::mul(factor, pivot);
            }
        }
        rank += 1;
    }
    rank
}

/// Returns a decoder that holds `count` shards of the payload.
pub(super) fn holding(shape: Shape, payload: &Bytes, count: u64) -> Decoder {
    let encoder = Encoder::new(shape, payload.clone()).unwrap();
    let source = CoefficientSource::new([2; 32]);
    let mut decoder = Decoder::new(shape);
    for index in 0..count {
        let shard = encoder.shard(source.coefficients(shape, index).into()).unwrap();
        assert_eq!(decoder.absorb(shard), Ok(Absorbed::Innovative));
    }
    decoder
}

/// Brings a decoder to full rank with coded shards of the encoder.
pub(super) fn fill(decoder: &mut Decoder, encoder: &Encoder, seed: u8) {
    let (shape, source) = (encoder.shape(), CoefficientSource::new([seed; 32]));
    let mut index = 0;
    while !decoder.is_full() {
        let shard = encoder.shard(source.coefficients(shape, index).into()).unwrap();
        let _ = decoder.absorb(shard).unwrap();
        index += 1;
    }
}

/// Returns the shard that the decoder makes by this recipe.
pub(super) fn made(decoder: &Decoder, recipe: &Recipe) -> Shard {
    let shape = decoder.shape();
    let mut bytes = vec![0; shape.fragment_bytes() as usize];
    decoder.write_range(recipe, 0..bytes.len(), &mut bytes);
    Shard::parse(shape, recipe.coefficients().clone(), bytes.into()).unwrap()
}

/// Returns a shard recoded from everything the decoder holds.
pub(super) fn recoded(decoder: &Decoder, rng: &mut impl Rng) -> Shard {
    made(decoder, &decoder.recipe(rng).unwrap())
}

/// Returns what the decoder decodes to, unchecked.
pub(super) fn decode(decoder: &Decoder, payload_bytes: u64) -> Bytes {
    let unchecked = decoder.decode(payload_bytes, &Pool::new(0)).unwrap();
    unchecked.verify(|_| true).unwrap().into_bytes()
}
