//! What is asked of all flows together, kept as they change: no call walks through all of them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::flow::{Flow, Turn};
use crate::PeerName;

/// What is asked of all flows together.
#[derive(Debug)]
pub(super) struct Index<P> {
    /// When a peer with something on the way counts as stalled.
    stalls: BTreeSet<(Instant, P)>,
    /// For whom room is kept, and since when.
    offers: BTreeSet<(Instant, P)>,
    /// Who has something on the way or is in line for room.
    active: BTreeSet<P>,
    in_flight: u64,
    /// Who is within `near_rtt`.
    near: BTreeSet<P>,
    /// How often somebody came to be, or ceased to be.
    near_changes: u64,
    near_rtt: Duration,
}

/// What of a flow is in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexed {
    stall_at: Option<Instant>,
    offered_at: Option<Instant>,
    is_active: bool,
    in_flight: u64,
    is_near: bool,
}

impl Indexed {
    fn of(flow: &Flow, near_rtt: Duration) -> Self {
        let offered_at = match flow.turn {
            Turn::Offered(since) => Some(since),
            Turn::None | Turn::Waiting => None,
        };
        let in_flight = flow.in_flight();
        let is_active = in_flight > 0 || flow.turn != Turn::None;
        let is_near = flow.smallest_round_trip().is_some_and(|rtt| rtt <= near_rtt);
        Self { stall_at: flow.stall_at(), offered_at, is_active, in_flight, is_near }
    }
}

impl<P: PeerName> Index<P> {
    pub(super) fn new(near_rtt: Duration) -> Self {
        Self {
            stalls: BTreeSet::new(),
            offers: BTreeSet::new(),
            active: BTreeSet::new(),
            in_flight: 0,
            near: BTreeSet::new(),
            near_changes: 0,
            near_rtt,
        }
    }

    /// The peer's flow has changed.
    pub(super) fn update(&mut self, peer: P, flow: &mut Flow) {
        let after = Indexed::of(flow, self.near_rtt);
        let before = std::mem::replace(&mut flow.indexed, after);
        self.replace(peer, before, after);
    }

    /// The peer's flow is gone.
    pub(super) fn remove(&mut self, peer: P, flow: &Flow) {
        self.replace(peer, flow.indexed, Indexed::default());
    }

    fn replace(&mut self, peer: P, before: Indexed, after: Indexed) {
        move_to(&mut self.stalls, peer, before.stall_at, after.stall_at);
        move_to(&mut self.offers, peer, before.offered_at, after.offered_at);
        join(&mut self.active, peer, before.is_active, after.is_active);
        join(&mut self.near, peer, before.is_near, after.is_near);
        self.near_changes += u64::from(after.is_near != before.is_near);
        self.in_flight = self.in_flight + after.in_flight - before.in_flight;
    }

    /// Returns who counts as stalled first, and when.
    pub(super) fn next_stall(&self) -> Option<(Instant, P)> {
        self.stalls.first().copied()
    }

    /// Returns for whom room has been kept longest, and since when.
    pub(super) fn oldest_offer(&self) -> Option<(Instant, P)> {
        self.offers.first().copied()
    }

    /// Returns for how many room is kept.
    pub(super) fn offers(&self) -> usize {
        self.offers.len()
    }

    /// Returns who has something on the way or is in line for room.
    pub(super) fn active(&self) -> impl Iterator<Item = &P> {
        self.active.iter()
    }

    /// Returns whether a peer is near.
    pub(super) fn is_near(&self, peer: &P) -> bool {
        self.near.contains(peer)
    }

    /// Returns how often somebody came to be near or ceased to be.
    pub(super) fn near_changes(&self) -> u64 {
        self.near_changes
    }

    /// Returns whether nothing is on the way to anybody.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }
}

fn join<P: PeerName>(members: &mut BTreeSet<P>, peer: P, before: bool, after: bool) {
    if before && !after {
        members.remove(&peer);
    } else if after && !before {
        members.insert(peer);
    }
}

fn move_to<P: PeerName>(
    times: &mut BTreeSet<(Instant, P)>,
    peer: P,
    before: Option<Instant>,
    after: Option<Instant>,
) {
    if before == after {
        return;
    }
    if let Some(before) = before {
        times.remove(&(before, peer));
    }
    if let Some(after) = after {
        times.insert((after, peer));
    }
}
