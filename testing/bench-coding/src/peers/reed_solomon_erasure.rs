//! The crate `reed-solomon-erasure`, with its C kernel: a code with a fixed matrix, so it cannot
//! recode. It keeps the inverse for what was lost last, so inverting is not in its time.

use reed_solomon_erasure::galois_8::ReedSolomon;

use super::{Peer, Timed, checked_by_decoding, same};
use crate::work::{Buffers, Input, Operation, Run};

pub(crate) struct Erasure;

impl Peer for Erasure {
    fn name(&self) -> &'static str {
        "reed-solomon-erasure"
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
    code: ReedSolomon,
    message: Vec<u8>,
    parity: Vec<Vec<u8>>,
    buffers: Buffers,
}

fn encode(input: &Input, parity: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let code = ReedSolomon::new(input.k, parity).ok()?;
    let parity = vec![vec![0; input.fragment_bytes]; parity];
    let state = Encode { code, message: input.message.clone(), parity, buffers };
    let run = |state: &mut Encode| {
        let bytes = state.parity[0].len();
        if state.buffers == Buffers::Fresh {
            let count = state.parity.len();
            state.parity.clear();
            state.parity.resize_with(count, || vec![0; bytes]);
        }
        let fragments: Vec<&[u8]> = state.message.chunks(bytes).collect();
        state.code.encode_sep(&fragments, &mut state.parity).expect("sound lengths");
    };
    Some(Timed::boxed(state, run, checked_by_decoding))
}

struct Decode {
    code: ReedSolomon,
    lost: usize,
    /// Fragments and parity, and whether each is there.
    kept: Vec<(Vec<u8>, bool)>,
    /// The same, where what is not there has no buffer.
    fresh: Vec<Option<Vec<u8>>>,
    message: Vec<u8>,
}

fn decode(input: &Input, lost: usize, buffers: Buffers) -> Option<Box<dyn Run>> {
    let code = ReedSolomon::new(input.k, lost).ok()?;
    let mut parity = vec![vec![0; input.fragment_bytes]; lost];
    let fragments: Vec<&[u8]> = input.message.chunks(input.fragment_bytes).collect();
    code.encode_sep(&fragments, &mut parity).expect("sound lengths");
    let shards = fragments.iter().map(|fragment| fragment.to_vec()).chain(parity);
    let mut state =
        Decode { code, lost, kept: Vec::new(), fresh: Vec::new(), message: input.message.clone() };
    let run: fn(&mut Decode) = match buffers {
        Buffers::Reused => {
            state.kept = shards.map(|shard| (shard, true)).collect();
            |state| {
                for (_, is_there) in &mut state.kept[..state.lost] {
                    *is_there = false;
                }
                state.code.reconstruct_data(&mut state.kept).expect("enough shards");
            }
        }
        Buffers::Fresh => {
            state.fresh = shards.map(Some).collect();
            |state| {
                state.fresh[..state.lost].fill(None);
                state.code.reconstruct_data(&mut state.fresh).expect("enough shards");
            }
        }
    };
    Some(Timed::boxed(state, run, |state| {
        let kept = state.kept.iter().map(|(shard, _)| shard);
        let shards: Vec<&Vec<u8>> = kept.chain(state.fresh.iter().flatten()).collect();
        let decoded: Vec<u8> = shards.into_iter().flatten().copied().collect();
        same(&decoded[..state.message.len()], &state.message)
    }))
}
