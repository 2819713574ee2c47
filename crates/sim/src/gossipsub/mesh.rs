//! Who is in the mesh, by what rust-libp2p's heartbeat does when scoring is off.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rand::seq::{IteratorRandom as _, SliceRandom as _};
use rand_chacha::rand_core::Rng;

use super::Config;
use crate::protocol::NodeId;

/// A peer that may be in the mesh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: NodeId,
    /// This node dialled it.
    pub(super) outbound: bool,
}

/// Peers to tell of a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) graft: Vec<NodeId>,
    pub(super) prune: Vec<NodeId>,
}

/// The mesh of the one topic, and whom it must leave alone.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    peers: BTreeSet<NodeId>,
    backoffs: BTreeMap<NodeId, Instant>,
}

impl Mesh {
    /// The peers in it, in order.
    pub(super) fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().copied()
    }

    pub(super) fn contains(&self, peer: NodeId) -> bool {
        self.peers.contains(&peer)
    }

    /// The connection is gone; a backoff stays.
    pub(super) fn disconnected(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    /// A peer subscribed; returns whether to graft it at once, since the mesh is short of peers.
    pub(super) fn subscribed(&mut self, now: Instant, peer: NodeId, config: &Config) -> bool {
        self.peers.len() < config.mesh_low
            && !self.backs_off(now, peer, config)
            && self.peers.insert(peer)
    }

    /// A peer grafts; returns whether it is taken, else it is to be pruned.
    pub(super) fn grafted(&mut self, now: Instant, from: Candidate, config: &Config) -> bool {
        if self.peers.contains(&from.id) {
            return true;
        }
        if self.backoffs.get(&from.id).is_some_and(|until| *until > now)
            || (self.peers.len() >= config.mesh_high && !from.outbound)
        {
            self.back_off(now, from.id, config.prune_backoff);
            return false;
        }
        self.peers.insert(from.id)
    }

    /// A peer prunes.
    pub(super) fn pruned(&mut self, now: Instant, peer: NodeId, config: &Config) {
        self.peers.remove(&peer);
        self.back_off(now, peer, config.prune_backoff);
    }

    /// What a heartbeat changes. `candidates` are all peers in the topic.
    pub(super) fn heartbeat(
        &mut self,
        now: Instant,
        candidates: &[Candidate],
        config: &Config,
        rng: &mut impl Rng,
    ) -> Changes {
        self.backoffs.retain(|_, until| *until + config.heartbeat > now);
        let mut changes = Changes::default();
        if self.peers.len() < config.mesh_low {
            let missing = config.mesh - self.peers.len();
            self.graft(now, candidates, missing, config, rng, &mut changes);
        }
        if self.peers.len() >= config.mesh_high {
            self.prune_excess(now, candidates, config, rng, &mut changes);
        }
        if self.peers.len() >= config.mesh_low {
            let missing = config.mesh_outbound_min.saturating_sub(self.outbound(candidates));
            if missing > 0 {
                let outbound: Vec<_> = candidates.iter().filter(|c| c.outbound).copied().collect();
                self.graft(now, &outbound, missing, config, rng, &mut changes);
            }
        }
        changes
    }

    fn graft(
        &mut self,
        now: Instant,
        candidates: &[Candidate],
        missing: usize,
        config: &Config,
        rng: &mut impl Rng,
        changes: &mut Changes,
    ) {
        let free = candidates
            .iter()
            .map(|candidate| candidate.id)
            .filter(|peer| !self.peers.contains(peer) && !self.backs_off(now, *peer, config));
        let new = free.sample(rng, missing);
        self.peers.extend(&new);
        changes.graft.extend(new);
    }

    fn prune_excess(
        &mut self,
        now: Instant,
        candidates: &[Candidate],
        config: &Config,
        rng: &mut impl Rng,
        changes: &mut Changes,
    ) {
        let mut excess = self.peers.len() - config.mesh;
        let mut outbound = self.outbound(candidates);
        let mut order: Vec<_> =
            candidates.iter().filter(|c| self.peers.contains(&c.id)).copied().collect();
        order.shuffle(rng);
        for candidate in order {
            if excess == 0 {
                break;
            }
            if candidate.outbound {
                if outbound <= config.mesh_outbound_min {
                    continue;
                }
                outbound -= 1;
            }
            self.peers.remove(&candidate.id);
            self.back_off(now, candidate.id, config.prune_backoff);
            changes.prune.push(candidate.id);
            excess -= 1;
        }
    }

    fn outbound(&self, candidates: &[Candidate]) -> usize {
        candidates.iter().filter(|c| c.outbound && self.peers.contains(&c.id)).count()
    }

    /// Also for a heartbeat longer than was agreed, since the other side's clock began later.
    fn backs_off(&self, now: Instant, peer: NodeId, config: &Config) -> bool {
        self.backoffs.get(&peer).is_some_and(|until| *until + config.heartbeat > now)
    }

    fn back_off(&mut self, now: Instant, peer: NodeId, time: Duration) {
        let until = self.backoffs.entry(peer).or_insert(now);
        *until = (*until).max(now + time);
    }
}
