//! What no protocol can beat: printed beside every result.

use std::time::Duration;

use crate::{percentile::percentile, protocol::NodeId, topology::Topology};

/// The share of the nodes that the bound is about: it stands beside the 99th percentile.
const SHARE: f64 = 0.99;

/// Returns the least time in which 99 % of the pairs of a message and a node can be served, when
/// each of `publishers` publishes `message_bytes` at once. It does not depend on any protocol, its
/// fragments or its mesh. The larger of
///
/// * the 99th percentile over nodes of `max(S/u_src, S/d_i) + l_i`: the publisher must send the
///   message once, the node must take it, and the last byte travels; `l_i` is the latency of the
///   fastest path from the publisher, whoever relays;
/// * the smallest T with `u_src·T + Σ u_i·max(0, T − l_i) ≥ 0.99·(N − 1)·S`: what 99 % take, somebody
///   sends, and nobody sends before something came.
///
/// With several publishers `l_i` counts from the nearest of them, and all their uplinks from the start.
pub fn bound(topology: &Topology, publishers: &[NodeId], message_bytes: u64) -> Duration {
    let size = message_bytes as f64;
    let mut ends = Vec::new();
    let mut soonest = vec![Duration::MAX; topology.len()];
    for &publisher in publishers {
        let latency = topology.latency.fastest_from(publisher, topology.len());
        let leaves = size / bytes_per_second(topology.nodes[publisher as usize].up_bps);
        for (node, (&latency, spec)) in latency.iter().zip(&topology.nodes).enumerate() {
            soonest[node] = soonest[node].min(latency);
            if node != publisher as usize {
                let seconds = leaves.max(size / bytes_per_second(spec.down_bps));
                ends.push(Duration::from_secs_f64(seconds) + latency);
            }
        }
    }
    let needed = SHARE * ends.len() as f64 * size;
    let uplinks = soonest.iter().zip(&topology.nodes);
    let uplinks = uplinks.map(|(latency, spec)| (*latency, bytes_per_second(spec.up_bps)));
    let path = percentile(&mut ends, SHARE).unwrap_or_default();
    path.max(time_to_send(uplinks.collect(), needed))
}

/// Returns the smallest T with Σ rate·max(0, T − latency) ≥ `needed` bytes.
fn time_to_send(mut uplinks: Vec<(Duration, f64)>, needed: f64) -> Duration {
    uplinks.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (mut rate, mut sent, mut now) = (0.0, 0.0, Duration::ZERO);
    for (latency, uplink) in uplinks {
        let more = rate * latency.saturating_sub(now).as_secs_f64();
        if rate > 0.0 && sent + more >= needed {
            break;
        }
        sent += more;
        now = latency;
        rate += uplink;
    }
    now + Duration::from_secs_f64(((needed - sent) / rate).max(0.0))
}

fn bytes_per_second(bps: u64) -> f64 {
    bps as f64 / 8.0
}

/// What bounds a network whose nodes are all alike, in the postal model: a message is `chunks`
/// chunks, and a chunk is passed on only once it is there as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uniform {
    /// Nodes, the publisher included.
    pub nodes: u64,
    /// Up and down, bits per second.
    pub bps: f64,
    /// One way, seconds.
    pub latency_s: f64,
    /// Bytes of the message.
    pub message_bytes: u64,
    /// Chunks that it is sent in, k.
    pub chunks: u32,
}

impl Uniform {
    /// B1, in seconds: the last chunk cannot leave before all others have, and must still reach
    /// everyone. Holds for coded chunks too.
    pub fn last_chunk_s(&self) -> f64 {
        let mut steps = Holders::new(self.lambda());
        let reached = loop {
            let (at, holders) = steps.next_step();
            if holders >= self.nodes as f64 {
                break at;
            }
        };
        (f64::from(self.chunks) - 1.0 + reached) * self.round_s()
    }

