//! One operation on one message length and number of fragments: ours, the others, the limits.

use anyhow::{Result, anyhow};
use gf256::Kernel;

use crate::{
    limits::{CYCLES, Copy, Cycles, Multiplier, Multiply, Read},
    measure::{Contestant, interleave},
    ours, peers,
    work::{Buffers, Input, Operation},
};

const GIB: f64 = (1_u64 << 30) as f64;

/// What was measured of a cell, in GiB of message a second.
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) message_bytes: usize,
    pub(crate) k: usize,
    pub(crate) ours: f64,
    /// Ours with the AVX2 kernel, where the CPU has it.
    pub(crate) avx2: Option<f64>,
    /// Ours with buffers allocated and freed each time.
    pub(crate) fresh: f64,
    pub(crate) peers: Vec<Peer>,
    /// Of a message, read in order.
    pub(crate) read: f64,
    /// Of a message, copied.
    pub(crate) copy: f64,
    /// Of products, where it is known how the kernel makes them.
    pub(crate) multiply: Option<f64>,
}

/// What was measured of another library.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) is_rlnc_or_isal: bool,
    pub(crate) reused: f64,
    pub(crate) fresh: f64,
}

/// What the physical limit of a cell is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) kind: &'static str,
    pub(crate) gib_s: f64,
}

impl Cell {
    pub(crate) fn measure(
        operation: Operation,
        input: &Input,
        kernel: Kernel,
        peers: &[Box<dyn peers::Peer>],
        rounds: usize,
    ) -> Result<Self> {
        let ours = |buffers, kernel| {
            Contestant::new(ours::prepare(operation, input, buffers, kernel))
                .map_err(|e| anyhow!(e))
        };
        let mut reused = ours(Buffers::Reused, kernel)?;
        let mut fresh = ours(Buffers::Fresh, kernel)?;
        let avx2 = Kernel::available().find(|kernel| kernel.name() == "avx2");
        let mut avx2 = avx2.map(|kernel| ours(Buffers::Reused, kernel)).transpose()?;
        let message_bytes = input.message.len();
        let limit = |run| Contestant::new(run).map_err(|error| anyhow!(error));
        let mut read = limit(Box::new(Read::new(message_bytes)))?;
        let mut copy = limit(Box::new(Copy::new(message_bytes)))?;
        let multiplier = Multiplier::of(kernel.name());
        let mut multiply = multiplier.map(|m| limit(Box::new(Multiply(m)))).transpose()?;
        let mut others = Vec::new();
        for peer in peers {
            let prepare = |buffers| {
                let run = peer.prepare(operation, input, buffers)?;
                Some(Contestant::new(run).map_err(|error| anyhow!("{}: {error}", peer.name())))
            };
            let (Some(reused), Some(fresh)) = (prepare(Buffers::Reused), prepare(Buffers::Fresh))
            else {
                continue;
            };
            others.push((peer.name(), peer.is_rlnc_or_isal(), reused?, fresh?));
        }
        let mut all = vec![&mut reused, &mut fresh, &mut read, &mut copy];
        all.extend(avx2.as_mut());
        all.extend(multiply.as_mut());
        all.extend(others.iter_mut().flat_map(|(_, _, reused, fresh)| [reused, fresh]));
        interleave(&mut all, rounds);
        let gib_s =
            |contestant: &mut Contestant| message_bytes as f64 / GIB / contestant.median_seconds();
        Ok(Self {
            operation,
            message_bytes,
            k: input.k,
            ours: gib_s(&mut reused),
            avx2: avx2.as_mut().map(gib_s),
            fresh: gib_s(&mut fresh),
            peers: others
                .iter_mut()
                .map(|(name, is_rlnc_or_isal, reused, fresh)| Peer {
                    name,
                    is_rlnc_or_isal: *is_rlnc_or_isal,
                    reused: gib_s(reused),
                    fresh: gib_s(fresh),
                })
                .collect(),
            read: gib_s(&mut read),
            copy: gib_s(&mut copy),
            multiply: multiply.as_mut().zip(multiplier).map(|(contestant, multiplier)| {
                multiplier.bytes() as f64 / GIB / contestant.median_seconds()
            }),
        })
    }

    /// Returns the fastest peer with kept buffers, of all or of those that code like us.
    pub(crate) fn best_peer(&self, only_rlnc_or_isal: bool) -> Option<&Peer> {
        let peers = self.peers.iter().filter(|peer| !only_rlnc_or_isal || peer.is_rlnc_or_isal);
        peers.max_by(|a, b| a.reused.total_cmp(&b.reused))
    }

    /// Returns the fastest peer with fresh buffers.
    pub(crate) fn best_fresh_peer(&self) -> Option<f64> {
        self.peers.iter().map(|peer| peer.fresh).max_by(f64::total_cmp)
    }

    /// Returns what limits the operation: one output reads the message once, several outputs
    /// multiply every byte for each of them.
    pub(crate) fn limit(&self) -> Option<Limit> {
        match self.operation {
            Operation::EncodeOne | Operation::RecodeOne => {
                Some(Limit { kind: "read", gib_s: self.read })
            }
            Operation::EncodeK | Operation::Decode | Operation::DecodeHalfSystematic => {
                let outputs = self.operation.outputs(self.k) as f64;
                self.multiply.map(|gib_s| Limit { kind: "multiply", gib_s: gib_s / outputs })
            }
        }
    }
}

/// How fast the core runs and multiplies.
pub(crate) struct Cycle {
    /// Length of a cycle, where it is known how to measure it.
    pub(crate) ns: Option<f64>,
    /// Multiplications of 64 bytes a cycle.
    pub(crate) multiplies: Option<f64>,
    /// Bytes multiplied a second.
    pub(crate) multiply_gib_s: Option<f64>,
}

impl Cycle {
    pub(crate) fn measure(kernel: Kernel) -> Self {
        let multiplier = Multiplier::of(kernel.name());
        let contestant = |run| Contestant::new(run).expect("nothing to check");
        let mut cycles = contestant(Box::new(Cycles));
        let mut multiply = multiplier.map(|m| contestant(Box::new(Multiply(m))));
        let mut both = vec![&mut cycles];
        both.extend(multiply.as_mut());
        interleave(&mut both, 9);
        let seconds = cycles.median_seconds() / CYCLES as f64;
        let bytes_s = multiply.as_mut().zip(multiplier).map(|(contestant, multiplier)| {
            multiplier.bytes() as f64 / contestant.median_seconds()
        });
        Self {
            ns: cfg!(target_arch = "x86_64").then_some(seconds * 1e9),
            multiplies: bytes_s.map(|bytes_s| bytes_s * seconds / 64.0),
            multiply_gib_s: bytes_s.map(|bytes_s| bytes_s / GIB),
        }
    }
}
