//! The crate `reed-solomon-simd`: a code by fast transforms, whose cost grows with the logarithm of
//! the number of pieces. It cannot recode.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::{Peer, Timed, checked_by_decoding};
use crate::work::{Buffers, Input, Operation, Run};

pub(crate) struct Simd;

impl Peer for Simd {
    fn name(&self) -> &'static str {
        "reed-solomon-simd"
    }

    fn is_rlnc_or_isal(&self) -> bool {
        false
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
            Operation::RecodeOne => None,
            Operation::Decode => decode(input, input.k, buffers),
            Operation::DecodeHalfSystematic => decode(input, input.k / 2, buffers),
        }
    }
}

struct Encode {
    encoder: ReedSolomonEncoder,
    message: Vec<u8>,
    k: usize,
    recovery: usize,
    buffers: Buffers,
}

fn encode(input: &Input, recovery: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let k = input.k;
    let encoder = ReedSolomonEncoder::new(k, recovery, input.fragment_bytes).ok()?;
    let state = Encode { encoder, message: input.message.clone(), k, recovery, buffers };
    let run = |state: &mut Encode| {
        let bytes = state.message.len() / state.k;
        if state.buffers == Buffers::Fresh {
            let encoder = ReedSolomonEncoder::new(state.k, state.recovery, bytes);
            state.encoder = encoder.expect("a sound shape");
        }
        for fragment in state.message.chunks(bytes) {
            state.encoder.add_original_shard(fragment).expect("a sound length");
        }
        // The pieces are read where they are; dropping the result makes room for the next.
        drop(state.encoder.encode().expect("all fragments"));
    };
    Some(Timed::boxed(state, run, checked_by_decoding))
}

struct Decode {
    decoder: ReedSolomonDecoder,
    message: Vec<u8>,
    k: usize,
    lost: usize,
    recovery: Vec<Vec<u8>>,
    buffers: Buffers,
}

impl Decode {
    /// Adds all that was not lost. Fragments from the front on are.
    fn add(&mut self) {
        let bytes = self.message.len() / self.k;
        let fragments = self.message.chunks(bytes).enumerate().skip(self.lost);
        for (index, fragment) in fragments {
            self.decoder.add_original_shard(index, fragment).expect("a sound length");
        }
        for (index, shard) in self.recovery.iter().enumerate() {
            self.decoder.add_recovery_shard(index, shard).expect("a sound length");
        }
    }
}

fn decode(input: &Input, lost: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let (k, bytes) = (input.k, input.fragment_bytes);
    let mut encoder = ReedSolomonEncoder::new(k, lost, bytes).ok()?;
    for fragment in input.message.chunks(bytes) {
        encoder.add_original_shard(fragment).ok()?;
    }
    let recovery = encoder.encode().ok()?.recovery_iter().map(<[u8]>::to_vec).collect();
    let decoder = ReedSolomonDecoder::new(k, lost, bytes).ok()?;
    let state = Decode { decoder, message: input.message.clone(), k, lost, recovery, buffers };
    let run = |state: &mut Decode| {
        if state.buffers == Buffers::Fresh {
            let bytes = state.message.len() / state.k;
            let decoder = ReedSolomonDecoder::new(state.k, state.lost, bytes);
            state.decoder = decoder.expect("a sound shape");
        }
        state.add();
        // Left where it is, as above.
        drop(state.decoder.decode().expect("enough shards"));
    };
    Some(Timed::boxed(state, run, |state| {
        state.add();
        let restored = state.decoder.decode().map_err(|error| error.to_string())?;
        let bytes = state.message.len() / state.k;
        let right = (0..state.lost).all(|index| {
            restored.restored_original(index)
                == Some(&state.message[index * bytes..(index + 1) * bytes])
        });
        if right { Ok(()) } else { Err("another message".to_owned()) }
    }))
}