    /// B2, in seconds: nobody sends before having something, and only so many have something.
    pub fn capacity_s(&self) -> f64 {
        let needed = (self.nodes as f64 - 1.0) * f64::from(self.chunks);
        let mut steps = Holders::new(self.lambda());
        let (mut sent, mut now, mut senders) = (0.0, 0.0, 1.0);
        loop {
            let (at, holders) = steps.next_step();
            let more = senders * (at - now);
            if sent + more >= needed || senders >= self.nodes as f64 {
                return self.latency_s + (now + (needed - sent) / senders) * self.round_s();
            }
            sent += more;
            now = at;
            senders = holders.min(self.nodes as f64);
        }
    }

    /// Returns the larger of both.
    pub fn bound_s(&self) -> f64 {
        self.last_chunk_s().max(self.capacity_s())
    }

    /// How long a chunk takes to be sent.
    fn round_s(&self) -> f64 {
        self.message_bytes as f64 * 8.0 / self.bps / f64::from(self.chunks)
    }

    /// Latency in rounds.
    fn lambda(&self) -> f64 {
        self.latency_s / self.round_s()
    }
}

/// How many nodes can hold one given chunk, over time in rounds: A(t) = A(t−1) + A(t−1−λ). A node
/// that holds it sends it again every round, and what was sent counts one round and λ later.
struct Holders {
    lambda: f64,
    count: f64,
    /// When sends of some nodes arrive next, and of how many.
    arrivals: Vec<(f64, f64)>,
}

impl Holders {
    fn new(lambda: f64) -> Self {
        Self { lambda, count: 1.0, arrivals: vec![(1.0 + lambda, 1.0)] }
    }

