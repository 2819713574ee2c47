//! The networks there are, as scenario files name them.

use std::time::Duration;

use rand::{Rng, RngExt, seq::SliceRandom};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Latency, MBIT, NodeSpec, Topology,
    graph::{everyone, random_dials},
    regions::{REGIONS, matrix},
};
use crate::protocol::NodeId;

/// How many others a node dials, if nothing else is said: about 70 connections, which is what
/// Prysm keeps by default and the fewest of Ethereum's large clients.
const DIALS: usize = 35;

/// The message of the rounds: 80 chunks, each a whole frame of 16 KiB.
pub const ROUNDS_MESSAGE_BYTES: u64 = 80 * (16 << 10);

/// A kind of network. With a seed it is a [`Topology`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TopologySpec {
    /// Eight regions of the world weighted as Ethereum's nodes; 20 % of the nodes with 1024 Mbit/s
    /// both ways, 80 % with 50 Mbit/s (ppopth's study of blobs).
    Ethereum {
        /// How many nodes.
        nodes: usize,
        /// The 80 % have 15 Mbit/s up (EIP-7870) in place of 50.
        #[serde(default)]
        asymmetric: bool,
        /// How many others a node dials.
        #[serde(default = "dials")]
        dials: usize,
    },
    /// All alike.
    Uniform {
        /// How many nodes.
        nodes: usize,
        /// Both ways.
        mbps: f64,
        /// One way, for all pairs.
        latency_ms: f64,
        /// How many others a node dials.
        #[serde(default = "dials")]
        dials: usize,
    },
    /// Vac's scenario S2: 1500 nodes, 40 to 200 Mbit/s and 40 to 130 ms, both evenly distributed.
    VacS2 {
        /// How many nodes; 1500 there.
        #[serde(default = "vac_nodes")]
        nodes: usize,
        /// How many others a node dials.
        #[serde(default = "dials")]
        dials: usize,
    },
    /// ethp2p's "realistic" network: 5 % with 1024 Mbit/s, others with 50, the first node a builder
    /// with 50 up and 100 down. Its countries are not public in a form that could be used here: the
    /// regions are those of [`TopologySpec::Ethereum`].
    Ethp2p {
        /// How many nodes.
        nodes: usize,
        /// Connections of a node; half of them dialled.
        degree: usize,
    },
    /// Real nodes on one machine behind shaped links: no latency but 0.1 ms, 10 dials.
    Lab {
        /// How many nodes.
        nodes: usize,
        /// Both ways.
        mbps: u64,
    },
    /// A small network in one building: 1 Gbit/s, 0.2 ms, everyone connected with everyone.
    Lan {
        /// How many nodes.
        nodes: usize,
    },
}

fn dials() -> usize {
    DIALS
}

fn vac_nodes() -> usize {
    1500
}

/// Why there is no such network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// Too few or too many.
    #[error("a network of {0} nodes; 2 to 20000 are possible")]
    Nodes(usize),
    /// Nobody dials.
    #[error("a node dials {0} others; at least 1 is needed")]
    Dials(usize),
    /// No bandwidth, or not a number.
    #[error("a bandwidth of {0} Mbit/s; more than 0 and at most 1000000 is needed")]
    Bandwidth(String),
    /// Negative, or not a number.
    #[error("a latency of {0} ms; 0 to 10000 is possible")]
    Latency(String),
}

impl TopologySpec {
    /// Returns how many nodes there are.
    pub fn nodes(&self) -> usize {
        match *self {
            Self::Ethereum { nodes, .. }
            | Self::Uniform { nodes, .. }
            | Self::VacS2 { nodes, .. }
            | Self::Ethp2p { nodes, .. }
            | Self::Lab { nodes, .. }
            | Self::Lan { nodes } => nodes,
        }
    }

    /// Returns the network of Nashatyrev's rounds: 1000 nodes all alike, in which a message of
    /// [`ROUNDS_MESSAGE_BYTES`] takes a second to send, so that a second is the unit of times, and of
    /// `latency`. To be run with [`crate::network::LinkModel::rounds`], 80 fragments and 40 data
    /// peers, of which every node has enough to choose from.
    pub fn rounds(latency: f64) -> Self {
        let mbps = ROUNDS_MESSAGE_BYTES as f64 * 8.0 / MBIT as f64;
        Self::Uniform { nodes: 1000, mbps, latency_ms: latency * 1000.0, dials: 30 }
    }

