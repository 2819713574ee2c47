//! What several test files need.

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rlnc::{Decoder, Pool, Shard};

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

/// Returns a shard recoded from everything the decoder holds.
pub(super) fn recoded(decoder: &Decoder, rng: &mut impl Rng) -> Shard {
    let recipe = decoder.recipe(rng).unwrap();
    let shape = decoder.shape();
    let mut bytes = vec![0; shape.fragment_bytes() as usize];
    decoder.write_range(&recipe, 0..bytes.len(), &mut bytes);
    Shard::parse(shape, recipe.coefficients().clone(), bytes.into()).unwrap()
}

/// Returns what the decoder decodes to, unchecked.
pub(super) fn decode(decoder: &Decoder, payload_bytes: u64) -> Bytes {
    let unchecked = decoder.decode(payload_bytes, &Pool::new(0)).unwrap();
    unchecked.verify(|_| true).unwrap().into_bytes()
}
