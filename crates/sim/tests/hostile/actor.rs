//! A node that may do mischief: it runs the real state machine, and changes what leaves.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::{Stats, wire::DataFrame};
use sim::{
    coded::{Coded, CodedFrame},
    protocol::{Direction, Event, Lane, NodeId, Outgoing, Protocol, Received},
};

use crate::rogue::{Mischief, Rogue};

/// Frames with a fragment that is certainly false, of all nodes: honest ones are to find them out.
pub(crate) type FalseFragments = Rc<RefCell<BTreeSet<Bytes>>>;

/// An honest node, or one with some mischief.
pub(crate) struct Actor {
    node: Coded,
    rogue: Option<Rogue>,
    false_fragments: FalseFragments,
    /// A false fragment that was taken for a true one, and who sent it.
    deceived_by: Option<NodeId>,
    /// Data frames sent to each peer since it is connected.
    frames: BTreeMap<NodeId, u32>,
    frames_to_one: u32,
}

impl Actor {
    pub(crate) fn new(node: Coded, rogue: Option<Rogue>, false_fragments: FalseFragments) -> Self {
        Self {
            node,
            rogue,
            false_fragments,
            deceived_by: None,
            frames: BTreeMap::new(),
            frames_to_one: 0,
        }
    }

    pub(crate) fn node(&self) -> &Coded {
        &self.node
    }

    /// Returns who sent a false fragment and was believed.
    pub(crate) fn deceived_by(&self) -> Option<NodeId> {
        self.deceived_by
    }

    /// Returns how many data frames it has sent over one connection at most.
    pub(crate) fn frames_to_one(&self) -> u32 {
        self.frames_to_one
    }
}

/// Returns how many shards and fragments were not looked at.
fn passed_over(stats: &Stats) -> u64 {
    stats.shards_duplicate
        + stats.shards_unnecessary
        + stats.shards_refused
        + stats.shards_without_header
        + stats.headers_refused
}

/// Returns whether a fragment in `after` is another than in `before`.
fn is_false_fragment(before: &Bytes, after: &Bytes) -> bool {
    let fragment = |bytes: &Bytes| DataFrame::decode(bytes.clone()).ok()?.fragment;
    match (fragment(before), fragment(after)) {
        (Some(before), Some(after)) => {
            (before.generation, before.index, &before.bytes)
                != (after.generation, after.index, &after.bytes)
        }
        (None, _) | (_, None) => false,
    }
}

impl Protocol for Actor {
    type Frame = CodedFrame;

    fn on_connected(&mut self, now: Instant, peer: NodeId, direction: Direction) {
        self.frames.remove(&peer);
        self.node.on_connected(now, peer, direction);
    }

    fn on_disconnected(&mut self, now: Instant, peer: NodeId) {
        self.node.on_disconnected(now, peer);
    }

    fn on_frame(&mut self, now: Instant, peer: NodeId, lane: Lane, frame: CodedFrame) {
        if let Some(rogue) = &mut self.rogue {
            rogue.hear(lane, &frame.bytes);
        }
        let is_false = lane == Lane::Data && self.false_fragments.borrow().contains(&frame.bytes);
        let before = (passed_over(self.node.stats()), self.node.stats().peers_disconnected);
        self.node.on_frame(now, peer, lane, frame);
        let after = (passed_over(self.node.stats()), self.node.stats().peers_disconnected);
        let is_connected = self.node.view().peers().any(|view| view.peer == peer);
        if is_false && is_connected && before == after {
            self.deceived_by = Some(peer);
        }
    }

    fn publish(&mut self, now: Instant, payload: Bytes) {
        self.node.publish(now, payload);
    }

    fn on_work_done(&mut self, now: Instant, id: u64) {
        self.node.on_work_done(now, id);
    }

    fn next_frame(
        &mut self,
        now: Instant,
        peer: NodeId,
        lane: Lane,
    ) -> Option<Outgoing<CodedFrame>> {
        let drops = self.rogue.as_ref().is_some_and(|rogue| rogue.mischief == Mischief::Drops);
        if drops && lane == Lane::Data {
            return None;
        }
        let mut outgoing = self.node.next_frame(now, peer, lane)?;
        if lane == Lane::Data {
            let frames = self.frames.entry(peer).or_default();
            *frames += 1;
            self.frames_to_one = self.frames_to_one.max(*frames);
        }
        let before = outgoing.frame.bytes.clone();
        if let Some(bytes) = self.rogue.as_mut().and_then(|rogue| rogue.spoil(lane, &before)) {
            if lane == Lane::Data && is_false_fragment(&before, &bytes) {
                self.false_fragments.borrow_mut().insert(bytes.clone());
            }
            outgoing.bytes = bytes.len() as u32;
            outgoing.frame = CodedFrame::new(bytes);
        }
        Some(outgoing)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.node.poll_event()
    }

    fn received(&self) -> Received {
        self.node.received()
    }

    fn cpu(&self) -> Duration {
        self.node.cpu()
    }
}
