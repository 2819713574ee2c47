//! Repair: news of what others hold (IHAVE), pulls of what is missing (IWANT).

use std::time::{Duration, Instant};

use super::State;
use crate::{
    GenerationId, HeaderHash, MessageId, PeerName, Topic,
    message::Phase,
    score::DEMERITS_EXCESS,
    wire::{Control, News},
};

/// Shards asked for when the header, and with it k, is not known: as many as the message has.
const SHARDS_ALL: u16 = 256;

/// A pull may bring this many shards beyond k: a random combination can be unlucky.
const PULL_SPARE_SHARDS: u16 = 2;

/// The round-trip time assumed of a peer that has not acknowledged anything yet.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);

/// The shortest time without progress after which a message counts as stalled.
const STALL_MIN: Duration = Duration::from_millis(100);

impl<P: PeerName> State<P> {
    pub(super) fn on_i_have(&mut self, now: Instant, peer: P, topic: &Topic, news: &[News]) {
        if !self.topics.contains_key(topic) {
            return;
        }
        let graylisted = self.peers.get(&peer).is_some_and(|state| state.record.is_graylisted());
        if graylisted {
            self.stats.news_ignored += news.len() as u64;
            return;
        }
        for item in news {
            let Some(state) = self.peers.get_mut(&peer) else { return };
            state.allowance.news += 1;
            if state.allowance.news > self.config.limits.news_per_heartbeat_max {
                self.stats.news_ignored += 1;
                self.hold_against(peer, DEMERITS_EXCESS);
                continue;
            }
            if let Some(message) = self.messages.get_mut(&item.header) {
                let link = message.links.entry(peer).or_default();
                link.done = true;
                link.stop();
                if message.is_complete() {
                    continue;
                }
                if message.holding().is_some() {
                    self.on_told_all(now, peer, item.header);
                    continue;
                }
            }
            if !self.seen.contains(now, &item.message) {
                self.expect_from(now, item.header, item.message, peer);
            }
        }
    }

    /// `holder` has a message that we do not: it is asked for if nothing comes by itself.
    pub(super) fn expect_from(&mut self, now: Instant, hash: HeaderHash, id: MessageId, holder: P) {
        let due = match self.messages.get(&hash) {
            Some(message) => message.progressed + self.stall_after(holder),
            None => now + self.rtt(holder),
        };
        self.stats.repairs_dropped += u64::from(self.repairs.add(hash, id, holder, due));
    }

    /// Asks for what is due.
    pub(super) fn repair(&mut self, now: Instant) {
        while let Some((hash, id)) = self.repairs.next(now) {
            if self.seen.contains(now, &id) {
                self.repairs.remove(hash);
                continue;
            }
            match self.messages.get(&hash).map(|message| (&message.phase, message.progressed)) {
                Some((Phase::Open(_), progressed)) if progressed + STALL_MIN > now => {
                    self.repairs.postpone(hash, progressed + STALL_MIN);
                }
                Some((Phase::Decoding(_), _)) => {
                    self.repairs.postpone(hash, now + self.config.heartbeat);
                }
                // What is known is asked for fragment by fragment.
                Some((
                    Phase::Complete(_) | Phase::Gathering(_) | Phase::Checking(_) | Phase::Kept(_),
                    _,
                )) => self.repairs.remove(hash),
                Some((Phase::Open(_), _)) | None => self.pull(now, hash),
            }
        }
    }

    /// Asks the next holder for what is missing.
    fn pull(&mut self, now: Instant, hash: HeaderHash) {
        let Some(holder) = self.repairs.ask(hash) else {
            self.stats.repairs_dropped += 1;
            return self.repairs.remove(hash);
        };
        let shards = self
            .messages
            .get(&hash)
            .map_or(SHARDS_ALL, |message| message.shape.fragments() - message.rank());
        let retry = self.config.heartbeat.max(4 * self.rtt(holder));
        self.repairs.postpone(hash, now + retry);
        let Some(peer) = self.peers.get_mut(&holder) else { return };
        self.stats.pulls_sent += 1;
        let generation = GenerationId { header: hash, index: 0 };
        // It was refused before, perhaps for want of room; now it is asked for.
        peer.refused.remove(&hash);
        peer.control.push(Control::IWant { generation, shards });
        self.tell_control_ready(holder);
    }

    /// Serves a pull: newly coded shards, at most about one message's worth in all.
    pub(super) fn on_i_want(&mut self, peer: P, generation: GenerationId, shards: u16) {
        let hash = generation.header;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.allowance.pulls += 1;
        if state.allowance.pulls > self.config.limits.pulls_per_heartbeat_max {
            self.stats.pulls_ignored += 1;
            return self.hold_against(peer, DEMERITS_EXCESS);
        }
        let Some(message) = self.messages.get_mut(&hash).filter(|_| generation.index == 0) else {
            self.stats.pulls_gone += 1;
            state.control.push(Control::Gone(hash));
            return self.tell_control_ready(peer);
        };
        if message.holding().is_some() {
            return self.on_wanted_unknown(peer, hash);
        }
        let k = message.shape.fragments();
        let rank = message.rank();
        let link = message.links.entry(peer).or_default();
        let left = (k + PULL_SPARE_SHARDS).saturating_sub(link.pulled);
        let granted = shards.min(left).min(rank);
        if granted == 0 {
            self.stats.pulls_ignored += 1;
            return;
        }
        self.stats.pulls_served += 1;
        link.pulled += granted;
        link.done = false;
        link.refused = None;
        // Every pull carries the header: the peer may have lost it, or never had it.
        link.has_header = false;
        // What is on its way to it anyway counts.
        let beside = granted.saturating_sub(link.due.len() as u16);
        link.coded_due = link.coded_due.max(beside);
        self.queue_message(peer, hash);
    }

    fn rtt(&self, peer: P) -> Duration {
        self.windows.rtt(peer).unwrap_or(RTT_UNKNOWN)
    }

    fn stall_after(&self, peer: P) -> Duration {
        STALL_MIN.max(3 * self.rtt(peer))
    }
}
