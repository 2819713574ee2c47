//! The crate `rlnc`.
//!
//! It appends a marker of one byte and then cuts, so it is given a message that is a byte shorter:
//! its pieces are then as long as ours. Where it draws coefficients, a fast generator serves it.

use peer_rlnc::full::{Decoder, Encoder, Recoder};
use peer_rlnc_rand::{SeedableRng, rngs::SmallRng};

use super::{Peer, Timed, combination, same};
use crate::work::{Buffers, Input, Operation, Run};

pub(crate) struct Rlnc;

impl Peer for Rlnc {
    fn name(&self) -> &'static str {
        "rlnc"
    }

    fn is_rlnc_or_isal(&self) -> bool {
        true
    }

    fn prepare(
        &self,
        operation: Operation,
        input: &Input,
        buffers: Buffers,
    ) -> Option<Box<dyn Run>> {
        let message = input.message[..input.message.len() - 1].to_vec();
        let encoder = Encoder::new(message.clone(), input.k).ok()?;
        assert_eq!(encoder.get_piece_byte_len(), input.fragment_bytes, "pieces as long as ours");
        match operation {
            Operation::EncodeOne => encode(encoder, input, 1, buffers),
            Operation::EncodeK => encode(encoder, input, input.k, buffers),
            Operation::RecodeOne => recode(&encoder, input, buffers),
            // The decoder gives its memory away with the result: buffers cannot be kept.
            Operation::Decode => decode(&encoder, 0, message),
            Operation::DecodeHalfSystematic => decode(&encoder, input.k / 2, message),
        }
    }
}

struct Encode {
    encoder: Encoder,
    rng: SmallRng,
    pieces: Vec<Vec<u8>>,
    message: Vec<u8>,
}

fn encode(encoder: Encoder, input: &Input, count: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let pieces = vec![vec![0; encoder.get_full_coded_piece_byte_len()]; count];
    let rng = SmallRng::seed_from_u64(1);
    let state = Encode { encoder, rng, pieces, message: input.message.clone() };
    let run: fn(&mut Encode) = match buffers {
        Buffers::Reused => |state| {
            for piece in &mut state.pieces {
                state.encoder.code_with_buf(&mut state.rng, piece).expect("a buffer of its length");
            }
        },
        Buffers::Fresh => |state| {
            for piece in &mut state.pieces {
                *piece = state.encoder.code(&mut state.rng);
            }
        },
    };
    Some(Timed::boxed(state, run, |state| {
        let k = state.encoder.get_piece_count();
        let bytes = state.encoder.get_piece_byte_len();
        let fragments: Vec<&[u8]> = state.message.chunks(bytes).collect();
        // The last byte of the last fragment is the marker here, which no sampled column meets.
        let (coefficients, piece) = state.pieces.last().expect("a piece").split_at(k);
        combination(piece, coefficients, &fragments, gf256::mul)
    }))
}

struct Recode {
    recoder: Recoder,
    rng: SmallRng,
    piece: Vec<u8>,
    k: usize,
    message: Vec<u8>,
}

fn recode(encoder: &Encoder, input: &Input, buffers: Buffers) -> Option<Box<dyn Run>> {
    let mut rng = SmallRng::seed_from_u64(2);
    let pieces: Vec<u8> = (0..input.k).flat_map(|_| encoder.code(&mut rng)).collect();
    let bytes = encoder.get_full_coded_piece_byte_len();
    let recoder = Recoder::new(pieces, bytes, input.k).ok()?;
    let message = input.message.clone();
    let state = Recode { recoder, rng, piece: vec![0; bytes], k: input.k, message };
    let run: fn(&mut Recode) = match buffers {
        Buffers::Reused => |state| {
            let Recode { recoder, rng, piece, .. } = state;
            recoder.recode_with_buf(rng, piece).expect("a buffer of its length");
        },
        Buffers::Fresh => |state| state.piece = state.recoder.recode(&mut state.rng),
    };
    Some(Timed::boxed(state, run, |state| {
        let (coefficients, piece) = state.piece.split_at(state.k);
        let fragments: Vec<&[u8]> = state.message.chunks(piece.len()).collect();
        combination(piece, coefficients, &fragments, gf256::mul)
    }))
}

struct Decode {
    pieces: Vec<Vec<u8>>,
    k: usize,
    decoded: Vec<u8>,
    message: Vec<u8>,
}

fn decode(encoder: &Encoder, systematic: usize, message: Vec<u8>) -> Option<Box<dyn Run>> {
    let (k, bytes) = (encoder.get_piece_count(), encoder.get_piece_byte_len());
    let mut pieces: Vec<Vec<u8>> = (0..systematic)
        .map(|index| {
            let mut piece = vec![0; k];
            piece[index] = 1;
            piece.extend(&message[index * bytes..(index + 1) * bytes]);
            piece
        })
        .collect();
    // Spare ones, should some be dependent.
    let mut rng = SmallRng::seed_from_u64(3);
    pieces.extend((systematic..k + 2).map(|_| encoder.code(&mut rng)));
    let state = Decode { pieces, k, decoded: Vec::new(), message };
    Some(Timed::boxed(
        state,
        |state| {
            let bytes = state.pieces[0].len() - state.k;
            let mut decoder = Decoder::new(bytes, state.k).expect("a sound shape");
            for piece in &state.pieces {
                if decoder.is_already_decoded() {
                    break;
                }
                // A piece that says nothing new is an error, and no harm.
                let _ = decoder.decode(piece);
            }
            state.decoded = decoder.get_decoded_data().expect("full rank");
        },
        |state| same(&state.decoded, &state.message),
    ))
}
