//! What happens to nodes and connections from outside: they start, stop, come back, are split.

use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;

use super::{
    Network,
    link::Link,
    nanos,
    schedule::{Due, LinkId, Nanos},
};
use crate::protocol::{Direction, Lane, NodeId, Protocol};

/// Something that is done to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A node starts, with nothing but its name, and connects with those of its dials that are
    /// there.
    Start(NodeId),
    /// A node is gone from one moment to the next; its peers see their connections close.
    Crash(NodeId),
    /// A node publishes; `payload` has the message's bytes divided by the scale.
    Publish(NodeId, Bytes),
    /// Two nodes lose their connection.
    Cut(NodeId, NodeId),
    /// The same two connect, if both are there.
    Connect(NodeId, NodeId),
    /// Connections between nodes of different sides close, and none opens.
    Split(Vec<bool>),
    /// The split is over: everyone dials again.
    Heal,
    /// From here on the node receives and never sends data.
    Drop(NodeId),
}

impl<P: Protocol> Network<P> {
    /// Has all nodes start, each at some moment of the first `spread`, so that their heartbeats are
    /// not in step.
    pub fn start_all(&mut self, spread: Duration) {
        for node in 0..self.nodes.len() as NodeId {
            let at = self.now() + spread.mul_f64(self.rng.random());
            self.at(at, Action::Start(node));
        }
    }

    /// Has something happen at `at`, or now if that is past.
    pub fn at(&mut self, at: Duration, action: Action) {
        let index = self.actions.len() as u32;
        self.actions.push(Some(action));
        self.schedule.push(nanos(at).max(self.now), Due::Action { index });
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Start(node) => self.start(node),
            Action::Crash(node) => self.crash(node),
            Action::Publish(node, payload) => {
                self.call(node, |protocol, now| protocol.publish(now, payload));
            }
            Action::Cut(a, b) => self.disconnect(a, b),
            Action::Connect(a, b) => self.connect(a, b),
            Action::Split(sides) => self.split(sides),
            Action::Heal => self.heal(),
            Action::Drop(node) => self.drop_data(node),
        }
    }

    fn drop_data(&mut self, node: NodeId) {
        self.nodes[node as usize].drops = true;
        for link in self.nodes[node as usize].links.values().copied().collect::<Vec<_>>() {
            self.link(link).set_ready(Lane::Data, false);
        }
    }

    fn start(&mut self, node: NodeId) {
        if self.nodes[node as usize].protocol.is_some() {
            return;
        }
        let now = self.instant();
        let place = &mut self.nodes[node as usize];
        let protocol = (self.make)(node, place.starts, now);
        place.starts += 1;
        place.incarnation += 1;
        place.protocol = Some(protocol);
        place.down_free_at = self.now;
        place.core_free_at = self.now;
        place.timer_at = Nanos::MAX;
        self.call(node, |_, _| ());
        let topology = std::sync::Arc::clone(&self.topology);
        for &(a, b) in topology.dials.iter().filter(|&&(a, b)| a == node || b == node) {
            self.connect(a, b);
        }
    }

    fn crash(&mut self, node: NodeId) {
        let peers: Vec<NodeId> = self.nodes[node as usize].links.keys().copied().collect();
        self.nodes[node as usize].protocol = None;
        // What was scheduled for this life is void.
        self.nodes[node as usize].incarnation += 1;
        for peer in peers {
            self.disconnect(node, peer);
        }
        let place = &mut self.nodes[node as usize];
        place.turns.clear();
        place.sending = None;
        for link in place.links.values().copied().collect::<Vec<_>>() {
            self.link(link).in_turn = false;
        }
    }

    /// `a` dials `b`, unless they are connected, one is not there, or something is between them.
    fn connect(&mut self, a: NodeId, b: NodeId) {
        let there = |node: NodeId| self.nodes[node as usize].protocol.is_some();
        let apart = self.sides.as_ref().is_some_and(|sides| sides[a as usize] != sides[b as usize]);
        let banned = self.banned.contains(&(a, b)) || self.banned.contains(&(b, a));
        if a == b || !there(a) || !there(b) || apart || banned {
            return;
        }
        let (there, back) = self.links_between(a, b);
        if self.link(there).up {
            return;
        }
        let now = self.now;
        for link in [there, back] {
            self.links[link as usize].open(now, &self.model);
        }
        self.call(a, |protocol, now| protocol.on_connected(now, b, Direction::Outbound));
        self.call(b, |protocol, now| protocol.on_connected(now, a, Direction::Inbound));
    }

    fn disconnect(&mut self, a: NodeId, b: NodeId) {
        let Some(&there) = self.nodes[a as usize].links.get(&b) else { return };
        if !self.link(there).up {
            return;
        }
        let back = self.link(there).reverse;
        for link in [there, back] {
            self.link(link).close();
            self.stop_flows(link);
        }
        self.call(a, |protocol, now| protocol.on_disconnected(now, b));
        self.call(b, |protocol, now| protocol.on_disconnected(now, a));
    }

    pub(super) fn ban(&mut self, by: NodeId, of: NodeId) {
        self.banned.insert((by, of));
        self.disconnect(by, of);
    }

    fn split(&mut self, sides: Vec<bool>) {
        let apart: Vec<(NodeId, NodeId)> =
            self.connections().filter(|&(a, b)| sides[a as usize] != sides[b as usize]).collect();
        self.sides = Some(sides);
        for (a, b) in apart {
            self.disconnect(a, b);
        }
    }

    fn heal(&mut self) {
        self.sides = None;
        let topology = std::sync::Arc::clone(&self.topology);
        for &(a, b) in &topology.dials {
            self.connect(a, b);
        }
    }

    /// Returns both directions between two nodes, made if they never had a connection.
    fn links_between(&mut self, a: NodeId, b: NodeId) -> (LinkId, LinkId) {
        if let Some(&there) = self.nodes[a as usize].links.get(&b) {
            return (there, self.link(there).reverse);
        }
        let there = self.links.len() as LinkId;
        let back = there + 1;
        for (from, to, reverse) in [(a, b, back), (b, a, there)] {
            let latencies = [(from, to), (to, from)]
                .map(|(from, to)| nanos(self.topology.latency.between(from, to)));
            let mut link = Link::new(from, to, latencies, &self.model);
            link.reverse = reverse;
            let id = self.links.len() as LinkId;
            self.links.push(link);
            self.nodes[from as usize].links.insert(to, id);
        }
        (there, back)
    }
}