    /// Returns the network of `seed`.
    ///
    /// # Errors
    ///
    /// Returns [`TopologyError`] if a number is out of range.
    pub fn build(&self, seed: u64) -> Result<Topology, TopologyError> {
        let nodes = self.nodes();
        if !(2..=20_000).contains(&nodes) {
            return Err(TopologyError::Nodes(nodes));
        }
        // Not the generator of the network's own dice, which begins with the same seed.
        let rng = &mut ChaCha12Rng::seed_from_u64(seed ^ 0x746F_706F_6C6F_6779);
        let (name, specs, latency, dials) = match *self {
            Self::Ethereum { nodes, asymmetric, dials } => {
                let slow = if asymmetric { 15 } else { 50 };
                let slow = NodeSpec { up_bps: slow * MBIT, down_bps: 50 * MBIT };
                let specs = some_fast(nodes, nodes / 5, slow, rng);
                let name = if asymmetric { "ethereum asymmetric" } else { "ethereum" };
                (name.to_owned(), specs, regional(nodes, rng), checked(dials)?)
            }
            Self::Uniform { nodes, mbps, latency_ms, dials } => {
                let rate = bits_per_second(mbps)?;
                let specs = vec![NodeSpec { up_bps: rate, down_bps: rate }; nodes];
                let latency = Latency::Uniform(latency(latency_ms)?);
                let name = format!("uniform {mbps} Mbit/s {latency_ms} ms");
                (name, specs, latency, checked(dials)?)
            }
            Self::VacS2 { nodes, dials } => {
                let specs =
                    (0..nodes).map(|_| NodeSpec::symmetric(rng.random_range(40..=200))).collect();
                let (low, high) = (Duration::from_millis(40), Duration::from_millis(130));
                let latency = Latency::Pairs { seed: rng.random(), low, high };
                ("vac-s2".to_owned(), specs, latency, checked(dials)?)
            }
            Self::Ethp2p { nodes, degree } => {
                let mut specs = some_fast(nodes, nodes / 20, NodeSpec::symmetric(50), rng);
                specs[0] = NodeSpec { up_bps: 50 * MBIT, down_bps: 100 * MBIT };
                ("ethp2p".to_owned(), specs, regional(nodes, rng), checked(degree.div_ceil(2))?)
            }
            Self::Lab { nodes, mbps } => {
                let specs = vec![NodeSpec::symmetric(mbps); nodes];
                bits_per_second(mbps as f64)?;
                (format!("lab {mbps} Mbit/s"), specs, uniform_us(100), 10)
            }
            Self::Lan { nodes } => {
                let specs = vec![NodeSpec::symmetric(1000); nodes];
                let dials = everyone(nodes);
                let latency = uniform_us(200);
                return Ok(Topology { name: "lan".to_owned(), nodes: specs, latency, dials });
            }
        };
        let dials = random_dials(nodes, dials, rng);
        Ok(Topology { name, nodes: specs, latency, dials })
    }
}

fn uniform_us(microseconds: u64) -> Latency {
    Latency::Uniform(Duration::from_micros(microseconds))
}

fn checked(dials: usize) -> Result<usize, TopologyError> {
    if dials == 0 { Err(TopologyError::Dials(dials)) } else { Ok(dials) }
}

fn bits_per_second(mbps: f64) -> Result<u64, TopologyError> {
    if mbps > 0.0 && mbps <= 1e6 {
        Ok(((mbps * MBIT as f64).round() as u64).max(1))
    } else {
        Err(TopologyError::Bandwidth(mbps.to_string()))
    }
}

fn latency(ms: f64) -> Result<Duration, TopologyError> {
    if (0.0..=10_000.0).contains(&ms) {
        Ok(Duration::from_secs_f64(ms / 1000.0))
    } else {
        Err(TopologyError::Latency(ms.to_string()))
    }
}