    /// Returns the next time at which there are more, and how many there are then.
    fn next_step(&mut self) -> (f64, f64) {
        let at = self.arrivals.iter().map(|&(at, _)| at).fold(f64::INFINITY, f64::min);
        let mut new = 0.0;
        for (arrival, count) in &mut self.arrivals {
            if *arrival <= at + 1e-9 {
                new += *count;
                *arrival += 1.0;
            }
        }
        self.count += new;
        self.arrivals.push((at + 1.0 + self.lambda, new));
        // What arrives at the same moments is one entry, or there would be as many as steps.
        self.arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.arrivals.dedup_by(|later, sooner| {
            let same = later.0 - sooner.0 <= 1e-9;
            if same {
                sooner.1 += later.1;
            }
            same
        });
        (at, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Latency, MBIT, NodeSpec, TopologySpec};

    const MIB: u64 = 1 << 20;

    fn uniform(nodes: u64, mbps: f64, message_bytes: u64, chunks: u32) -> Uniform {
        Uniform { nodes, bps: mbps * 1e6, latency_s: 0.07, message_bytes, chunks }
    }

    #[test]
    fn the_bounds_of_uniform_networks_are_those_of_the_table() {
        let ks = [4, 8, 16, 64, 256];
        let table: [(u64, f64, u64, [f64; 5]); 10] = [
            (1000, 50.0, 128 << 10, [346.0, 299.0, 265.0, 230.0, 198.0]),
            (1000, 50.0, 1_000_000, [883.0, 676.0, 558.0, 438.0, 381.0]),
            (1000, 50.0, MIB, [909.0, 695.0, 572.0, 449.0, 390.0]),
            (1000, 50.0, 2 * MIB, [1497.0, 1077.0, 862.0, 665.0, 579.0]),
            (1000, 50.0, 4 * MIB, [2629.0, 1832.0, 1412.0, 1075.0, 951.0]),
            (1000, 50.0, 6 * MIB, [3762.0, 2559.0, 1965.0, 1474.0, 1313.0]),
            (1000, 50.0, 10 * MIB, [6013.0, 4055.0, 3041.0, 2259.0, 2026.0]),
            (36, 1000.0, 4 * MIB, [261.0, 232.0, 207.0, 180.0, 173.0]),
            (36, 1000.0, 6 * MIB, [303.0, 265.0, 238.0, 201.0, 190.0]),
            (36, 1000.0, 10 * MIB, [382.0, 324.0, 290.0, 243.0, 225.0]),
        ];
        for (nodes, mbps, bytes, row) in table {
            for (k, expected) in ks.into_iter().zip(row) {
                let ms = uniform(nodes, mbps, bytes, k).bound_s() * 1000.0;
                assert!((ms - expected).abs() <= 1.0, "{bytes} B, k={k}: {ms} is not {expected}");
            }
        }
    }

    #[test]
    fn the_bounds_of_rounds_are_those_of_the_table() {
        let table = [
            (0.0, 1.113),
            (0.1, 1.544),
            (0.2, 1.899),
            (0.5, 2.838),
            (0.7, 3.420),
            (1.0, 4.286),
            (1.5, 5.714),
        ];
        for (latency_s, expected) in table {
            let rounds = Uniform { nodes: 1000, bps: 8.0, latency_s, message_bytes: 1, chunks: 80 };
            let bound = rounds.bound_s();
            assert!((bound - expected).abs() < 0.015, "{latency_s}: {bound} is not {expected}");
        }
    }

    #[test]
    fn a_uniform_network_is_bound_by_size_over_rate_and_twice_the_latency() {
        let spec = TopologySpec::Uniform { nodes: 1000, mbps: 50.0, latency_ms: 70.0, dials: 15 };
        let topology = spec.build(1).expect("a network");
        let ms = bound(&topology, &[0], MIB).as_secs_f64() * 1000.0;
        // 0.99·999·S = u·T + 999·u·(T − l), and one path takes S/u + l = 237.8 ms.
        let size_over_rate = MIB as f64 * 8.0 / 50e6 * 1000.0;
        let expected = (0.99 * 999.0 * size_over_rate + 999.0 * 70.0) / 1000.0;
        assert!((ms - expected.max(size_over_rate + 70.0)).abs() < 0.01, "{ms}");
    }

    #[test]
    fn slow_uplinks_bind_where_the_publisher_is_fast() {
        let mut nodes = vec![NodeSpec { up_bps: 10 * MBIT, down_bps: 1000 * MBIT }; 100];
        nodes[0] = NodeSpec::symmetric(1000);
        let latency = Latency::Uniform(Duration::ZERO);
        let topology = Topology { name: String::new(), nodes, latency, dials: Vec::new() };
        let seconds = bound(&topology, &[0], MIB).as_secs_f64();
        let expected = 0.99 * 99.0 * MIB as f64 * 8.0 / (1e9 + 99.0 * 1e7);
        assert!((seconds - expected).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn slow_downlinks_bind_one_node_in_a_hundred_not_at_all() {
        let mut nodes = vec![NodeSpec::symmetric(1000); 201];
        nodes[1].down_bps = MBIT;
        let latency = Latency::Uniform(Duration::from_millis(10));
        let topology = Topology { name: String::new(), nodes, latency, dials: Vec::new() };
        let one = bound(&topology, &[0], MIB);
        assert!(one < Duration::from_millis(30), "{one:?}");
        let mut nodes = topology.nodes.clone();
        nodes[..10].iter_mut().for_each(|node| node.down_bps = MBIT);
        let topology = Topology { nodes, ..topology };
        assert!(bound(&topology, &[0], MIB) > Duration::from_secs(8));
    }

    #[test]
    fn twenty_publishers_need_more_than_one() {
        let spec = TopologySpec::Uniform { nodes: 100, mbps: 50.0, latency_ms: 10.0, dials: 15 };
        let topology = spec.build(1).expect("a network");
        let publishers: Vec<NodeId> = (0..20).collect();
        let [one, twenty] = [&publishers[..1], &publishers[..]].map(|of| bound(&topology, of, MIB));
        assert!(twenty > one * 15, "{one:?} {twenty:?}");
    }
}
