//! What goes to whom: relaying, the queue of each peer, the frames pulled by the driver.

use std::{collections::BTreeSet, time::Instant};

use super::{State, receive::shard_length};
use crate::{
    Fault, GenerationId, HeaderHash, MessageId, PeerName, RpcMeta, Trace,
    message::{Due, Message, Next, NextPiece},
    wire::{Acknowledgement, Control, DataFrame, Fragment, Frame, PIECE_BYTES_MAX, encode_control},
};

impl<P: PeerName> State<P> {
    /// Passes an innovative shard on, in profile `documented`: the publisher's own shards go
    /// unchanged to every mesh peer that lacks them; any other makes a newly coded one for each,
    /// once more than k × threshold are held.
    pub(super) fn relay(&mut self, hash: HeaderHash, from: P, index: Option<u16>, rank: u16) {
        let Some(message) = self.messages.get(&hash) else { return };
        let k = f64::from(message.shape.fragments());
        let recodes = f64::from(rank) > k * self.config.forward_threshold;
        if index.is_none() && !recodes {
            return;
        }
        let topic = message.topic().clone();
        for peer in self.targets(&topic) {
            let Some(message) = self.messages.get_mut(&hash) else { return };
            let link = message.links.entry(peer).or_default();
            if peer == from || !link.takes() {
                continue;
            }
            match index {
                Some(index) if link.known.contains(&index) => continue,
                Some(index) => drop(link.due.insert(index)),
                None => link.coded_due = (link.coded_due + 1).min(message.shape.fragments()),
            }
            self.queue_message(peer, hash);
        }
    }

