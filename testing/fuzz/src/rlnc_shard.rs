//! Shards of any bytes into a decoder, sound ones among them.

use arbitrary::Arbitrary;
use bytes::Bytes;
use rlnc::{Absorbed, Decoder, Encoder, NotFull, Pool, Shape, Shard};

/// One generation and what comes of it.
#[derive(Arbitrary, Debug)]
pub struct Input {
    fragments: u16,
    fragment_bytes: u8,
    payload: Vec<u8>,
    shards: Vec<Incoming>,
}

#[derive(Arbitrary, Debug)]
enum Incoming {
    /// Whatever bytes.
    Raw { coefficients: Vec<u8>, payload: Vec<u8> },
    /// A sound combination of the fragments.
    Coded { coefficients: Vec<u8> },
}

/// Feeds a decoder and checks that its rank counts the innovative shards, and that a generation
/// of sound shards alone decodes to its payload. Returns whether it did.
#[must_use]
pub fn run(input: &Input) -> bool {
    let fragments = input.fragments % 32 + 1;
    if input.payload.is_empty() {
        return false;
    }
    let payload = Bytes::copy_from_slice(&input.payload);
    let Ok(shape) = Shape::for_payload(payload.len() as u64, fragments) else { return false };
    let Ok(encoder) = Encoder::new(shape, payload.clone()) else { return false };
    let any_shape = Shape::new(input.fragments, input.fragment_bytes.into());
    let mut decoder = Decoder::new(shape);
    let mut sound = true;
    for incoming in &input.shards {
        let (coefficients, bytes) = match incoming {
            Incoming::Raw { coefficients, payload } => (coefficients.clone(), payload.clone()),
            Incoming::Coded { coefficients } => {
                let mut vector = coefficients.clone();
                vector.resize(usize::from(fragments), 0);
                let mut bytes = vec![0; shape.fragment_bytes() as usize];
                let all = 0..bytes.len();
                encoder.write_range(&vector, all, &mut bytes);
                (vector, bytes)
            }
        };
        let (coefficients, bytes) = (Bytes::from(coefficients), Bytes::from(bytes));
        if let Ok(shape) = any_shape {
            // Only that it does not panic: hardly any bytes have this shape.
            drop(Shard::parse(shape, coefficients.clone(), bytes.clone()));
        }
        let Ok(shard) = Shard::parse(shape, coefficients, bytes) else { continue };
        let before = decoder.rank();
        let innovative = decoder.absorb(shard) == Ok(Absorbed::Innovative);
        assert_eq!(decoder.rank(), before + u16::from(innovative));
        assert!(decoder.rank() <= fragments);
        sound &= !innovative || matches!(incoming, Incoming::Coded { .. });
    }
    assert_eq!(decoder.is_full(), decoder.rank() == fragments);
    let unchecked = match decoder.decode(payload.len() as u64, &Pool::new(0)) {
        Ok(unchecked) => unchecked,
        Err(error) => {
            assert!(!decoder.is_full());
            assert_eq!(error, NotFull { rank: decoder.rank(), fragments });
            return false;
        }
    };
    let verified = unchecked.verify(|bytes| bytes == payload);
    assert!(verified.is_ok() || !sound, "sound shards did not decode to their payload");
    verified.is_ok()
}
