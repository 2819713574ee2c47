//! With whom the fragments of a topic are exchanged. Pure decisions; the heartbeat applies them.
//! Profile `adaptive`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rand::seq::IteratorRandom;
use rand_chacha::rand_core::Rng;

use crate::{AdaptiveConfig, PeerName};

/// Who has fewer data peers that are not fed themselves has all of them feed it.
const FEEDERS_FEW: usize = 8;

/// The part of a message's fragments that one of those who feed a node sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    /// The same as `parts`: nothing, others do.
    pub(crate) part: u8,
    /// Among how many the message is shared out; never 0.
    pub(crate) parts: u8,
}

impl Feed {
    /// Returns whether a fragment, counted through the whole message, is of the part.
    pub(crate) fn has(self, place: u32) -> bool {
        place % u32::from(self.parts) == u32::from(self.part)
    }
}

/// One peer with whom fragments are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataPeer {
    /// What we are to send it unasked.
    pub(crate) feeds: Option<Feed>,
    /// It is fed itself.
    pub(crate) is_fed: bool,
    /// What it was told: what to send us unasked, or that others do.
    pub(crate) told: Option<Feed>,
}

/// All of them for a topic.
#[derive(Debug)]
pub(crate) struct DataPeers<P> {
    pub(crate) peers: BTreeMap<P, DataPeer>,
    /// Peers that are not to be taken before the time given.
    backoff: BTreeMap<P, Instant>,
}

impl<P> Default for DataPeers<P> {
    fn default() -> Self {
        Self { peers: BTreeMap::new(), backoff: BTreeMap::new() }
    }
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataChange<P> {
    /// Take the peer and tell it.
    Take(P),
    /// Let it go and tell it.
    Drop(P),
}

impl<P: PeerName> DataPeers<P> {
    /// Returns whether `peer` may be taken.
    pub(crate) fn may_take(&self, now: Instant, peer: P) -> bool {
        !self.peers.contains_key(&peer) && self.backoff.get(&peer).is_none_or(|&until| until <= now)
    }

    /// Takes a peer that asked for it, if there is room; returns whether it is a data peer now.
    pub(crate) fn accept(&mut self, now: Instant, peer: P, peers_max: usize) -> bool {
        if self.may_take(now, peer) && self.peers.len() < peers_max {
            self.peers.insert(peer, DataPeer::default());
        }
        self.peers.contains_key(&peer)
    }

    /// Forgets a peer, and does not take it again before `until`.
    pub(crate) fn drop_peer(&mut self, peer: P, until: Instant) {
        self.peers.remove(&peer);
        self.backoff.insert(peer, until);
    }

    /// Forgets times that have passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.backoff.retain(|_, until| *until > now);
    }

    /// Returns the changes that make the nearest candidates data peers and fill up with others by
    /// chance; `candidates` are all peers of the topic and how far each is, where that is known.
    pub(crate) fn maintain(
        &self,
        now: Instant,
        candidates: &BTreeMap<P, Option<Duration>>,
        config: &AdaptiveConfig,
        rng: &mut impl Rng,
    ) -> Vec<DataChange<P>> {
        let gone = self.peers.keys().filter(|peer| !candidates.contains_key(peer));
        let mut changes: Vec<_> = gone.map(|&peer| DataChange::Drop(peer)).collect();
        let mut kept: BTreeSet<P> =
            self.peers.keys().copied().filter(|peer| candidates.contains_key(peer)).collect();
        let known = candidates.iter().filter_map(|(&peer, rtt)| Some(((*rtt)?, peer)));
        let mut nearest: Vec<(Duration, P)> = known.collect();
        nearest.sort_unstable();
        let nearest: BTreeSet<P> =
            nearest.into_iter().take(config.data_peers_nearest).map(|(_, peer)| peer).collect();
        for &peer in &nearest {
            // Also above the bound: others than the nearest give way.
            if self.may_take(now, peer) {
                kept.insert(peer);
                changes.push(DataChange::Take(peer));
            }
        }
        // Places for the nearest stay free until it is known who they are.
        let by_chance = config.data_peers - config.data_peers_nearest.min(config.data_peers);
        let others = kept.difference(&nearest).count();
        let room = config.data_peers.saturating_sub(kept.len());
        let missing = if nearest.len() < config.data_peers_nearest.min(candidates.len()) {
            room.min(by_chance.saturating_sub(others))
        } else {
            room
        };
        let new = candidates.keys().copied().filter(|&peer| {
            !kept.contains(&peer) && !nearest.contains(&peer) && self.may_take(now, peer)
        });
        changes.extend(new.sample(rng, missing).into_iter().map(DataChange::Take));
        if kept.len() > config.data_peers_max {
            let surplus = kept.difference(&nearest).copied();
            let surplus = surplus.sample(rng, kept.len() - config.data_peers);
            changes.extend(surplus.into_iter().map(DataChange::Drop));
        }
        changes
    }

    /// Returns whether most data peers are fed themselves: hardly anybody has peers near by.
    pub(crate) fn is_alone(&self) -> bool {
        2 * self.peers.values().filter(|state| state.is_fed).count() > self.peers.len()
    }

