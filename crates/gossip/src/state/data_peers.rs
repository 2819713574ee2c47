//! Profile `adaptive`: who is near, with whom fragments are exchanged, and who feeds whom.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rand::RngExt;

use super::State;
use crate::{
    PeerName, Profile, Topic,
    topic::data::{DataChange, DataPeer, Feed},
    wire::Control,
};

/// How long a peer that turned us away, or was turned away, is not asked again.
const DATA_BACKOFF: Duration = Duration::from_secs(10);

impl<P: PeerName> State<P> {
    /// Asks a peer how far away it is.
    pub(super) fn probe(&mut self, now: Instant, peer: P) {
        if self.config.profile != Profile::Adaptive {
            return;
        }
        let number = self.rng.random();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.probe = Some((number, now));
        state.control.push(Control::Probe(number));
        self.tell_control_ready(peer);
    }

    pub(super) fn on_probe(&mut self, peer: P, number: u32) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.control.push(Control::Echo(number));
        }
        self.tell_control_ready(peer);
    }

    pub(super) fn on_echo(&mut self, now: Instant, peer: P, number: u32) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if let Some((_, sent_at)) = state.probe.take_if(|(sent, _)| *sent == number) {
            let time = now.saturating_duration_since(sent_at);
            self.windows.on_probed(peer, time);
        }
    }

    /// Probes again who has not answered.
    pub(super) fn probe_unknown(&mut self, now: Instant) {
        let unknown = self.peers.keys().filter(|&&peer| !self.windows.is_probed(peer));
        for peer in unknown.copied().collect::<Vec<_>>() {
            self.probe(now, peer);
        }
    }

    /// Brings the data peers of a topic up to date, and who feeds us.
    pub(super) fn maintain_data_peers(&mut self, now: Instant, topic: &Topic) {
        if self.config.profile != Profile::Adaptive {
            return;
        }
        let Some(ours) = self.topics.get(topic) else { return };
        let candidates: BTreeMap<P, Option<Duration>> = self
            .peers
            .iter()
            .filter(|(_, state)| state.topics.contains(topic) && !state.record.is_graylisted())
            .map(|(&peer, _)| (peer, self.windows.rtt(peer)))
            .collect();
        let changes = ours.data.maintain(now, &candidates, &self.config.adaptive, &mut self.rng);
        for change in changes {
            match change {
                DataChange::Take(peer) => self.take_data_peer(peer, topic),
                DataChange::Drop(peer) => self.drop_data_peer(now, peer, topic),
            }
        }
        self.share_out_feeding(topic);
    }

    fn take_data_peer(&mut self, peer: P, topic: &Topic) {
        let Some(ours) = self.topics.get_mut(topic) else { return };
        ours.data.peers.insert(peer, DataPeer::default());
        if let Some(state) = self.peers.get_mut(&peer) {
            state.control.push(Control::DataGraft(topic.clone()));
        }
        self.tell_control_ready(peer);
    }

    fn drop_data_peer(&mut self, now: Instant, peer: P, topic: &Topic) {
        let Some(ours) = self.topics.get_mut(topic) else { return };
        ours.data.drop_peer(peer, now + DATA_BACKOFF);
        self.tell_data_pruned(peer, topic);
    }

    fn tell_data_pruned(&mut self, peer: P, topic: &Topic) {
        if let Some(state) = self.peers.get_mut(&peer) {
            let (topic, backoff) = (topic.clone(), DATA_BACKOFF);
            state.control.push(Control::DataPrune { topic, backoff });
        }
        self.tell_control_ready(peer);
    }

    pub(super) fn on_data_graft(&mut self, now: Instant, peer: P, topic: &Topic) {
        let Some(state) = self.peers.get(&peer) else { return };
        let welcome = !state.record.is_graylisted() && state.topics.contains(topic);
        let peers_max = self.config.adaptive.data_peers_max;
        let Some(ours) = self.topics.get_mut(topic) else {
            return self.tell_data_pruned(peer, topic);
        };
        // Who feeds us what is shared out anew at the heartbeat: who comes and goes all the time
        // makes no more of it.
        if !welcome || !ours.data.accept(now, peer, peers_max) {
            ours.data.drop_peer(peer, now + DATA_BACKOFF);
            self.tell_data_pruned(peer, topic);
        }
    }

    pub(super) fn on_data_prune(
        &mut self,
        now: Instant,
        peer: P,
        topic: &Topic,
        backoff: Duration,
    ) {
        if let Some(ours) = self.topics.get_mut(topic) {
            ours.data.drop_peer(peer, now + backoff.min(DATA_BACKOFF));
        }
    }

    /// Has the data peers feed us if few of them are near.
    fn share_out_feeding(&mut self, topic: &Topic) {
        let Some(ours) = self.topics.get(topic) else { return };
        let near = ours.data.peers.keys().filter(|&&peer| self.is_near(peer)).count();
        let is_fed = near < self.config.adaptive.near_peers_few;
        let Some(ours) = self.topics.get_mut(topic) else { return };
        for (peer, feed) in ours.data.share_out(is_fed) {
            let (part, parts) = feed.map_or((0, 0), |feed| (feed.part, feed.parts));
            if let Some(state) = self.peers.get_mut(&peer) {
                state.control.feed(topic.clone(), part, parts);
            }
            self.tell_control_ready(peer);
        }
    }

    /// The peer wants to be fed, or no more.
    pub(super) fn on_feed(&mut self, peer: P, topic: &Topic, part: u8, parts: u8) {
        let feeds = (part < parts).then_some(Feed { part, parts });
        if let Some(ours) = self.topics.get_mut(topic)
            && let Some(data) = ours.data.peers.get_mut(&peer)
        {
            data.feeds = feeds;
            data.is_fed = parts > 0;
        }
    }
}
