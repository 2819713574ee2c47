//! One run: the network comes up, messages are published, until all who can have them have them.

mod outcome;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::{Rng, RngExt, seq::IndexedRandom};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

use crate::{
    network::{Action, LinkModel, MakeNode, Network, Usage},
    protocol::{MessageId, NodeId, Protocol, Received},
    topology::{Topology, reachable},
};

pub use outcome::{Labels, MessageOutcome, NodeOutcome, RunOutcome};

/// Between two looks at whether a run is over.
const LOOK: Duration = Duration::from_millis(20);

/// A message of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedMessage {
    /// After the warm-up.
    pub at: Duration,
    /// Who publishes it.
    pub publisher: NodeId,
    /// Its length in bytes, not scaled.
    pub bytes: u64,
}

/// What is to be run, whatever the protocol.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The network.
    pub topology: Arc<Topology>,
    /// What is modelled of its links.
    pub model: LinkModel,
    /// Seeds everything but the topology.
    pub seed: u64,
    /// One payload byte stands for so many; what the protocols are made with.
    pub scale: u32,
    /// In which all nodes start, at random moments: as long as a heartbeat.
    pub start_spread: Duration,
    /// From the start of the network to the first message: meshes form.
    pub warm_up: Duration,
    /// The messages, in any order.
    pub messages: Vec<PlannedMessage>,
    /// What happens beside, after the warm-up.
    pub faults: Vec<(Duration, Action)>,
    /// Nodes that receive and never send data.
    pub droppers: Vec<NodeId>,
    /// Nodes that are not honest in some other way; the protocols know in which.
    pub hostile: Vec<NodeId>,
    /// After the warm-up and this time the run is over, whoever lacks what.
    pub limit: Duration,
    /// After the last delivery, for what is still on the way and counts.
    pub settle: Duration,
}

impl Setup {
    /// One message of `bytes` from each of `publishers` at once, no faults.
    pub fn new(topology: Arc<Topology>, seed: u64, publishers: &[NodeId], bytes: u64) -> Self {
        let message = |&publisher| PlannedMessage { at: Duration::ZERO, publisher, bytes };
        Self {
            topology,
            model: LinkModel::default(),
            seed,
            scale: 1,
            start_spread: Duration::from_millis(700),
            warm_up: Duration::from_secs(5),
            messages: publishers.iter().map(message).collect(),
            faults: Vec::new(),
            droppers: Vec::new(),
            hostile: Vec::new(),
            limit: Duration::from_secs(120),
            settle: Duration::from_secs(2),
        }
    }

    /// Makes droppers of a `share` of the nodes that do not publish.
    pub fn drop_share(&mut self, share: f64) {
        let count = (self.topology.len() as f64 * share).round() as usize;
        let publishes =
            |node: &NodeId| self.messages.iter().any(|message| message.publisher == *node);
        let nodes = (0..self.topology.len() as NodeId).filter(|node| !publishes(node));
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed ^ 0x64_726F_7065_7273);
        let mut droppers: Vec<NodeId> =
            nodes.collect::<Vec<_>>().sample(&mut rng, count).copied().collect();
        droppers.sort_unstable();
        self.droppers = droppers;
    }

    /// Has a `share` of the nodes that do not publish leave at random moments of the first `within`
    /// after the warm-up, and come back `away` later.
    pub fn churn(&mut self, share: f64, within: Duration, away: Duration) {
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed ^ 0x63_6875_726E);
        for node in 0..self.topology.len() as NodeId {
            let publishes = self.messages.iter().any(|message| message.publisher == node);
            if !publishes && rng.random_bool(share) {
                let at = within.mul_f64(rng.random());
                self.faults.push((at, Action::Crash(node)));
                self.faults.push((at + away, Action::Start(node)));
            }
        }
    }

    /// Splits the network into two random halves from `from` to `to` after the warm-up.
    pub fn split(&mut self, from: Duration, to: Duration) {
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed ^ 0x73_706C_6974);
        let sides = (0..self.topology.len()).map(|_| rng.random_bool(0.5)).collect();
        self.faults.push((from, Action::Split(sides)));
        self.faults.push((to, Action::Heal));
    }

    fn is_honest(&self, node: NodeId) -> bool {
        !self.droppers.contains(&node) && !self.hostile.contains(&node)
    }
}

/// Returns `count` different random nodes whose uplink has `up_bps`, or of all nodes if there are
/// not so many.
pub fn pick_publishers(topology: &Topology, count: usize, up_bps: u64, seed: u64) -> Vec<NodeId> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed ^ 0x7075_626C_6973_6865);
    let mut nodes = topology.nodes_at(up_bps);
    if nodes.len() < count {
        nodes = (0..topology.len() as NodeId).collect();
    }
    nodes.sample(&mut rng, count).copied().collect()
}

/// Runs `setup` with the protocol that `make` makes.
pub fn run<P: Protocol>(setup: &Setup, make: MakeNode<P>) -> RunOutcome {
    let network = Network::new(Arc::clone(&setup.topology), setup.model.clone(), setup.seed, make);
    Run::new(setup, network).finish()
}

struct Run<'a, P: Protocol> {
    setup: &'a Setup,
    network: Network<P>,
    messages: Vec<MessageOutcome>,
    /// How often each node had started at the end of the warm-up.
    starts: Vec<u32>,
    /// What had passed until then, and what it had cost.
    before: Vec<(Usage, Received, Duration)>,
    /// Deliveries looked at.
    seen: usize,
}

