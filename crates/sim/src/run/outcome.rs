//! What came of a run, node by node, and the record of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    bound::bound,
    network::{Conviction, Usage},
    percentile::percentile,
    protocol::{MessageId, NodeId, Received},
    record::RunRecord,
    topology::{MBIT, Topology},
};

/// What came of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOutcome {
    /// Its id.
    pub message: MessageId,
    /// Who published it.
    pub publisher: NodeId,
    /// Its length, not scaled.
    pub bytes: u64,
    /// Since the start of the network.
    pub published_at: Duration,
    /// By node: when it was delivered, since it was published.
    pub delivered: Vec<Option<Duration>>,
}

/// What came of one node, since the end of the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// It was honest, there all the time, and at the end there was a way to it from a publisher
    /// through honest nodes: it must have what was published.
    pub counts: bool,
    /// It was neither a dropper nor hostile.
    pub honest: bool,
    /// What passed through its links.
    pub usage: Usage,
    /// What its protocol counted of payload received.
    pub received: Received,
    /// What its protocol cost on a core, modelled.
    pub cpu: Duration,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// The network.
    pub topology: Arc<Topology>,
    /// What was modelled of the links.
    pub link_model: String,
    /// What replays it.
    pub seed: u64,
    /// By message.
    pub messages: Vec<MessageOutcome>,
    /// By node.
    pub nodes: Vec<NodeOutcome>,
    /// Who convicted whom.
    pub convictions: Vec<Conviction>,
    /// The hash of all that happened.
    pub trace_hash: u64,
    /// In virtual time.
    pub ended_at: Duration,
}

/// What a run is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    /// Which scenario.
    pub scenario: &'a str,
    /// Which protocol.
    pub protocol: &'a str,
    /// Whether it was tuned.
    pub tuned: bool,
}

impl RunOutcome {
    /// Returns when the pairs of a message and a node that counts were served, in no order; `None`
    /// for those that were not. Publishers do not count for their own.
    pub fn times(&self) -> Vec<Option<Duration>> {
        let pairs = self.messages.iter().flat_map(|message| {
            let nodes = self.nodes.iter().zip(&message.delivered).enumerate();
            nodes.filter(|(node, (outcome, _))| {
                outcome.counts && *node != message.publisher as usize
            })
        });
        pairs.map(|(_, (_, delivered))| *delivered).collect()
    }

    /// Returns the nodes that published.
    pub fn publishers(&self) -> BTreeSet<NodeId> {
        self.messages.iter().map(|message| message.publisher).collect()
    }

    /// Returns the bytes of all messages.
    pub fn message_bytes(&self) -> u64 {
        self.messages.iter().map(|message| message.bytes).sum()
    }

    /// Returns what is left behind of the run.
    pub fn record(&self, labels: Labels<'_>) -> RunRecord {
        let publishers = self.publishers();
        let bytes = self.message_bytes().max(1) as f64;
        let per_byte = |count: u64| count as f64 / bytes;
        let mut times: Vec<Duration> =
            self.times().into_iter().map(|time| time.unwrap_or(Duration::MAX)).collect();
        let delivered = times.iter().filter(|&&time| time != Duration::MAX).count();
        let delivered = if times.is_empty() { 1.0 } else { delivered as f64 / times.len() as f64 };
        let mut at = |share| {
            let time = percentile(&mut times, share)?;
            (time != Duration::MAX).then_some(time.as_secs_f64() * 1000.0)
        };
        let mut received = self.relays(|_, node| Some(node.usage.received()));
        let slow = |name: NodeId| self.topology.nodes[name as usize].up_bps == 50 * MBIT;
        let mut upload = self.relays(|name, node| slow(name).then(|| node.usage.sent()));
        let egress: u64 =
            publishers.iter().map(|&name| self.nodes[name as usize].usage.sent()).sum();
        let convicted: BTreeSet<NodeId> = self.convictions.iter().map(|c| c.of).collect();
        let honest = convicted.iter().filter(|&&name| self.nodes[name as usize].honest).count();
        let cpu: f64 = self.nodes.iter().map(|node| node.cpu.as_secs_f64()).sum();
        let shares = (self.nodes.len() * self.messages.len()).max(1) as f64;
        let share = |values: &mut Vec<u64>, share| percentile(values, share).map_or(0.0, per_byte);
        RunRecord {
            scenario: labels.scenario.to_owned(),
            protocol: labels.protocol.to_owned(),
            tuned: labels.tuned,
            link_model: self.link_model.clone(),
            nodes: self.nodes.len() as u32,
            publishers: publishers.len() as u32,
            message_bytes: self.messages.first().map_or(0, |message| message.bytes),
            seed: self.seed,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            delivered,
            bytes_received_median: share(&mut received, 0.5),
            bytes_received_p99: share(&mut received, 0.99),
            publisher_egress: per_byte(egress) / publishers.len().max(1) as f64,
            upload_50mbps_median: share(&mut upload, 0.5),
            upload_50mbps_p99: share(&mut upload, 0.99),
            bound_ms: self.bound().as_secs_f64() * 1000.0,
            cpu_ms: cpu * 1000.0 / shares,
            convicted: convicted.len() as u32,
            honest_convicted: honest as u32,
        }
    }

    /// Returns what no protocol can beat at the 99th percentile. Messages that follow each other
    /// are each bound for themselves, and the longest of them counts.
    pub fn bound(&self) -> Duration {
        let mut starts: Vec<Duration> =
            self.messages.iter().map(|message| message.published_at).collect();
        starts.sort_unstable();
        starts.dedup();
        let of = |start: Duration| {
            let at_once = self.messages.iter().filter(|message| message.published_at == start);
            let publishers: Vec<NodeId> = at_once.clone().map(|m| m.publisher).collect();
            let bytes = at_once.map(|message| message.bytes).min().unwrap_or(0);
            bound(&self.topology, &publishers, bytes)
        };
        starts.into_iter().map(of).max().unwrap_or_default()
    }

    /// Returns what `measure` gives of the honest nodes that published nothing.
    fn relays(&self, measure: impl Fn(NodeId, &NodeOutcome) -> Option<u64>) -> Vec<u64> {
        let publishers = self.publishers();
        let nodes = self.nodes.iter().enumerate().map(|(name, node)| (name as NodeId, node));
        nodes
            .filter(|(name, node)| node.counts && !publishers.contains(name))
            .filter_map(|(name, node)| measure(name, node))
            .collect()
    }
}
