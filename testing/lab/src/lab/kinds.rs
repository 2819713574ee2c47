//! The kinds of nodes that are measured beside each other.

use clap::ValueEnum;

/// What a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// p2pnode, profile `adaptive`.
    Adaptive,
    /// p2pnode, profile `documented`.
    Documented,
    /// rust-libp2p's GossipSub with its defaults.
    Gossipsub,
    /// The same with the fastest settings known for large messages.
    GossipsubBest,
}

impl Kind {
    /// Returns what it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Documented => "documented",
            Self::Gossipsub => "gossipsub",
            Self::GossipsubBest => "gossipsub, best",
        }
    }

    /// Returns the value of `OPTIMUM_PROFILE`, or none if the node is not p2pnode.
    pub(crate) fn profile(self) -> Option<&'static str> {
        match self {
            Self::Adaptive => Some("adaptive"),
            Self::Documented => Some("documented"),
            Self::Gossipsub | Self::GossipsubBest => None,
        }
    }

    /// Returns peers of the mesh of `GossipSub`: at least, aimed at, at most.
    pub(crate) fn mesh(self) -> [usize; 3] {
        if self == Self::GossipsubBest { [3, 4, 6] } else { [6, 8, 12] }
    }

    /// Returns whether ids are told to peers outside the mesh.
    pub(crate) fn gossips(self) -> bool {
        self != Self::GossipsubBest
    }

    /// Returns the peers that a node's mesh must have before it is measured.
    pub(crate) fn mesh_min(self) -> usize {
        // p2pnode's OPTIMUM_MESH_MIN.
        if self.profile().is_some() { 3 } else { self.mesh()[0] }
    }

    /// Returns the simulator's protocol.
    pub(crate) fn simulated(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Documented => "documented",
            Self::Gossipsub | Self::GossipsubBest => "gossipsub-mesh",
        }
    }
}