    /// Puts a message into the peer's queue if it has something for it and is not there.
    pub(super) fn queue_message(&mut self, peer: P, hash: HeaderHash) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Some(link) = message.links.get_mut(&peer) else { return };
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if link.wants() && !std::mem::replace(&mut link.queued, true) {
            state.queue.push_back(hash);
        }
        if link.exchange.is_urgent() {
            self.windows.hurry(peer);
        }
        self.tell_data_ready(peer);
    }

    /// Chooses, codes and returns the next data frame for `peer`; `None` when there is nothing to
    /// send, its window is full or it is not connected. Messages are served in turn, a piece each.
    pub fn next_data(&mut self, now: Instant, peer: P) -> Option<Frame> {
        let frame = self.choose_data(now, peer);
        if frame.is_none() {
            self.windows.decline(peer);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.data_ready = false;
            }
        }
        self.settle();
        frame
    }

    fn choose_data(&mut self, now: Instant, peer: P) -> Option<Frame> {
        let state = self.peers.get(&peer)?;
        if state.queue.is_empty() || !self.windows.admit(now, peer) {
            return None;
        }
        let bytes_max = (PIECE_BYTES_MAX / self.config.payload_scale as usize).max(1);
        loop {
            let hash = self.peers.get_mut(&peer)?.queue.pop_front()?;
            let Some(message) = self.messages.get_mut(&hash) else { continue };
            let next = message.next(peer, bytes_max, &mut self.rng);
            let Some(link) = message.links.get_mut(&peer) else { continue };
            link.queued = next.is_some() && link.wants();
            let is_urgent = link.exchange.is_urgent();
            if link.queued {
                self.peers.get_mut(&peer)?.queue.push_back(hash);
            }
            if is_urgent {
                self.windows.hurry(peer);
            }
            if let Some(next) = next {
                return Some(self.data_frame(now, peer, hash, next));
            }
        }
    }

    fn data_frame(&mut self, now: Instant, peer: P, hash: HeaderHash, next: Next) -> Frame {
        let mut frame = DataFrame::default();
        let mut claimed = MessageId([0; 32]);
        let mut shard_bytes = 0;
        if let Some(message) = self.messages.get_mut(&hash) {
            claimed = message.signed.header.message;
            shard_bytes = shard_length(&self.config, message);
            let link = message.links.entry(peer).or_default();
            link.exchanged = true;
            if !std::mem::replace(&mut link.has_header, true) {
                frame.header = Some((*message.signed).clone());
            }
            let has_left = message.shards_sent >= u64::from(message.fragments());
            if message.is_own() && has_left && !message.leaves_first() {
                self.has_left(hash);
                self.all_sent_once(now, hash);
            }
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            if std::mem::replace(&mut state.epoch_due, false) {
                frame.epoch = self.windows.epoch(peer);
            }
            frame.acknowledgement = state.receipts.take(now);
            self.schedule_acknowledgement(peer);
        }
        let piece_bytes = match next {
            Next::Piece(NextPiece { piece, completes }) => {
                if let Some(completed) = completes {
                    self.on_shard_sent(peer, claimed, shard_bytes, completed.recoded);
                }
                frame.piece.insert(piece).bytes.len()
            }
            Next::Fragment(Due { generation, index, hops }, bytes) => {
                self.on_shard_sent(peer, claimed, shard_bytes, false);
                let holding = self.messages.get(&hash).and_then(Message::holding);
                let path = holding.map_or_else(Vec::new, |all| all.path(generation, index));
                let generation = GenerationId { header: hash, index: generation };
                frame.fragment.insert(Fragment { generation, index, hops, path, bytes }).bytes.len()
            }
        } as u64;
        let frame = frame.encode();
        let scale = u64::from(self.config.payload_scale);
        self.windows.on_sent(now, peer, frame.len() as u64 + piece_bytes * (scale - 1));
        self.stats.data_bytes_sent += frame.len() as u64;
        frame
    }

    fn on_shard_sent(&mut self, to: P, message: MessageId, bytes: u64, recoded: bool) {
        self.stats.shards_sent += 1;
        self.stats.shards_recoded += u64::from(recoded);
        if let Some(state) = self.peers.get_mut(&to) {
            state.shards_sent += 1;
        }
        self.outbox.trace(|| {
            let meta = RpcMeta { shards: vec![message], ..RpcMeta::default() };
            Trace::SendRpc { to, meta, bytes }
        });
    }

    /// Returns the next control frame for `peer`; `None` when nothing waits.
    pub fn next_control(&mut self, now: Instant, peer: P) -> Option<Frame> {
        let state = self.peers.get_mut(&peer)?;
        let acknowledgement = state.receipts.take(now);
        if let Some(at) = state.acknowledge_at.take() {
            self.acknowledgements.remove(&(at, peer));
        }
        if acknowledgement.is_none() && state.control.is_empty() {
            state.control_ready = false;
            return None;
        }
        let entries = state.control.take(acknowledgement);
        let head = encode_control(&entries);
        let bytes = head.len() as u64;
        self.stats.control_bytes_sent += bytes;
        self.trace_control(&entries, |meta| Trace::SendRpc { to: peer, meta, bytes });
        Some(Frame { head, body: bytes::Bytes::new() })
    }

    /// Traces a control frame; one that carries acknowledgements only is not worth it.
    pub(super) fn trace_control(
        &mut self,
        entries: &[Control],
        trace: impl FnOnce(RpcMeta) -> Trace<P>,
    ) {
        let worth = |entry: &Control| !matches!(entry, Control::Acknowledge(_) | Control::Hello);
        if !self.outbox.is_tracing() || !entries.iter().any(worth) {
            return;
        }
        let meta = self.meta(entries);
        self.outbox.trace(|| trace(meta));
    }

    /// Returns what control entries are in the terms of the trace schema. A header that is not
    /// known any more has no message id to show.
    fn meta(&self, entries: &[Control]) -> RpcMeta {
        let id = |hash: &HeaderHash| Some(self.messages.get(hash)?.signed.header.message);
        let mut meta = RpcMeta::default();
        for entry in entries {
            match entry {
                Control::Subscribe(topic) => meta.subscriptions.push((true, topic.clone())),
                Control::Unsubscribe(topic) => meta.subscriptions.push((false, topic.clone())),
                Control::Graft(topic) => meta.graft.push(topic.clone()),
                Control::Prune { topic, .. } => meta.prune.push(topic.clone()),
                Control::IHave { topic, news } => {
                    let ids = news.iter().map(|item| item.message).collect();
                    meta.ihave.push((topic.clone(), ids));
                }
                Control::IWant { generation, .. } | Control::Want { generation, .. } => {
                    meta.iwant.extend(id(&generation.header));
                }
                Control::IDontWant(headers) => meta.idontwant.extend(headers.iter().filter_map(id)),
                Control::Hello
                | Control::Refuse { .. }
                | Control::Gone(_)
                | Control::Acknowledge(_)
                | Control::Probe(_)
                | Control::Echo(_)
                | Control::DataGraft(_)
                | Control::DataPrune { .. }
                | Control::Feed { .. }
                | Control::Have { .. } => {}
            }
        }
        meta
    }

    pub(super) fn on_acknowledgement(
        &mut self,
        now: Instant,
        peer: P,
        acknowledgement: Acknowledgement,
    ) {
        if let Err(error) = self.windows.on_acknowledged(now, peer, &acknowledgement) {
            let fault =
                Fault::BadAcknowledgement { acknowledged: error.acknowledged, sent: error.sent };
            self.disconnect(peer, fault);
        }
    }

    /// Tells the driver of acknowledgements that have waited long enough.
    pub(super) fn acknowledge(&mut self, now: Instant) {
        let due = self.acknowledgements.iter().take_while(|(at, _)| *at <= now);
        let peers: BTreeSet<P> = due.map(|&(_, peer)| peer).collect();
        for peer in peers {
            self.tell_control_ready(peer);
        }
    }

    /// Puts what a peer is to have acknowledged on the agenda. Once the driver was told that
    /// control waits, it will come for that anyway.
    pub(super) fn schedule_acknowledgement(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let due = state.receipts.due().filter(|_| !state.control_ready);
        let before = std::mem::replace(&mut state.acknowledge_at, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.acknowledgements.remove(&(before, peer));
        }
        if let Some(due) = due {
            self.acknowledgements.insert((due, peer));
        }
    }
}