impl<'a, P: Protocol> Run<'a, P> {
    fn new(setup: &'a Setup, mut network: Network<P>) -> Self {
        network.start_all(setup.start_spread);
        for &node in &setup.droppers {
            network.at(Duration::ZERO, Action::Drop(node));
        }
        network.run_until(setup.warm_up);
        let nodes = setup.topology.len();
        let mut new = Self {
            setup,
            messages: Vec::new(),
            starts: (0..nodes as NodeId).map(|node| network.starts(node)).collect(),
            before: (0..nodes as NodeId).map(|node| measure(&network, node)).collect(),
            seen: network.deliveries().len(),
            network,
        };
        new.plan();
        new
    }

    fn plan(&mut self) {
        let mut rng = ChaCha12Rng::seed_from_u64(self.setup.seed ^ 0x0070_6179_6C6F_6164);
        for planned in &self.setup.messages {
            let length = (planned.bytes / u64::from(self.setup.scale)).max(1) as usize;
            let payload = random_payload(length, &mut rng);
            let message = gossip::message_id(&payload);
            let at = self.setup.warm_up + planned.at;
            self.network.at(at, Action::Publish(planned.publisher, payload));
            let delivered = vec![None; self.setup.topology.len()];
            self.messages.push(MessageOutcome {
                message,
                publisher: planned.publisher,
                bytes: planned.bytes,
                published_at: at,
                delivered,
            });
        }
        for (at, action) in &self.setup.faults {
            self.network.at(self.setup.warm_up + *at, action.clone());
        }
    }

    fn finish(mut self) -> RunOutcome {
        let end = self.setup.warm_up + self.setup.limit;
        while self.network.now() < end && !self.is_over() {
            let next = (self.network.now() + LOOK).min(end);
            self.network.run_until(next);
            self.look();
        }
        let settled = self.network.now() + self.setup.settle;
        self.network.run_until(settled);
        self.look();
        self.outcome()
    }

    /// Notes new deliveries.
    fn look(&mut self) {
        for delivery in &self.network.deliveries()[self.seen..] {
            let message =
                self.messages.iter_mut().find(|message| message.message == delivery.message);
            if let Some(message) = message {
                let first = &mut message.delivered[delivery.node as usize];
                *first = first.or(Some(delivery.at.saturating_sub(message.published_at)));
            }
        }
        self.seen = self.network.deliveries().len();
    }

    /// Everything planned has happened, and who is there and honest has all.
    fn is_over(&self) -> bool {
        let last = self.messages.iter().map(|message| message.published_at).max();
        last.is_none_or(|last| self.network.now() >= last)
            && self.messages.iter().all(|message| {
                (0..self.setup.topology.len()).all(|node| {
                    message.delivered[node].is_some()
                        || !self.stayed(node as NodeId)
                        || !self.setup.is_honest(node as NodeId)
                })
            })
    }

    /// The node was there all the time.
    fn stayed(&self, node: NodeId) -> bool {
        self.network.protocol(node).is_some()
            && self.network.starts(node) == self.starts[node as usize]
    }

    fn outcome(self) -> RunOutcome {
        let nodes = self.setup.topology.len();
        let connections: Vec<(NodeId, NodeId)> = self.network.connections().collect();
        let honest: Vec<bool> = (0..nodes as NodeId)
            .map(|node| self.setup.is_honest(node) && self.network.protocol(node).is_some())
            .collect();
        let mut counts = vec![false; nodes];
        for message in &self.messages {
            let reached = reachable(message.publisher, &connections, &honest);
            for node in 0..nodes {
                counts[node] |= reached[node] && self.stayed(node as NodeId);
            }
        }
        let nodes = (0..nodes as NodeId)
            .map(|node| {
                let (usage, received, cpu) = measure(&self.network, node);
                let (usage_before, received_before, cpu_before) = self.before[node as usize];
                let stayed = self.stayed(node);
                let before = if stayed { received_before } else { Received::default() };
                let cpu_before = if stayed { cpu_before } else { Duration::ZERO };
                NodeOutcome {
                    counts: counts[node as usize],
                    honest: self.setup.is_honest(node),
                    usage: usage.since(&usage_before),
                    received: since(&received, &before),
                    cpu: cpu.saturating_sub(cpu_before),
                }
            })
            .collect();
        RunOutcome {
            topology: Arc::clone(&self.setup.topology),
            link_model: self.setup.model.describe(),
            seed: self.setup.seed,
            messages: self.messages,
            nodes,
            convictions: self.network.convictions().to_vec(),
            trace_hash: self.network.trace_hash(),
            ended_at: self.network.now(),
        }
    }
}

fn measure<P: Protocol>(network: &Network<P>, node: NodeId) -> (Usage, Received, Duration) {
    let protocol = network.protocol(node);
    let received = protocol.map_or_else(Received::default, Protocol::received);
    (network.usage(node), received, protocol.map_or(Duration::ZERO, Protocol::cpu))
}

fn since(now: &Received, before: &Received) -> Received {
    Received {
        useful: now.useful - before.useful,
        duplicate: now.duplicate - before.duplicate,
        dependent: now.dependent - before.dependent,
        late: now.late.saturating_sub(before.late),
        header: now.header - before.header,
        coefficients: now.coefficients - before.coefficients,
    }
}

fn random_payload(length: usize, rng: &mut impl Rng) -> Bytes {
    let mut payload = vec![0; length];
    rng.fill_bytes(&mut payload);
    payload.into()
}

/// Returns the ids of the messages that a run publishes, in the order of its plan.
pub fn message_ids(outcome: &RunOutcome) -> Vec<MessageId> {
    outcome.messages.iter().map(|message| message.message).collect()
}
