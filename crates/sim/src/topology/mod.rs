//! Who is there, how fast, how far from whom, and who dials whom.

mod graph;
mod latency;
mod regions;
mod spec;

use crate::protocol::NodeId;

pub use graph::{is_connected, reachable};
pub use latency::Latency;
pub use regions::Region;
pub use spec::{ROUNDS_MESSAGE_BYTES, TopologyError, TopologySpec};

/// Bits per second of a Mbit/s.
pub const MBIT: u64 = 1_000_000;

/// What one node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Uplink in bits per second.
    pub up_bps: u64,
    /// Downlink in bits per second.
    pub down_bps: u64,
}

impl NodeSpec {
    /// Up and down alike, in Mbit/s.
    pub fn symmetric(mbps: u64) -> Self {
        Self { up_bps: mbps * MBIT, down_bps: mbps * MBIT }
    }
}

/// A network before anything happens.
#[derive(Clone, Debug)]
pub struct Topology {
    /// What it is called in reports.
    pub name: String,
    /// The nodes, named by their places.
    pub nodes: Vec<NodeSpec>,
    /// How far they are from each other.
    pub latency: Latency,
    /// Who dials whom: each pair once, the dialer first.
    pub dials: Vec<(NodeId, NodeId)>,
}

impl Topology {
    /// Returns how many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the nodes whose uplink has `up_bps`.
    pub fn nodes_at(&self, up_bps: u64) -> Vec<NodeId> {
        let all = self.nodes.iter().enumerate();
        all.filter(|(_, node)| node.up_bps == up_bps).map(|(name, _)| name as NodeId).collect()
    }

    /// Returns whether all nodes have the same rates and the same latency to each other.
    pub fn is_uniform(&self) -> bool {
        let first = self.nodes.first();
        matches!(self.latency, Latency::Uniform(_))
            && self.nodes.iter().all(|node| Some(node) == first && node.up_bps == node.down_bps)
    }
}
