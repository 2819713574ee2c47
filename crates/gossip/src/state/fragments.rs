//! Profile `adaptive`: a fragment comes, is checked, and goes on; the last one completes a message.

use std::time::Instant;

use bytes::Bytes;
use rlnc::Absorbed;

use super::State;
use crate::{
    Fault, GenerationId, HeaderHash, Job, PeerName, ShardTrace, Trace,
    holding::{Holding, Taken},
    jobs::Purpose,
    message::{Message, Phase},
    wire::{Fragment, RefuseReason},
};

impl<P: PeerName> State<P> {
    pub(super) fn on_fragment(&mut self, now: Instant, peer: P, fragment: Fragment) {
        let hash = fragment.generation.header;
        if !self.accepts(now, peer, fragment.generation) {
            return;
        }
        let (generation, index) = (fragment.generation.index, fragment.index);
        let Some(holding) = self.messages.get_mut(&hash).and_then(Message::holding_mut) else {
            return;
        };
        match holding.take(generation, index, &fragment.path, fragment.bytes) {
            Taken::New => self.on_new_fragment(now, peer, hash, (generation, index), fragment.hops),
            Taken::Held => self.on_held_fragment(now, peer, hash, (generation, index)),
            Taken::False(what) => {
                self.disconnect(peer, Fault::BadShard { header: hash, what });
            }
        }
    }

    /// Returns whether something of a generation may be looked at: its message is here.
    pub(super) fn accepts(&mut self, now: Instant, peer: P, generation: GenerationId) -> bool {
        let hash = generation.header;
        let Some(state) = self.peers.get_mut(&peer) else { return false };
        if state.refused.contains(now, &hash) {
            self.stats.shards_refused += 1;
            return false;
        }
        let Some(message) = self.messages.get_mut(&hash) else {
            self.on_stray(now, peer, hash, true);
            return false;
        };
        // The header may have come from another peer: who said that it holds fragments has it.
        message.links.entry(peer).or_default().exchanged = true;
        message.holding().is_some()
    }

    fn on_new_fragment(
        &mut self,
        now: Instant,
        peer: P,
        hash: HeaderHash,
        place: (u16, u16),
        hops: u8,
    ) {
        self.stats.shards_innovative += 1;
        self.count_fragment(now, peer, hash, place, Absorbed::Innovative);
        let Some(message) = self.messages.get_mut(&hash) else { return };
        message.progressed = now;
        let Some(holding) = message.holding() else { return };
        if holding.is_whole() {
            return self.check(now, hash, peer);
        }
        self.pass_on(hash, place, hops);
        self.add_news(now, hash, place.0, &[place.1].into_iter().collect());
        self.recover(now, hash, place.0);
        let Some(holding) = self.messages.get(&hash).and_then(Message::holding) else { return };
        let is_full = holding.is_full();
        if is_full {
            self.check(now, hash, peer);
        } else {
            self.ask(now, hash);
        }
        self.schedule(hash);
    }

    fn on_held_fragment(&mut self, now: Instant, peer: P, hash: HeaderHash, place: (u16, u16)) {
        let Some(message) = self.messages.get(&hash) else { return };
        if matches!(message.phase, Phase::Gathering(_)) {
            self.stats.shards_duplicate += 1;
        } else {
            self.stats.shards_unnecessary += 1;
        }
        self.count_fragment(now, peer, hash, place, Absorbed::Redundant);
    }

