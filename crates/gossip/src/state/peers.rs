//! Peers come and go; topics are subscribed; meshes change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::State;
use crate::{
    Direction, PeerName, Topic, Trace,
    message::Message,
    peer::Peer,
    score::DEMERITS_EXCESS,
    stats::TOPICS_COUNTED_MAX,
    topic::{
        TopicState,
        mesh::{MeshChange, Standing, Standings, maintain, opportunities},
    },
    wire::News,
};

impl<P: PeerName> State<P> {
    pub(super) fn on_connected(&mut self, now: Instant, peer: P, direction: Direction) {
        if self.peers.contains_key(&peer) {
            return self.on_streams_reset(now, peer);
        }
        let mut state = Peer::new(direction, self.records.take(peer));
        state.control.restart(self.topics.keys().cloned(), std::iter::empty());
        self.peers.insert(peer, state);
        self.windows.connect(now, peer);
        self.outbox.trace(|| Trace::AddPeer { peer });
        self.tell_control_ready(peer);
        self.probe(now, peer);
    }

    /// Starts both of our streams to the peer over: what was on them may not have come.
    pub(super) fn on_streams_reset(&mut self, now: Instant, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let meshes = self.topics.iter().filter(|(_, topic)| topic.mesh.contains(&peer));
        state.control.restart(self.topics.keys().cloned(), meshes.map(|(name, _)| name.clone()));
        state.epoch_due = true;
        state.data_ready = false;
        state.control_ready = false;
        state.queue.clear();
        self.windows.reset(now, peer);
        for message in self.messages.iter_mut() {
            if let Some(link) = message.links.get_mut(&peer) {
                link.restart_sending();
                link.queued = link.wants();
                if link.queued {
                    state.queue.push_back(message.hash);
                }
            }
        }
        self.tell_control_ready(peer);
        self.tell_data_ready(peer);
    }

    pub(super) fn on_disconnected(&mut self, peer: P) {
        let Some(state) = self.peers.remove(&peer) else { return };
        if let Some(at) = state.acknowledge_at {
            self.acknowledgements.remove(&(at, peer));
        }
        self.full.remove(&peer);
        self.full_late.remove(&peer);
        self.records.keep(peer, state.record);
        self.stats.records_evicted = self.records.evicted();
        self.windows.disconnect(peer);
        self.repairs.remove_peer(peer);
        self.rumours.remove_peer(peer);
        for (name, topic) in &mut self.topics {
            if topic.mesh.remove(&peer) {
                self.outbox.trace(|| Trace::Prune { peer, topic: name.clone() });
            }
            topic.data.peers.remove(&peer);
        }
        for message in self.messages.iter_mut() {
            message.links.remove(&peer);
            message.spread.requests.take(|request| request.peer == peer);
        }
        self.outbox.trace(|| Trace::RemovePeer { peer });
    }

