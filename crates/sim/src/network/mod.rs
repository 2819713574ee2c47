//! Nodes and links in virtual time.
//!
//! Everything happens in one total order, drawn from one seed: equal seeds and equal calls give
//! equal runs, which [`Network::trace_hash`] shows.

mod calls;
mod faults;
mod fluid;
mod link;
mod model;
mod node;
mod receive;
mod schedule;
mod send;
mod trace;
mod window;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

use self::{
    calls::Task,
    fluid::Fluid,
    link::Link,
    node::Node,
    receive::Flight,
    schedule::{Due, LinkId, Nanos, Schedule},
    trace::TraceHash,
};
use crate::{
    protocol::{MessageId, NodeId, Protocol},
    topology::Topology,
};

pub use faults::Action;
pub use model::{LinkModel, Loss, SEGMENT_BYTES, Sharing, SlowStart};
pub use node::Usage;

/// Makes the protocol of a node: its name, how often it started before, when.
pub type MakeNode<P> = Box<dyn FnMut(NodeId, u32, Instant) -> P>;

/// A verified message at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Since the start of the network.
    pub at: Duration,
    /// Where.
    pub node: NodeId,
    /// What.
    pub message: MessageId,
}

/// A node that broke a rule, in the eyes of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conviction {
    /// Since the start of the network.
    pub at: Duration,
    /// Who says so.
    pub by: NodeId,
    /// Of whom.
    pub of: NodeId,
}

/// A network of nodes that speak one protocol.
pub struct Network<P: Protocol> {
    topology: Arc<Topology>,
    model: LinkModel,
    make: MakeNode<P>,
    rng: ChaCha12Rng,
    begin: Instant,
    now: Nanos,
    schedule: Schedule,
    nodes: Vec<Node<P>>,
    links: Vec<Link<P::Frame>>,
    flights: Vec<Option<Flight<P::Frame>>>,
    free_flights: Vec<u32>,
    agenda: VecDeque<Task>,
    /// Nodes to be asked when they want to be called next.
    called: Vec<NodeId>,
    /// Used where links are shared fairly.
    fluid: Fluid<P::Frame>,
    actions: Vec<Option<Action>>,
    /// While the network is split: on which side each node is.
    sides: Option<Vec<bool>>,
    /// Pairs that do not connect any more, the one that says so first.
    banned: BTreeSet<(NodeId, NodeId)>,
    deliveries: Vec<Delivery>,
    convictions: Vec<Conviction>,
    trace: TraceHash,
}

impl<P: Protocol> Network<P> {
    /// Makes a network in which no node is there yet; see [`Network::start_all`].
    pub fn new(topology: Arc<Topology>, model: LinkModel, seed: u64, make: MakeNode<P>) -> Self {
        let nodes = topology.nodes.iter().map(|node| Node::new(node.up_bps, node.down_bps));
        Self {
            nodes: nodes.collect(),
            links: Vec::new(),
            model,
            make,
            rng: ChaCha12Rng::seed_from_u64(seed),
            begin: some_instant(),
            now: 0,
            schedule: Schedule::default(),
            flights: Vec::new(),
            free_flights: Vec::new(),
            agenda: VecDeque::new(),
            called: Vec::new(),
            fluid: Fluid::default(),
            actions: Vec::new(),
            sides: None,
            banned: BTreeSet::new(),
            deliveries: Vec::new(),
            convictions: Vec::new(),
            trace: TraceHash::new(),
            topology,
        }
    }

    /// Returns the virtual time since the start.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// Returns the virtual time as the nodes are told it.
    pub fn instant(&self) -> Instant {
        self.begin + self.now()
    }

    /// Returns what the network was made of.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Returns what is modelled of the links.
    pub fn model(&self) -> &LinkModel {
        &self.model
    }

    /// Does the next thing that is to happen; returns false when there is none.
    pub fn step(&mut self) -> bool {
        let Some((at, due)) = self.schedule.pop() else { return false };
        self.now = self.now.max(at);
        self.happen(due);
        self.work_off();
        true
    }

    /// Runs until nothing is to happen up to `end`, which is what time it is then.
    pub fn run_until(&mut self, end: Duration) {
        let end = nanos(end);
        while self.schedule.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Returns when the next thing happens.
    pub fn next_at(&self) -> Option<Duration> {
        self.schedule.next_at().map(Duration::from_nanos)
    }

    /// Returns all deliveries so far, in order.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Returns who convicted whom.
    pub fn convictions(&self) -> &[Conviction] {
        &self.convictions
    }

    /// Returns the protocol of a node, if the node is there.
    pub fn protocol(&self, node: NodeId) -> Option<&P> {
        self.nodes[node as usize].protocol.as_ref()
    }

    /// Returns how often a node has started.
    pub fn starts(&self, node: NodeId) -> u32 {
        self.nodes[node as usize].starts
    }

    /// Returns what passed through a node's links.
    pub fn usage(&self, node: NodeId) -> Usage {
        self.nodes[node as usize].usage
    }

    /// Returns the connections that are open, each once.
    pub fn connections(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let open = self.links.iter().filter(|link| link.up && link.from < link.to);
        open.map(|link| (link.from, link.to))
    }

    /// Returns the hash of all frames and deliveries so far, without what is in them.
    pub fn trace_hash(&self) -> u64 {
        self.trace.value()
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Timer { node, incarnation } => self.on_timer(node, incarnation),
            Due::Sent { node, incarnation } => self.on_sent(node, incarnation),
            Due::Room { link, epoch } => self.on_room(link, epoch),
            Due::Arrives { flight } => self.on_arrival(flight),
            Due::Delivered { flight } => self.on_whole(flight),
            Due::Flow { version } => self.on_flow_end(version),
            Due::Work { node, incarnation, id } => self.on_work(node, incarnation, id),
            Due::Action { index } => {
                if let Some(action) = self.actions[index as usize].take() {
                    self.act(action);
                }
            }
        }
    }

    fn link(&mut self, link: LinkId) -> &mut Link<P::Frame> {
        &mut self.links[link as usize]
    }
}

/// Some instant to begin with; only differences matter.
#[expect(clippy::disallowed_methods, reason = "virtual time needs some instant to begin with")]
fn some_instant() -> Instant {
    Instant::now()
}

fn nanos(duration: Duration) -> Nanos {
    duration.as_nanos() as Nanos
}