    /// The peer holds the fragment, and answered if it was asked for it.
    fn count_fragment(
        &mut self,
        now: Instant,
        peer: P,
        hash: HeaderHash,
        (generation, index): (u16, u16),
        absorbed: Absorbed,
    ) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let link = message.links.entry(peer).or_default();
        link.exchange.tell(generation, &[index].into_iter().collect());
        let is_open = matches!(message.phase, Phase::Gathering(_));
        let request = message.spread.requests.remove(generation, index);
        let claimed = message.signed.header.message;
        let k = message.shape.fragments();
        if let Some(request) = &request {
            self.end_request(request);
        }
        let asked_at = match request.filter(|request| request.peer == peer) {
            Some(request) => Some(request.asked_at),
            None => self.answers.take_late(hash, (generation, index), &peer),
        };
        let rtt = self.windows.rtt(peer).unwrap_or_default();
        if let Some(state) = self.peers.get_mut(&peer) {
            state.on_shard(absorbed);
            if let Some(asked_at) = asked_at {
                let time = now.saturating_duration_since(asked_at);
                state.on_answer(time);
                self.answers.on_answer(time.saturating_sub(rtt));
            }
        }
        if !self.outbox.is_tracing() {
            return;
        }
        let bytes = self
            .messages
            .get(&hash)
            .map_or(0, |message| super::receive::shard_length(&self.config, message));
        self.trace_rpc_received(peer, claimed, bytes);
        let coefficients = unit(k, index);
        let told = ShardTrace { message: claimed, received_from: peer, coefficients };
        self.outbox.trace(|| match (absorbed, is_open) {
            (Absorbed::Innovative, _) => Trace::NewShard(told),
            (Absorbed::Redundant, true) => Trace::DuplicateShard(told),
            (Absorbed::Redundant, false) => Trace::UnnecessaryShard(told),
        });
    }

    /// Puts a message together that has all its fragments; `peer` sent the last of them.
    pub(super) fn check(&mut self, now: Instant, hash: HeaderHash, peer: P) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let claimed = message.signed.header.message;
        let payload_bytes = message.payload_bytes();
        let Phase::Gathering(holding) = &mut message.phase else { return };
        let pieces = holding.pieces();
        let holding = std::mem::replace(holding, Holding::placeholder());
        message.phase = Phase::Checking(holding);
        message.completed_by = Some(peer);
        let job = Job::Assemble { pieces, pool: self.pool.clone(), payload_bytes, claimed };
        if payload_bytes < self.config.job_threshold_bytes {
            let outcome = job.run();
            self.on_decoded(now, hash, outcome);
        } else {
            self.jobs.add(Purpose::Decode(hash), job);
        }
    }

    /// The job that puts a message together could not be run: it is tried again at the next
    /// heartbeat.
    pub(super) fn gather_again(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Phase::Checking(holding) = &mut message.phase else { return };
        let holding = std::mem::replace(holding, Holding::placeholder());
        message.phase = Phase::Gathering(holding);
        message.spread.retry_at = Some(now + self.config.heartbeat);
        self.schedule(hash);
    }

    /// All fragments are there and are not the message that the header names. What is whole has no
    /// other check, so its sender lied; what was committed to is as the publisher cut it, so the
    /// publisher did.
    pub(super) fn on_false_message(&mut self, now: Instant, hash: HeaderHash) {
        self.stats.decodes_failed += 1;
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let from = message.completed_by;
        let header = &message.signed.header;
        let (id, topic) = (header.message, header.topic.clone());
        let is_whole = message.holding().is_some_and(Holding::is_whole);
        if is_whole && let Some(fresh) = Holding::new(header) {
            message.phase = Phase::Gathering(fresh);
            message.progressed = now;
            if let Some(from) = from {
                let what = "it is not the message that the header names";
                self.disconnect(from, Fault::BadShard { header: hash, what });
            }
            self.ask(now, hash);
            return self.schedule(hash);
        }
        self.stats.messages_rejected += 1;
        self.count(&topic, |stats| stats.rejected += 1);
        if let Some(received_from) = from {
            let reason = "the message is not what its header claims";
            let message = id;
            self.outbox.trace(|| Trace::Reject { message, topic, received_from, reason });
        }
        self.repairs.remove(hash);
        self.drop_message(now, hash, Some(RefuseReason::Polluted));
    }

    /// A message is verified: whoever lacks it is told, or sent it if it is whole.
    pub(super) fn on_fragments_verified(&mut self, now: Instant, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let asked = message.spread.requests.take(|_| true);
        for request in &asked {
            self.end_request(request);
        }
        let Some(message) = self.messages.get(&hash) else { return };
        if message.holding().is_some_and(Holding::is_whole) {
            return self.pass_on_whole(hash);
        }
        self.judge_all_combinations(hash);
        self.add_combinations(hash);
        self.tell_all_news(now, hash);
        self.tell_decoded(hash);
        self.schedule(hash);
    }

    /// Nothing more is wanted of a message: what was asked for makes room at who was asked.
    pub(super) fn stop_asking(&mut self, message: &Message<P>) {
        message.spread.requests.iter().for_each(|request| self.end_request(request));
        if let Some(wake) = message.spread.wake {
            self.agenda.remove(&(wake, message.hash));
        }
    }
}

/// Returns what stands for a fragment where a coefficient vector is expected.
fn unit(fragments: u16, index: u16) -> Bytes {
    (0..fragments).map(|place| u8::from(place == index)).collect::<Vec<_>>().into()
}
