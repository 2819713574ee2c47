//! Profile `adaptive`: combinations fill what neither came by itself nor was to be had near by.
//!
//! Only who holds a whole message makes them, and only for peers that asked to be fed: what those
//! lack is not known in time, so that any gap must be filled by anything.

use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;
use rlnc::Absorbed;

use super::State;
use crate::{
    Fault, HeaderHash, PeerName, ShardTrace, Trace,
    holding::{Holding, Recovered},
    message::Phase,
    wire::{Bitmap, Piece},
};

impl<P: PeerName> State<P> {
    /// Adds combinations to what each peer is fed that may lack something of a complete message.
    pub(super) fn add_combinations(&mut self, hash: HeaderHash) {
        let share = self.config.adaptive.combination_share;
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Some(holding) = message.holding() else { return };
        let (k, generations) = (holding.fragments(), holding.generations() as u16);
        let Some(ours) = self.topics.get(message.topic()) else { return };
        let fed = ours.data.peers.iter().filter_map(|(&peer, data)| Some((peer, data.feeds?)));
        let fed: Vec<_> = fed.collect();
        for (peer, feed) in fed {
            let Some(message) = self.messages.get_mut(&hash) else { return };
            let link = message.links.entry(peer).or_default();
            if !link.takes() {
                continue;
            }
            for generation in 0..generations {
                // Of many feeders each sends one by chance, so that together they send the share.
                let expected = f64::from(k) * share / f64::from(feed.parts);
                let count = (expected + self.rng.random::<f64>()) as usize;
                if link.exchange.told(generation) != Bitmap::first(k) {
                    link.exchange.add_combinations(generation, count);
                }
            }
            self.queue_message(peer, hash);
        }
    }

    /// A combination of a generation's fragments comes.
    pub(super) fn on_combination(&mut self, now: Instant, peer: P, piece: Piece) {
        let (hash, generation) = (piece.generation.header, piece.generation.index);
        if !self.accepts(now, peer, piece.generation) {
            return;
        }
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Phase::Gathering(holding) = &mut message.phase else {
            self.stats.shards_unnecessary += 1;
            let coefficients = piece.start.map(|start| start.coefficients).unwrap_or_default();
            return self.trace_combination(peer, hash, coefficients, Trace::UnnecessaryShard);
        };
        let bad = |what| Fault::BadShard { header: hash, what };
        let Some(start) = piece.start.filter(|start| start.publisher_index.is_none()) else {
            return self.disconnect(peer, bad("a combination comes whole and has no number"));
        };
        let coefficients = start.coefficients.clone();
        let shard = match holding.parse(generation, start.coefficients, piece.bytes) {
            Ok(shard) => shard,
            Err(what) => return self.disconnect(peer, bad(what)),
        };
        let held = holding.held(generation).copied().unwrap_or_default();
        let missing = usize::from(holding.fragments() - held.len());
        let kept = message.spread.combinations.keep(generation, peer, shard, missing);
        if kept.is_none() {
            self.stats.shards_unhelpful += 1;
            return self.trace_combination(peer, hash, coefficients, Trace::UnhelpfulShard);
        }
        self.stats.shards_innovative += 1;
        self.trace_combination(peer, hash, coefficients, Trace::NewShard);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.on_shard(Absorbed::Innovative);
        }
        if let Some(message) = self.messages.get_mut(&hash) {
            message.progressed = now;
        }
        self.recover(now, hash, generation);
        let Some(message) = self.messages.get(&hash) else { return };
        if message.holding().is_some_and(Holding::is_full) {
            self.check(now, hash, peer);
        }
        self.schedule(hash);
    }

    fn trace_combination(
        &mut self,
        peer: P,
        hash: HeaderHash,
        coefficients: Bytes,
        event: fn(ShardTrace<P>) -> Trace<P>,
    ) {
        if !self.outbox.is_tracing() {
            return;
        }
        let Some(message) = self.messages.get(&hash) else { return };
        // What is not needed is not checked otherwise.
        if coefficients.len() != usize::from(message.shape.fragments()) {
            return;
        }
        let bytes = super::receive::shard_length(&self.config, message);
        let message = message.signed.header.message;
        self.trace_rpc_received(peer, message, bytes);
        self.outbox.trace(|| event(ShardTrace { message, received_from: peer, coefficients }));
    }

    /// Computes what is missing of a generation once fragments and combinations are enough.
    pub(super) fn recover(&mut self, now: Instant, hash: HeaderHash, generation: u16) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Phase::Gathering(holding) = &mut message.phase else { return };
        let spread = &mut message.spread;
        let kept = spread.combinations.of(generation);
        let Some(held) = holding.held(generation) else { return };
        let enough = usize::from(held.len()) + kept.len() >= usize::from(holding.fragments());
        if kept.is_empty() || !enough || spread.spoiled.contains(&generation) {
            return;
        }
        match holding.recover(generation, kept.iter().map(|(_, shard)| shard), &self.pool) {
            Recovered::TooFew => {}
            Recovered::False => {
                // Who lied is found out when the generation is complete by itself.
                self.stats.decodes_failed += 1;
                spread.spoiled.insert(generation);
            }
            Recovered::Fragments(taken) => {
                for index in taken.iter() {
                    self.pass_on(hash, (generation, index), u8::MAX);
                }
                self.add_news(now, hash, generation, &taken);
            }
        }
    }

    /// A message is complete: every combination of it that came can be checked.
    pub(super) fn judge_all_combinations(&mut self, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let spoiled = std::mem::take(&mut message.spread.spoiled);
        let kept = message.spread.combinations.take_all();
        let Some(holding) = message.holding() else { return };
        let mut liars = Vec::new();
        // What a generation was recovered with is right; only where it failed somebody lied.
        for (generation, kept) in kept.into_iter().filter(|(place, _)| spoiled.contains(place)) {
            for (peer, shard) in kept {
                let right = holding.combine(generation, shard.coefficients());
                if right.is_some_and(|right| right != *shard.payload()) {
                    liars.push(peer);
                }
            }
        }
        for peer in liars {
            let what = "it is not the combination that it says";
            if self.peers.contains_key(&peer) {
                self.disconnect(peer, Fault::BadShard { header: hash, what });
            }
        }
    }
}
