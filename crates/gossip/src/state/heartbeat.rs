//! The heartbeat: a list of steps.

use std::{collections::BTreeMap, time::Instant};

use rand::seq::IteratorRandom;

use super::{
    OPPORTUNITY_HEARTBEATS, State,
    peers::{is_news_to, news},
};
use crate::{
    HeaderHash, PeerName, Topic,
    message::{Link, Phase},
    wire::News,
};

/// A message that is still being sent is kept this many times as long as others at most.
const LEAVING_FACTOR_MAX: u32 = 20;

impl<P: PeerName> State<P> {
    pub(super) fn heartbeat(&mut self, now: Instant) {
        self.renew_allowances();
        self.fade_records();
        self.expire_memories(now);
        self.expire_open(now);
        self.retire(now);
        self.maintain_meshes(now);
        self.probe_unknown(now);
        self.opportunity_in -= 1;
        if self.opportunity_in == 0 {
            self.opportunity_in = OPPORTUNITY_HEARTBEATS;
            self.take_opportunities(now);
        }
        self.offer_again();
        self.spread_news();
    }

    fn renew_allowances(&mut self) {
        for peer in self.peers.values_mut() {
            peer.allowance.renew();
        }
    }

    fn fade_records(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.record.fade());
        self.records.fade();
    }

    fn expire_memories(&mut self, now: Instant) {
        self.seen.expire(now);
        self.retired.expire(now);
        self.dropped.expire(now);
        self.replay.expire(now);
        for peer in self.peers.values_mut() {
            peer.refused.expire(now);
        }
        for topic in self.topics.values_mut() {
            topic.expire(now);
        }
    }

    /// Drops open messages of which nothing has come for too long.
    fn expire_open(&mut self, now: Instant) {
        let expired: Vec<HeaderHash> = self
            .messages
            .iter()
            .filter(|message| matches!(message.phase, Phase::Open(_) | Phase::Gathering(_)))
            .filter(|message| message.progressed + self.config.open_ttl <= now)
            .map(|message| message.hash)
            .collect();
        for hash in expired {
            self.stats.messages_expired += 1;
            self.repairs.remove(hash);
            self.drop_message(now, hash, Some(crate::wire::RefuseReason::Busy));
        }
    }

    /// Lets complete messages go that were kept long enough. The time of one that a peer is still
    /// being sent, or tells of having a part of, does not run, up to a bound: it would be lost to
    /// whoever waits for it.
    fn retire(&mut self, now: Instant) {
        let leaving_max = LEAVING_FACTOR_MAX * self.config.retain_heartbeats;
        let (mut left, mut retired) = (Vec::new(), Vec::new());
        for message in self.messages.iter_mut().filter(|message| message.is_complete()) {
            let still = |(&peer, link): (&P, &Link)| {
                let lacks = link.is_gathering() && !message.is_held_by(link);
                (link.owes() || lacks) && !self.windows.is_stalled(peer)
            };
            message.is_leaving =
                message.leaving_heartbeats < leaving_max && message.links.iter().any(still);
            if message.is_leaving {
                message.leaving_heartbeats += 1;
                continue;
            }
            left.push(message.hash);
            message.heartbeats_left = message.heartbeats_left.saturating_sub(1);
            if message.heartbeats_left == 0 {
                retired.push(message.hash);
            }
        }
        for hash in left {
            self.has_left(hash);
        }
        for hash in retired {
            self.forget_complete(now, hash);
        }
    }

    /// Lets the oldest complete messages go while they fill too much.
    pub(super) fn enforce_retention(&mut self, now: Instant) {
        while let Some(oldest) = self.messages.over_retention(self.config.limits.retain_bytes_max) {
            self.stats.retention_evicted += 1;
            self.forget_complete(now, oldest);
        }
    }

    fn forget_complete(&mut self, now: Instant, hash: HeaderHash) {
        self.has_left(hash);
        let Some(message) = self.messages.remove(&hash) else { return };
        self.stop_asking(&message);
        if message.is_own() && message.shards_sent == 0 {
            self.stats.published_without_peers += 1;
        }
        self.retired.insert(now, hash);
    }

    fn maintain_meshes(&mut self, now: Instant) {
        for topic in self.topics.keys().cloned().collect::<Vec<_>>() {
            self.maintain_mesh(now, &topic);
            self.maintain_data_peers(now, &topic);
        }
    }

    /// Tells of messages completed within the last heartbeats, each to a few topic peers that are
    /// not known to have it.
    fn spread_news(&mut self) {
        let mut told: BTreeMap<(P, Topic), Vec<News>> = BTreeMap::new();
        for message in self.messages.iter_mut().filter(|message| message.news_left > 0) {
            message.news_left -= u32::from(!message.is_leaving);
            let lacking = self.peers.iter().filter(|(peer, state)| {
                state.topics.contains(message.topic()) && is_news_to(message, **peer)
            });
            let chosen = lacking.map(|(&peer, _)| peer);
            for peer in chosen.sample(&mut self.rng, self.config.news_peers) {
                let key = (peer, message.topic().clone());
                told.entry(key).or_default().push(news(message));
            }
        }
        for ((peer, topic), news) in told {
            self.tell_news(peer, &topic, &news);
        }
    }
}
