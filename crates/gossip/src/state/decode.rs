//! A message that has all its shards: decoded, checked, delivered; or found polluted.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use bytes::Bytes;
use rlnc::{Decoder, Encoder};

use super::{State, publish::Hashed};
use crate::{
    HeaderHash, Job, JobId, MessageId, Outcome, PeerName, Profile, PublishError, Trace,
    jobs::Purpose,
    message::Phase,
    wire::{Control, RefuseReason},
};

/// How many decodes of one message may fail their check before it is given up. Each starts from
/// nothing, so that a few polluted shards delay a message and do not end it.
const FAILURES_MAX: u8 = 3;

impl<P: PeerName> State<P> {
    /// Decodes a message that has all its shards; `peer` sent the last of them.
    pub(super) fn decode(&mut self, now: Instant, hash: HeaderHash, peer: P) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Phase::Open(decoder) = &mut message.phase else { return };
        if !decoder.is_full() {
            return;
        }
        let decoder = Arc::new(std::mem::replace(decoder, Decoder::new(message.shape)));
        message.phase = Phase::Decoding(Arc::clone(&decoder));
        message.completed_by = Some(peer);
        for link in message.links.values_mut() {
            link.receiving = None;
        }
        let payload_bytes = message.payload_bytes();
        let claimed = message.signed.header.message;
        let job = Job::Decode { decoder, pool: self.pool.clone(), payload_bytes, claimed };
        if payload_bytes < self.config.job_threshold_bytes {
            let outcome = job.run();
            self.on_decoded(now, hash, outcome);
        } else {
            self.jobs.add(Purpose::Decode(hash), job);
        }
    }

    pub(super) fn on_work_done(&mut self, now: Instant, job: JobId, outcome: Outcome) {
        match (self.jobs.finish(job), outcome) {
            (None | Some(Purpose::Abandoned), _) => self.stats.jobs_orphaned += 1,
            (Some(Purpose::Publish { ticket, topic, payload, published_unix_ns }), outcome) => {
                if let Outcome::Hashed(id, commitments) = outcome {
                    let hashed = Hashed { id, commitments };
                    self.publish_hashed(now, ticket, topic, payload, published_unix_ns, &hashed);
                } else {
                    self.stats.jobs_failed += 1;
                    self.publishing_bytes -= payload.len() as u64;
                    self.refuse_publish(ticket, topic, PublishError::Busy);
                }
            }
            (Some(Purpose::Decode(hash)), outcome) => self.on_decoded(now, hash, outcome),
        }
    }

    pub(super) fn on_decoded(&mut self, now: Instant, hash: HeaderHash, outcome: Outcome) {
        let Some(message) = self.messages.get(&hash) else {
            self.stats.jobs_orphaned += 1;
            return;
        };
        let is_adaptive = message.holding().is_some();
        match outcome {
            Outcome::Verified(payload) => self.on_verified(now, hash, payload),
            Outcome::Polluted if is_adaptive => self.on_false_message(now, hash),
            Outcome::Polluted => self.on_polluted(now, hash),
            Outcome::Failed | Outcome::Hashed(..) if is_adaptive => {
                self.stats.jobs_failed += 1;
                self.gather_again(now, hash);
            }
            Outcome::Failed | Outcome::Hashed(..) => {
                self.stats.jobs_failed += 1;
                let (id, from) = (message.signed.header.message, message.completed_by);
                self.reopen(hash);
                if let Some(from) = from {
                    self.expect_from(now, hash, id, from);
                }
            }
        }
    }

    fn on_verified(&mut self, now: Instant, hash: HeaderHash, payload: Bytes) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let (id, from) = (message.signed.header.message, message.completed_by);
        let kept =
            match std::mem::replace(&mut message.phase, Phase::Open(Decoder::new(message.shape))) {
                Phase::Gathering(mut holding)
                | Phase::Checking(mut holding)
                | Phase::Kept(mut holding) => {
                    holding.complete(payload.clone());
                    Phase::Kept(holding)
                }
                Phase::Open(_) | Phase::Decoding(_) | Phase::Complete(_) => {
                    let Ok(encoder) = Encoder::new(message.shape, payload.clone()) else { return };
                    Phase::Complete(encoder)
                }
            };
        message.heartbeats_left = self.config.retain_heartbeats;
        message.news_left = self.config.news_heartbeats;
        self.messages.complete(hash, kept);
        self.repairs.remove(hash);
        if self.seen.contains(now, &id) {
            self.on_duplicate(hash, from);
        } else {
            self.remember_seen(now, id);
            self.deliver(hash, payload, from);
            self.drop_rivals(now, hash, id);
        }
        match self.config.profile {
            Profile::Documented => self.tell_decoded(hash),
            Profile::Adaptive => self.on_fragments_verified(now, hash),
        }
        self.enforce_retention(now);
    }

    /// The message was delivered through another header while this one was being decoded.
    fn on_duplicate(&mut self, hash: HeaderHash, from: Option<P>) {
        self.stats.duplicate_messages += 1;
        let Some(message) = self.messages.get(&hash) else { return };
        let header = &message.signed.header;
        let (message, topic, bytes) = (header.message, header.topic.clone(), header.payload_bytes);
        self.count(&topic, |stats| {
            stats.received += 1;
            stats.received_bytes += bytes;
        });
        if let Some(received_from) = from {
            self.outbox.trace(|| Trace::Duplicate { message, topic, received_from });
        }
    }

    /// Open messages that claim the id just verified have nothing more to bring.
    fn drop_rivals(&mut self, now: Instant, hash: HeaderHash, id: MessageId) {
        let rivals: Vec<HeaderHash> = self
            .messages
            .claims(&id)
            .filter(|&rival| rival != hash)
            .filter(|rival| self.messages.get(rival).is_some_and(|m| !m.is_complete()))
            .collect();
        for rival in rivals {
            self.drop_message(now, rival, Some(RefuseReason::Seen));
        }
    }

    /// Tells the mesh, and whoever holds the header, to send no more shards.
    pub(super) fn tell_decoded(&mut self, hash: HeaderHash) {
        let Some(message) = self.messages.get(&hash) else { return };
        let holders = message.links.iter().filter(|(_, link)| link.has_header);
        let mut told: BTreeSet<P> = holders.map(|(&peer, _)| peer).collect();
        if let Some(topic) = self.topics.get(message.topic()) {
            told.extend(&topic.mesh);
        }
        for peer in told {
            if let Some(state) = self.peers.get_mut(&peer) {
                state.control.i_dont_want(hash);
            }
            self.tell_control_ready(peer);
        }
    }

    /// The payload is not what the header claims: at least one shard was polluted, or the claim is
    /// false. Which shard cannot be told here, so all go, and the message starts over.
    fn on_polluted(&mut self, now: Instant, hash: HeaderHash) {
        self.stats.decodes_failed += 1;
        let Some(message) = self.messages.get_mut(&hash) else { return };
        message.failures += 1;
        if message.failures < FAILURES_MAX {
            message.progressed = now;
            return self.reopen(hash);
        }
        self.stats.messages_rejected += 1;
        let header = &message.signed.header;
        let (id, topic, from) = (header.message, header.topic.clone(), message.completed_by);
        self.count(&topic, |stats| stats.rejected += 1);
        if let Some(received_from) = from {
            let message = id;
            let reason = "the decoded message is not what its header claims";
            self.outbox.trace(|| Trace::Reject { message, topic, received_from, reason });
        }
        self.repairs.remove(hash);
        self.drop_message(now, hash, Some(RefuseReason::Polluted));
    }

    /// Throws away all shards of a message and begins to collect anew.
    fn reopen(&mut self, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        message.phase = Phase::Open(Decoder::new(message.shape));
        message.publisher_shards.clear();
        for link in message.links.values_mut() {
            link.stop();
            link.known.clear();
            link.receiving = None;
            link.skips = true;
        }
    }

    /// Removes an open message. With a reason, everyone who may send shards of it is told.
    pub(super) fn drop_message(
        &mut self,
        now: Instant,
        hash: HeaderHash,
        reason: Option<RefuseReason>,
    ) {
        let Some(message) = self.messages.remove(&hash) else { return };
        if matches!(message.phase, Phase::Decoding(_) | Phase::Checking(_)) {
            self.jobs.abandon(hash);
        }
        self.stop_asking(&message);
        self.has_left(hash);
        self.retired.insert(now, hash);
        if reason.is_none_or(RefuseReason::is_later) {
            self.dropped.insert(now, hash);
        }
        let Some(reason) = reason else { return };
        for (&peer, link) in message.links.iter().filter(|(_, link)| link.exchanged) {
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            state.refused.insert(now, hash);
            if !link.done || reason != RefuseReason::Seen {
                state.control.push(Control::Refuse { header: hash, reason });
            }
            self.tell_control_ready(peer);
        }
    }
}