    /// Shares the message out among the data peers that are not fed themselves, or among none;
    /// returns who is to be told what.
    pub(crate) fn share_out(&mut self, is_fed: bool) -> Vec<(P, Option<Feed>)> {
        let sources = self.peers.values().filter(|state| !state.is_fed).count();
        // Better late than from too few.
        let from_all = sources < FEEDERS_FEW;
        let parts = if from_all { self.peers.len() } else { sources };
        let parts = parts.min(usize::from(u8::MAX)) as u8;
        let mut told = Vec::new();
        let mut next = 0;
        for (&peer, state) in &mut self.peers {
            let part = if next < parts && (from_all || !state.is_fed) { next } else { parts };
            next += u8::from(part < parts);
            let feed = (is_fed && parts > 0).then_some(Feed { part, parts });
            if state.told != feed {
                state.told = feed;
                told.push((peer, feed));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    fn candidates(peers: std::ops::Range<u32>) -> BTreeMap<u32, Option<Duration>> {
        peers.map(|peer| (peer, Some(Duration::from_millis(u64::from(peer))))).collect()
    }

    const CONFIG: fn() -> AdaptiveConfig = || AdaptiveConfig {
        data_peers: 16,
        data_peers_max: 24,
        data_peers_nearest: 8,
        ..AdaptiveConfig::default()
    };

    fn changes(
        peers: &DataPeers<u32>,
        all: &BTreeMap<u32, Option<Duration>>,
    ) -> Vec<DataChange<u32>> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        peers.maintain(start(), all, &CONFIG(), &mut rng)
    }

    #[test]
    fn the_nearest_and_as_many_by_chance_are_taken() {
        let changes = changes(&DataPeers::default(), &candidates(0..40));
        let nearest = (0..8).map(DataChange::Take);
        assert_eq!(changes[..8], nearest.collect::<Vec<_>>());
        assert_eq!(changes.len(), 16);
    }

    #[test]
    fn places_for_the_nearest_stay_free_while_nobody_has_answered() {
        let all = (0..40).map(|peer| (peer, None)).collect();
        assert_eq!(changes(&DataPeers::default(), &all).len(), 8);
    }

    #[test]
    fn in_a_small_network_all_are_taken() {
        assert_eq!(changes(&DataPeers::default(), &candidates(0..5)).len(), 5);
        assert_eq!(changes(&DataPeers::default(), &candidates(0..12)).len(), 12);
    }

    #[test]
    fn who_is_gone_is_dropped_and_a_surplus_leaves_by_chance_but_the_nearest_stay() {
        let mut peers = DataPeers::default();
        peers.peers.extend((0..30).map(|peer| (peer, DataPeer::default())));
        peers.peers.insert(99, DataPeer::default());
        let changes = changes(&peers, &candidates(0..40));
        assert_eq!(changes[0], DataChange::Drop(99));
        assert_eq!(changes.len(), 1 + 14);
        assert!(!changes.iter().any(|change| matches!(change, DataChange::Drop(0..8))));
    }

    #[test]
    fn strangers_who_filled_all_places_do_not_keep_the_nearest_out() {
        let mut peers = DataPeers::default();
        for peer in 100..140 {
            peers.accept(start(), peer, 24);
        }
        assert_eq!(peers.peers.len(), 24);
        let mut all = candidates(0..40);
        all.extend(candidates(100..140));
        let changes = changes(&peers, &all);
        let taken = changes.iter().filter(|change| matches!(change, DataChange::Take(0..8)));
        assert_eq!(taken.count(), 8);
        let dropped = changes.iter().filter(|change| matches!(change, DataChange::Drop(_)));
        assert_eq!(dropped.count(), 16);
    }

    #[test]
    fn a_message_is_shared_out_so_that_each_fragment_comes_from_one_peer() {
        let mut peers = DataPeers::default();
        peers.peers.extend((0..5).map(|peer| (peer, DataPeer::default())));
        let told = peers.share_out(true);
        for place in 0..20 {
            let from = told.iter().filter(|(_, feed)| feed.is_some_and(|feed| feed.has(place)));
            assert_eq!(from.count(), 1);
        }
        assert_eq!(peers.share_out(true), [], "nothing is new");
        assert_eq!(peers.share_out(false).len(), 5);
    }

    #[test]
    fn who_is_fed_feeds_nobody_unless_few_are_not() {
        let fed = |count: u32| {
            let mut peers = DataPeers::default();
            let state = |peer| DataPeer { is_fed: peer < count, ..DataPeer::default() };
            peers.peers.extend((0..20).map(|peer| (peer, state(peer))));
            peers
        };
        let told = fed(12).share_out(true);
        let is_source =
            |&&(_, feed): &&(u32, Option<Feed>)| feed.is_some_and(|feed| feed.part < feed.parts);
        let sources: Vec<u32> = told.iter().filter(is_source).map(|&(peer, _)| peer).collect();
        assert_eq!(sources, (12..20).collect::<Vec<_>>());
        assert!(told.iter().all(|(_, feed)| feed.is_some_and(|feed| feed.parts == 8)));
        for place in 0..20 {
            let from = told.iter().filter(|(_, feed)| feed.is_some_and(|feed| feed.has(place)));
            assert_eq!(from.count(), 1);
        }
        assert_eq!(fed(13).share_out(true).iter().filter(is_source).count(), 20);
        assert!(!fed(10).is_alone());
        assert!(fed(11).is_alone());
    }
}