/// `fast` random ones of `nodes` nodes have 1024 Mbit/s both ways, the others are `slow`.
fn some_fast(nodes: usize, fast: usize, slow: NodeSpec, rng: &mut impl Rng) -> Vec<NodeSpec> {
    let mut specs = vec![slow; nodes];
    specs[..fast].fill(NodeSpec::symmetric(1024));
    specs.shuffle(rng);
    specs
}

/// Every node in a region of the eight, by their weights.
fn regional(nodes: usize, rng: &mut impl Rng) -> Latency {
    let total: u32 = REGIONS.iter().map(|region| region.weight).sum();
    let of = (0..nodes as NodeId)
        .map(|_| {
            let mut ticket = rng.random_range(0..total);
            let of = REGIONS.iter().position(|region| match ticket.checked_sub(region.weight) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            });
            of.unwrap_or(0) as u8
        })
        .collect();
    Latency::Regions { of, matrix: matrix() }
}

#[cfg(test)]
mod tests {
    use super::{super::is_connected, *};

    fn ethereum(asymmetric: bool) -> TopologySpec {
        TopologySpec::Ethereum { nodes: 1000, asymmetric, dials: DIALS }
    }

    #[test]
    fn a_fifth_of_the_ethereum_like_network_is_fast_and_half_of_it_in_europe() {
        let topology = ethereum(false).build(1).expect("a network");
        assert_eq!(topology.nodes_at(1024 * MBIT).len(), 200);
        assert_eq!(topology.nodes_at(50 * MBIT).len(), 800);
        let Latency::Regions { of, .. } = &topology.latency else { panic!("regions") };
        let europe = |of: &&u8| matches!(of, 1);
        let in_europe = of.iter().filter(europe).count();
        assert!((450..=550).contains(&in_europe), "{in_europe}");
        assert!(is_connected(1000, &topology.dials));
        let asymmetric = ethereum(true).build(1).expect("a network");
        assert_eq!(asymmetric.nodes_at(15 * MBIT).len(), 800);
    }

    #[test]
    fn equal_seeds_make_equal_networks_and_others_do_not() {
        let dials = |seed| ethereum(false).build(seed).expect("a network").dials;
        assert_eq!(dials(3), dials(3));
        assert_ne!(dials(3), dials(4));
    }

    #[test]
    fn every_kind_can_be_built() {
        let kinds = [
            TopologySpec::Uniform { nodes: 100, mbps: 50.0, latency_ms: 70.0, dials: 8 },
            TopologySpec::VacS2 { nodes: 300, dials: 8 },
            TopologySpec::Ethp2p { nodes: 200, degree: 10 },
            TopologySpec::Lab { nodes: 16, mbps: 50 },
            TopologySpec::Lan { nodes: 4 },
        ];
        for kind in kinds {
            let topology = kind.build(1).expect("a network");
            assert_eq!(topology.len(), kind.nodes());
            assert!(is_connected(topology.len(), &topology.dials), "{kind:?}");
        }
    }

    #[test]
    fn a_message_of_the_rounds_takes_a_second_to_send() {
        let topology = TopologySpec::rounds(0.5).build(1).expect("a network");
        assert_eq!(topology.nodes[0].up_bps, ROUNDS_MESSAGE_BYTES * 8);
        assert_eq!(topology.latency.between(0, 1), Duration::from_millis(500));
        assert!(topology.is_uniform());
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let uniform = |nodes, mbps, latency_ms, dials| {
            let spec = TopologySpec::Uniform { nodes, mbps, latency_ms, dials };
            spec.build(1).err().map(|error| error.to_string())
        };
        let nodes = "a network of 1 nodes; 2 to 20000 are possible";
        assert_eq!(uniform(1, 50.0, 1.0, 1).as_deref(), Some(nodes));
        assert!(uniform(2, 0.0, 1.0, 1).is_some_and(|text| text.contains("bandwidth of 0")));
        assert!(uniform(2, 1.0, f64::NAN, 1).is_some_and(|text| text.contains("latency of NaN")));
        assert!(uniform(2, 1.0, 1.0, 0).is_some_and(|text| text.contains("dials 0")));
        assert_eq!(uniform(2, 1.0, 1.0, 1), None);
    }
}
