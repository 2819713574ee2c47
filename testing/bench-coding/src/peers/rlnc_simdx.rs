//! The crate `rlnc-simdx`.
//!
//! Its encoder allocates every packet; with kept buffers its kernel is called as its encoder does.
//! Its own generator never reaches a rank above 64, so packets to decode have coefficients of ours.

use rlnc_simdx::{
    AlignedBuffer, CodedPacket, Decoder, Encoder, SimpleRng, kernel::axpy_multi, recoder::Recoder,
};

use super::{Peer, Timed, combination, same};
use crate::work::{Buffers, Input, Operation, Run};

pub(crate) struct RlncSimdx;

impl Peer for RlncSimdx {
    fn name(&self) -> &'static str {
        "rlnc-simdx"
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
        match operation {
            Operation::EncodeOne => encode(input, 1, buffers),
            Operation::EncodeK => encode(input, input.k, buffers),
            Operation::RecodeOne => recode(input, buffers),
            // Packets are taken by value and become the rows: buffers cannot be kept.
            Operation::Decode => Some(decode(input, 0)),
            Operation::DecodeHalfSystematic => Some(decode(input, input.k / 2)),
        }
    }
}

/// Returns the packet with these coefficients.
fn packet(input: &Input, coefficients: &[u8]) -> CodedPacket {
    let fragments: Vec<&[u8]> = input.message.chunks(input.fragment_bytes).collect();
    let mut packet = CodedPacket::from_slices(coefficients, &vec![0; input.fragment_bytes]);
    axpy_multi(coefficients, &fragments, packet.payload.as_mut_slice());
    packet
}

struct Encode {
    encoder: Encoder,
    rng: SimpleRng,
    message: Vec<u8>,
    coefficients: Vec<u8>,
    packets: Vec<CodedPacket>,
}

fn encode(input: &Input, count: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let coefficients = input.coefficients[..count * input.k].to_vec();
    let state = Encode {
        encoder: Encoder::new(input.k, input.fragment_bytes).ok()?,
        rng: SimpleRng::new(1),
        message: input.message.clone(),
        packets: coefficients.chunks(input.k).map(|vector| packet(input, vector)).collect(),
        coefficients,
    };
    let run: fn(&mut Encode) = match buffers {
        Buffers::Reused => |state| {
            let fragments: Vec<&[u8]> = state.message.chunks(state.encoder.symbol_size()).collect();
            let vectors = state.coefficients.chunks(fragments.len());
            for (vector, packet) in vectors.zip(&mut state.packets) {
                packet.payload.zero();
                axpy_multi(vector, &fragments, packet.payload.as_mut_slice());
            }
        },
        Buffers::Fresh => |state| {
            let fragments: Vec<&[u8]> = state.message.chunks(state.encoder.symbol_size()).collect();
            for packet in &mut state.packets {
                let made = state.encoder.encode_random(&fragments, &mut state.rng);
                *packet = made.expect("sound fragments");
            }
        },
    };
    Some(Timed::boxed(state, run, |state| {
        let fragments: Vec<&[u8]> = state.message.chunks(state.encoder.symbol_size()).collect();
        let packet = state.packets.last().expect("a packet");
        combination(packet.payload_slice(), packet.coefficients_slice(), &fragments, gf256::mul)
    }))
}

struct Recode {
    packets: Vec<CodedPacket>,
    rng: SimpleRng,
    weights: Vec<u8>,
    recoded: CodedPacket,
    message: Vec<u8>,
}

fn recode(input: &Input, buffers: Buffers) -> Option<Box<dyn Run>> {
    let vectors = input.coefficients.chunks(input.k).take(input.k);
    let packets: Vec<CodedPacket> = vectors.map(|vector| packet(input, vector)).collect();
    let state = Recode {
        recoded: packets[0].clone(),
        packets,
        rng: SimpleRng::new(2),
        weights: vec![0; input.k],
        message: input.message.clone(),
    };
    let run: fn(&mut Recode) = match buffers {
        Buffers::Reused => |state| {
            let Recode { packets, rng, weights, recoded, .. } = state;
            rng.fill(weights);
            recoded.coefficients.zero();
            recoded.payload.zero();
            let vectors: Vec<&[u8]> = packets.iter().map(CodedPacket::coefficients_slice).collect();
            axpy_multi(weights, &vectors, recoded.coefficients.as_mut_slice());
            let payloads: Vec<&[u8]> = packets.iter().map(CodedPacket::payload_slice).collect();
            axpy_multi(weights, &payloads, recoded.payload.as_mut_slice());
        },
        Buffers::Fresh => |state| {
            state.recoded = Recoder::recode(&state.packets, &mut state.rng).expect("packets");
        },
    };
    Some(Timed::boxed(state, run, |state| {
        let (payload, vector) = (&state.recoded.payload, &state.recoded.coefficients);
        let fragments: Vec<&[u8]> = state.message.chunks(payload.len()).collect();
        combination(payload.as_slice(), vector.as_slice(), &fragments, gf256::mul)
    }))
}

struct Decode {
    packets: Vec<CodedPacket>,
    incoming: Vec<CodedPacket>,
    decoded: Vec<Vec<u8>>,
    message: Vec<u8>,
}

fn decode(input: &Input, systematic: usize) -> Box<dyn Run> {
    let mut packets: Vec<CodedPacket> = (0..systematic)
        .map(|index| {
            let mut coefficients = AlignedBuffer::zeroed(input.k);
            coefficients.as_mut_slice()[index] = 1;
            packet(input, coefficients.as_slice())
        })
        .collect();
    // Spare ones, should some be dependent.
    let vectors = input.coefficients.chunks(input.k).take(input.k + 2 - systematic);
    packets.extend(vectors.map(|vector| packet(input, vector)));
    let message = input.message.clone();
    let state = Decode { packets, incoming: Vec::new(), decoded: Vec::new(), message };
    Box::new(Timed {
        state,
        reset: Some(|state| state.incoming.clone_from(&state.packets)),
        run: |state| {
            let packet = &state.incoming[0];
            let decoder = Decoder::new(packet.coefficients.len(), packet.payload.len());
            let mut decoder = decoder.expect("a sound shape");
            for packet in state.incoming.drain(..) {
                decoder.receive(packet).expect("the same shape");
                if decoder.is_complete() {
                    break;
                }
            }
            state.decoded = decoder.decode().expect("full rank").expect("full rank");
        },
        check: |state| same(&state.decoded.concat(), &state.message),
    })
}
