//! A control frame, entry by entry.

use std::time::Instant;

use bytes::Bytes;

use super::State;
use crate::{
    Fault, HeaderHash, PeerName, Profile, Trace,
    wire::{Control, RefuseReason, decode_control},
};

impl<P: PeerName> State<P> {
    pub(super) fn on_control(&mut self, now: Instant, peer: P, bytes: Bytes) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        let length = bytes.len() as u64;
        self.stats.control_bytes_received += length;
        let entries = match decode_control(bytes) {
            Ok(entries) => entries,
            Err(error) => return self.disconnect(peer, Fault::Malformed(error)),
        };
        self.trace_control(&entries, |meta| Trace::ReceiveRpc { from: peer, meta, bytes: length });
        for entry in entries {
            self.on_entry(now, peer, entry);
        }
    }

    fn on_entry(&mut self, now: Instant, peer: P, entry: Control) {
        if self.config.profile == Profile::Documented && entry.is_adaptive() {
            return self.disconnect(peer, Fault::OtherProfile);
        }
        match entry {
            Control::Hello => self.on_hello(peer),
            Control::Subscribe(topic) => self.on_peer_subscribed(now, peer, &topic),
            Control::Unsubscribe(topic) => self.on_peer_unsubscribed(peer, &topic),
            Control::Graft(topic) => self.on_graft(now, peer, topic),
            Control::Prune { topic, backoff } => self.on_prune(now, peer, &topic, backoff),
            Control::IHave { topic, news } => self.on_i_have(now, peer, &topic, &news),
            Control::IWant { generation, shards } => self.on_i_want(peer, generation, shards),
            Control::IDontWant(headers) => {
                for hash in headers {
                    self.on_i_dont_want(now, peer, hash);
                }
            }
            Control::Refuse { header, reason } => self.on_refuse(peer, header, reason),
            Control::Gone(header) => self.on_gone(now, peer, header),
            Control::Acknowledge(acknowledgement) => {
                self.on_acknowledgement(now, peer, acknowledgement);
            }
            Control::Probe(number) => self.on_probe(peer, number),
            Control::Echo(number) => self.on_echo(now, peer, number),
            Control::DataGraft(topic) => self.on_data_graft(now, peer, &topic),
            Control::DataPrune { topic, backoff } => {
                self.on_data_prune(now, peer, &topic, backoff);
            }
            Control::Feed { topic, part, parts } => self.on_feed(peer, &topic, part, parts),
            Control::Have { generation, fragments } => {
                self.on_have(now, peer, generation, &fragments);
            }
            Control::Want { generation, fragments } => self.on_want(peer, generation, &fragments),
        }
    }

    /// The peer has decoded a message: it needs no shards, and can give some.
    fn on_i_dont_want(&mut self, now: Instant, peer: P, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let link = message.links.entry(peer).or_default();
        link.done = true;
        link.stop();
        if message.holding().is_some() {
            return self.on_told_all(now, peer, hash);
        }
        if !message.is_complete() {
            let id = message.signed.header.message;
            self.expect_from(now, hash, id, peer);
        }
    }

    /// The peer does not take a message.
    fn on_refuse(&mut self, peer: P, hash: HeaderHash, reason: RefuseReason) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Some(link) = message.links.get_mut(&peer) else { return };
        // What was begun went nowhere; if it goes again it starts over, behind its header.
        link.restart_sending();
        if let Some(state) = self.peers.get_mut(&peer) {
            state.queue.retain(|&other| other != hash);
        }
        if reason == RefuseReason::NoHeader {
            return self.queue_message(peer, hash);
        }
        if reason.is_later() {
            // It dropped what it held of the message, if it did.
            link.exchange.untell();
        }
        link.refused = Some(reason);
        link.done |= reason == RefuseReason::Seen;
        if !reason.is_later() {
            link.stop();
        }
    }

    /// Offers again what a peer refused for a while.
    pub(super) fn offer_again(&mut self) {
        let mut offers: Vec<(P, HeaderHash)> = Vec::new();
        for message in self.messages.iter_mut() {
            for (&peer, link) in &mut message.links {
                if link.refused.is_some_and(RefuseReason::is_later) {
                    link.refused = None;
                    offers.push((peer, message.hash));
                }
            }
        }
        for (peer, hash) in offers {
            self.queue_message(peer, hash);
        }
    }
}
