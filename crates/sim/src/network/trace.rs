//! The hash of everything that happened: equal seeds must give equal hashes.

use crate::protocol::{Lane, NodeId};

use super::schedule::Nanos;

/// Hashes frames and deliveries as they happen, without what is in them: a run whose payloads are
/// scaled has the hash of one whose are not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TraceHash(u64);

impl TraceHash {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 29;
    }

    /// A frame came whole.
    pub(crate) fn frame(&mut self, at: Nanos, from: NodeId, to: NodeId, lane: Lane, bytes: u32) {
        self.mix(at);
        self.mix(u64::from(from) << 32 | u64::from(to));
        self.mix(u64::from(bytes) << 1 | u64::from(lane == Lane::Data));
    }

    /// A node has a message.
    pub(crate) fn delivery(&mut self, at: Nanos, node: NodeId, place: u64) {
        self.mix(at);
        self.mix(u64::from(node) << 32 | place);
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}