    pub(super) fn subscribe(&mut self, now: Instant, topic: &Topic) {
        if self.topics.contains_key(topic) {
            return;
        }
        if !self.has_room_for_topic() {
            self.stats.subscriptions_ignored += 1;
            return;
        }
        self.topics.insert(topic.clone(), TopicState::new());
        if self.topic_stats.len() < TOPICS_COUNTED_MAX {
            self.topic_stats.entry(topic.clone()).or_default();
        }
        self.outbox.trace(|| Trace::Join { topic: topic.clone() });
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.peers.entry(peer).and_modify(|p| p.control.subscribe(topic.clone(), true));
            self.tell_control_ready(peer);
        }
        self.maintain_mesh(now, topic);
        self.maintain_data_peers(now, topic);
    }

    /// Returns whether one more topic can be joined.
    pub(super) fn has_room_for_topic(&self) -> bool {
        self.topics.len() < self.config.limits.topics_max
    }

    pub(super) fn unsubscribe(&mut self, now: Instant, topic: &Topic) {
        let Some(state) = self.topics.remove(topic) else { return };
        for &peer in &state.mesh {
            self.tell_pruned(peer, topic, self.config.mesh.unsubscribe_backoff);
        }
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.peers.entry(peer).and_modify(|p| p.control.subscribe(topic.clone(), false));
            self.tell_control_ready(peer);
        }
        let open: Vec<_> = self
            .messages
            .iter()
            .filter(|message| message.topic() == topic && !message.is_complete())
            .map(|message| message.hash)
            .collect();
        for hash in open {
            self.drop_message(now, hash, None);
        }
        self.outbox.trace(|| Trace::Leave { topic: topic.clone() });
    }

    /// The peer's new control stream: what it subscribed on the old one is void.
    pub(super) fn on_hello(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.topics.clear();
    }

    pub(super) fn on_peer_subscribed(&mut self, now: Instant, peer: P, topic: &Topic) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.topics.len() >= self.config.limits.topics_per_peer_max {
            self.stats.subscriptions_ignored += 1;
            return self.hold_against(peer, DEMERITS_EXCESS);
        }
        if !state.topics.insert(topic.clone()) {
            return;
        }
        let Some(ours) = self.topics.get(topic) else { return };
        let needs_data_peers = ours.data.peers.len() < self.config.mesh.low;
        if ours.mesh.len() < self.config.mesh.low {
            self.maintain_mesh(now, topic);
        }
        if needs_data_peers {
            self.maintain_data_peers(now, topic);
        }
        self.tell_news_to_newcomer(peer, topic);
    }

    pub(super) fn on_peer_unsubscribed(&mut self, peer: P, topic: &Topic) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.topics.remove(topic);
        }
        if let Some(ours) = self.topics.get_mut(topic) {
            ours.data.peers.remove(&peer);
        }
        self.leave_mesh(peer, topic);
    }

    pub(super) fn on_graft(&mut self, now: Instant, peer: P, topic: Topic) {
        let Some(ours) = self.topics.get_mut(&topic) else {
            return self.tell_pruned(peer, &topic, self.config.mesh.unsubscribe_backoff);
        };
        if ours.mesh.contains(&peer) {
            return;
        }
        let graylisted = self.peers.get(&peer).is_some_and(|state| state.record.is_graylisted());
        self.stats.grafts_graylisted += u64::from(graylisted);
        // An outbound peer is one that we chose: it is let in above the bound, and others leave at
        // the next heartbeat (GossipSub v1.1).
        let is_full = ours.mesh.len() >= self.config.mesh.high
            && self.peers.get(&peer).is_none_or(|state| state.direction == Direction::Inbound);
        if graylisted || !ours.may_graft(now, peer) || is_full {
            let backoff = self.config.mesh.prune_backoff;
            ours.backoff.insert(peer, now + backoff);
            return self.tell_pruned(peer, &topic, backoff);
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.topics.len() >= self.config.limits.topics_per_peer_max
            && !state.topics.contains(&topic)
        {
            self.stats.subscriptions_ignored += 1;
            return self.tell_pruned(peer, &topic, self.config.mesh.prune_backoff);
        }
        state.topics.insert(topic.clone());
        ours.mesh.insert(peer);
        self.outbox.trace(|| Trace::Graft { peer, topic });
    }

    pub(super) fn on_prune(
        &mut self,
        now: Instant,
        peer: P,
        topic: &Topic,
        backoff: std::time::Duration,
    ) {
        self.leave_mesh(peer, topic);
        if let Some(ours) = self.topics.get_mut(topic) {
            let backoff = backoff.min(self.config.mesh.prune_backoff);
            ours.backoff.insert(peer, now + backoff);
        }
    }

    /// Brings the mesh of a topic back between its bounds.
    pub(super) fn maintain_mesh(&mut self, now: Instant, topic: &Topic) {
        self.drop_unsubscribed(topic);
        let Some(ours) = self.topics.get_mut(topic) else { return };
        let candidates: Standings<P> = self
            .peers
            .iter()
            .filter(|(peer, state)| state.topics.contains(topic) && ours.may_graft(now, **peer))
            .map(|(&peer, state)| (peer, standing(state)))
            .collect();
        let mesh = standings(&ours.mesh, &self.peers);
        let changes = maintain(&mesh, &candidates, &self.config.mesh, &mut self.rng);
        self.apply(now, topic, changes);
    }

    /// Takes better peers into meshes whose members are of little use.
    pub(super) fn take_opportunities(&mut self, now: Instant) {
        for topic in self.topics.keys().cloned().collect::<Vec<_>>() {
            let Some(ours) = self.topics.get(&topic) else { continue };
            let candidates: Standings<P> = self
                .peers
                .iter()
                .filter(|(peer, state)| {
                    state.topics.contains(&topic) && ours.may_graft(now, **peer)
                })
                .map(|(&peer, state)| (peer, standing(state)))
                .collect();
            let mesh = standings(&ours.mesh, &self.peers);
            let changes = opportunities(&mesh, &candidates, &self.config.mesh, &mut self.rng);
            self.stats.opportunistic_grafts += changes.len() as u64;
            self.apply(now, &topic, changes);
        }
    }

    fn apply(&mut self, now: Instant, topic: &Topic, changes: Vec<MeshChange<P>>) {
        for change in changes {
            match change {
                MeshChange::Graft(peer) => self.graft(peer, topic),
                MeshChange::Prune(peer) => self.prune(now, peer, topic),
            }
        }
    }

    /// Puts out of the mesh who no longer says that it is subscribed: an UNSUBSCRIBE or PRUNE that
    /// was lost with its stream is not sent again after the HELLO of the next.
    fn drop_unsubscribed(&mut self, topic: &Topic) {
        let Some(ours) = self.topics.get(topic) else { return };
        let subscribed = |peer: &P| self.peers.get(peer).is_some_and(|p| p.topics.contains(topic));
        let gone: Vec<P> = ours.mesh.iter().copied().filter(|peer| !subscribed(peer)).collect();
        for peer in gone {
            self.leave_mesh(peer, topic);
        }
    }

    /// Returns the peers that a message of `topic` is sent to: the mesh, filled up with other
    /// peers of the topic while it is below its lower bound, as it is just after a start.
    pub(super) fn targets(&mut self, topic: &Topic) -> Vec<P> {
        let Some(ours) = self.topics.get(topic) else { return Vec::new() };
        let mut targets: Vec<P> = ours.mesh.iter().copied().collect();
        let missing = self.config.mesh.low.saturating_sub(targets.len());
        let others = self
            .peers
            .iter()
            .filter(|(peer, state)| state.topics.contains(topic) && !ours.mesh.contains(peer))
            .filter(|(_, state)| !state.record.is_graylisted());
        targets.extend(others.map(|(&peer, _)| peer).take(missing));
        targets
    }

    fn graft(&mut self, peer: P, topic: &Topic) {
        let Some(ours) = self.topics.get_mut(topic) else { return };
        ours.mesh.insert(peer);
        self.outbox.trace(|| Trace::Graft { peer, topic: topic.clone() });
        if let Some(state) = self.peers.get_mut(&peer) {
            state.control.graft(topic.clone());
        }
        self.tell_control_ready(peer);
    }

    fn prune(&mut self, now: Instant, peer: P, topic: &Topic) {
        self.leave_mesh(peer, topic);
        let backoff = self.config.mesh.prune_backoff;
        if let Some(ours) = self.topics.get_mut(topic) {
            ours.backoff.insert(peer, now + backoff);
        }
        self.tell_pruned(peer, topic, backoff);
    }

    fn leave_mesh(&mut self, peer: P, topic: &Topic) {
        if let Some(ours) = self.topics.get_mut(topic)
            && ours.mesh.remove(&peer)
        {
            self.outbox.trace(|| Trace::Prune { peer, topic: topic.clone() });
        }
    }

    fn tell_pruned(&mut self, peer: P, topic: &Topic, backoff: std::time::Duration) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.control.prune(topic.clone(), backoff);
        }
        self.tell_control_ready(peer);
    }

    /// Tells a peer that has just subscribed what we keep of the topic.
    fn tell_news_to_newcomer(&mut self, peer: P, topic: &Topic) {
        let kept = self.messages.iter().filter(|message| message.topic() == topic);
        let news: Vec<News> = kept.filter(|message| is_news_to(message, peer)).map(news).collect();
        self.tell_news(peer, topic, &news);
    }

    /// Tells a peer that we hold messages.
    pub(super) fn tell_news(&mut self, peer: P, topic: &Topic, news: &[News]) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        for &item in news {
            state.control.i_have(topic, item);
        }
        if !news.is_empty() {
            self.tell_control_ready(peer);
        }
    }
}

fn standing(peer: &Peer) -> Standing {
    Standing { score: peer.record.score(), outbound: peer.direction == Direction::Outbound }
}

fn standings<P: PeerName>(mesh: &BTreeSet<P>, peers: &BTreeMap<P, Peer>) -> Standings<P> {
    mesh.iter().filter_map(|peer| Some((*peer, standing(peers.get(peer)?)))).collect()
}

/// Returns whether `peer` may lack a message that we hold and are not sending it.
pub(super) fn is_news_to<P: PeerName>(message: &Message<P>, peer: P) -> bool {
    message.is_complete()
        && message.links.get(&peer).is_none_or(|link| {
            !link.done
                && !link.owes()
                && !message.is_held_by(link)
                && link.refused.is_none_or(crate::wire::RefuseReason::is_later)
        })
}

/// Returns what is told of a message.
pub(super) fn news<P: PeerName>(message: &Message<P>) -> News {
    News { header: message.hash, message: message.signed.header.message }
}
