//! A data frame: acknowledgement, header, piece of a shard.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use rlnc::{Absorbed, Decoder, Shape, Shard, ShardError};

use super::State;
use crate::{
    Fault, Header, HeaderHash, PeerName, Profile, RpcMeta, ShardTrace, SignedHeader, Trace,
    holding::Holding,
    message::{Admission, Link, Message, Phase, PublisherShard, open_bytes},
    replay::SequenceCheck,
    wire::{Control, DataFrame, Piece, RefuseReason, ShardStart},
};

/// Shards of headers that are not known on the connection, per heartbeat, before the peer is
/// disconnected. A few can be on the way when a stream is opened anew.
const STRAYS_PER_HEARTBEAT_MAX: u32 = 64;

/// What a header that came turned out to be.
enum HeaderVerdict {
    Accepted,
    Refused(RefuseReason),
    Convicts(Fault),
}

impl<P: PeerName> State<P> {
    pub(super) fn on_data(&mut self, now: Instant, peer: P, bytes: Bytes) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        self.stats.data_bytes_received += bytes.len() as u64;
        let frame_bytes = bytes.len() as u64;
        let frame = match DataFrame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.disconnect(peer, Fault::Malformed(error)),
        };
        let is_other = match self.config.profile {
            Profile::Documented => frame.fragment.is_some(),
            Profile::Adaptive => false,
        };
        if is_other {
            return self.disconnect(peer, Fault::OtherProfile);
        }
        if let Some(epoch) = frame.epoch {
            state.receipts.on_epoch(epoch);
            for message in self.messages.iter_mut() {
                if let Some(link) = message.links.get_mut(&peer) {
                    link.receiving = None;
                }
            }
        }
        let piece_bytes = frame.piece.as_ref().map_or(0, |piece| piece.bytes.len())
            + frame.fragment.as_ref().map_or(0, |fragment| fragment.bytes.len());
        let scale = u64::from(self.config.payload_scale);
        state.receipts.on_frame(now, frame_bytes + piece_bytes as u64 * (scale - 1));
        self.schedule_acknowledgement(peer);
        if let Some(acknowledgement) = frame.acknowledgement {
            self.on_acknowledgement(now, peer, acknowledgement);
        }
        if let Some(signed) = frame.header {
            self.on_header(now, peer, signed);
        }
        if let Some(piece) = frame.piece {
            match self.config.profile {
                Profile::Documented => self.on_piece(now, peer, piece),
                Profile::Adaptive => return self.on_combination(now, peer, piece),
            }
        }
        if let Some(fragment) = frame.fragment {
            self.on_fragment(now, peer, fragment);
        }
    }

    /// Takes a header, refuses it, or convicts who sent it.
    fn on_header(&mut self, now: Instant, peer: P, signed: SignedHeader) {
        let hash = signed.header.hash();
        let topic = signed.header.topic.clone();
        match self.judge_header(now, peer, hash, signed) {
            HeaderVerdict::Accepted => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.refused.remove(&hash);
                }
                if let Some(message) = self.messages.get_mut(&hash) {
                    let link = message.links.entry(peer).or_default();
                    link.exchanged = true;
                    link.has_header = true;
                }
            }
            HeaderVerdict::Refused(reason) => {
                let throttled = matches!(reason, RefuseReason::Busy);
                self.count(&topic, |stats| stats.throttled += u64::from(throttled));
                self.refuse(now, peer, hash, reason);
            }
            HeaderVerdict::Convicts(fault) => self.disconnect(peer, fault),
        }
    }

    pub(super) fn refuse(&mut self, now: Instant, peer: P, hash: HeaderHash, reason: RefuseReason) {
        self.stats.headers_refused += 1;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.refused.insert(now, hash);
        state.control.push(Control::Refuse { header: hash, reason });
        self.tell_control_ready(peer);
    }

    fn judge_header(
        &mut self,
        now: Instant,
        peer: P,
        hash: HeaderHash,
        signed: SignedHeader,
    ) -> HeaderVerdict {
        if self.messages.get(&hash).is_some() {
            return HeaderVerdict::Accepted;
        }
        let (shape, holding) = match self.judge_claims(now, peer, &signed.header) {
            Ok(claims) => claims,
            Err(reason) => return HeaderVerdict::Refused(reason),
        };
        if let Err(reason) = self.judge_sequence(now, hash, &signed.header) {
            return HeaderVerdict::Refused(reason);
        }
        let checks_max = self.config.limits.signature_checks_per_second_max;
        let Some(state) = self.peers.get_mut(&peer) else {
            return HeaderVerdict::Refused(RefuseReason::Busy);
        };
        if state.record.is_graylisted() {
            self.stats.headers_graylisted += 1;
            return HeaderVerdict::Refused(RefuseReason::Busy);
        }
        if !state.allowance.take_signature_check(now, checks_max) {
            return HeaderVerdict::Refused(RefuseReason::Busy);
        }
        if !signed.verify(&*self.keys) {
            return HeaderVerdict::Convicts(Fault::BadSignature { header: hash });
        }
        if let Err(reason) = self.record_sequence(now, hash, &signed.header) {
            return HeaderVerdict::Refused(reason);
        }
        let bytes = open_bytes(&signed.header, holding.as_ref());
        match self.messages.admission(&self.config.limits, peer, bytes) {
            Admission::Fits => {}
            Admission::Evict(victim) => {
                self.stats.messages_evicted += 1;
                self.drop_message(now, victim, Some(RefuseReason::Busy));
            }
            Admission::Full => {
                self.dropped.insert(now, hash);
                return HeaderVerdict::Refused(RefuseReason::Busy);
            }
        }
        self.stats.headers_accepted += 1;
        self.retired.remove(&hash);
        let phase = holding.map_or_else(|| Phase::Open(Decoder::new(shape)), Phase::Gathering);
        let mut message = Message::new(hash, Arc::new(signed), shape, phase, Some(peer), now);
        message.links.insert(peer, Link::default());
        message.spread.is_late = self.repairs.was_asked(hash);
        self.messages.open(message);
        self.take_rumour(now, hash);
        HeaderVerdict::Accepted
    }

    /// Judges what a header says, before its signature costs anything.
    fn judge_claims(
        &mut self,
        now: Instant,
        peer: P,
        header: &Header,
    ) -> Result<(Shape, Option<Holding>), RefuseReason> {
        if header.cluster != self.config.cluster {
            return Err(RefuseReason::OtherCluster);
        }
        if !self.topics.contains_key(&header.topic) {
            return Err(RefuseReason::NotSubscribed);
        }
        if header.payload_bytes > self.config.message_bytes_max {
            return Err(RefuseReason::TooLarge);
        }
        let claims = self.judge_shape(header).ok_or(RefuseReason::Shape)?;
        if self.seen.contains(now, &header.message) {
            self.stats.duplicate_messages += 1;
            self.count(&header.topic, |stats| {
                stats.received += 1;
                stats.received_bytes += header.payload_bytes;
            });
            self.outbox.trace(|| Trace::Duplicate {
                message: header.message,
                topic: header.topic.clone(),
                received_from: peer,
            });
            return Err(RefuseReason::Seen);
        }
        let rivals = self.messages.claims(&header.message).count();
        if rivals >= self.config.limits.headers_per_message_max {
            return Err(RefuseReason::TooManyClaims);
        }
        Ok(claims)
    }

    /// Returns how a message is cut, if that is possible in the profile of this node.
    fn judge_shape(&self, header: &Header) -> Option<(Shape, Option<Holding>)> {
        match self.config.profile {
            Profile::Documented => {
                let shape = Shape::for_payload(header.payload_bytes, header.fragments).ok()?;
                let fits = shape.fragment_bytes() == header.fragment_bytes;
                (fits && header.root.is_empty()).then_some((shape, None))
            }
            Profile::Adaptive => {
                let holding = Holding::new(header)?;
                Some((header.shape().ok()?, Some(holding)))
            }
        }
    }

    fn judge_sequence(
        &mut self,
        now: Instant,
        hash: HeaderHash,
        header: &Header,
    ) -> Result<(), RefuseReason> {
        match self.replay.check(now, &header.publisher, header.sequence, hash) {
            // Another header under the same number counts only once its signature is checked.
            SequenceCheck::New | SequenceCheck::Equivocation => Ok(()),
            // Its message was dropped undelivered: it may come again.
            SequenceCheck::Known if self.dropped.contains(now, &hash) => Ok(()),
            SequenceCheck::Known | SequenceCheck::Replayed => {
                self.stats.headers_replayed += 1;
                Err(RefuseReason::Replayed)
            }
            SequenceCheck::Barred => {
                self.stats.headers_replayed += 1;
                Err(RefuseReason::Barred)
            }
        }
    }

    /// Remembers the number of a header whose signature is right. A publisher that used it for two
    /// headers is barred, and both stop.
    fn record_sequence(
        &mut self,
        now: Instant,
        hash: HeaderHash,
        header: &Header,
    ) -> Result<(), RefuseReason> {
        let check = self.replay.record(now, &header.publisher, header.sequence, hash);
        self.stats.publishers_evicted = self.replay.evicted();
        if check != SequenceCheck::Equivocation {
            return Ok(());
        }
        self.stats.publishers_barred += 1;
        let others: Vec<HeaderHash> = self
            .messages
            .iter()
            .filter(|message| {
                let other = &message.signed.header;
                other.publisher == header.publisher && other.sequence == header.sequence
            })
            .map(|message| message.hash)
            .collect();
        for other in others {
            self.drop_message(now, other, Some(RefuseReason::Barred));
        }
        Err(RefuseReason::Barred)
    }

    fn on_piece(&mut self, now: Instant, peer: P, piece: Piece) {
        let hash = piece.generation.header;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.refused.contains(now, &hash) {
            self.stats.shards_refused += u64::from(piece.start.is_some());
            return;
        }
        let known = self.messages.get_mut(&hash);
        let Some(message) =
            known.filter(|message| message.links.get(&peer).is_some_and(|link| link.exchanged))
        else {
            return self.on_stray(now, peer, hash, piece.start.is_some());
        };
        let bad = |what| Fault::BadShard { header: hash, what };
        if piece.generation.index != 0 {
            return self.disconnect(peer, bad("the message has one generation"));
        }
        if piece
            .start
            .as_ref()
            .is_some_and(|start| start.coefficients.len() != usize::from(message.shape.fragments()))
        {
            return self.disconnect(peer, bad("its coefficient vector has a wrong length"));
        }
        if !matches!(message.phase, Phase::Open(_)) {
            let claimed = message.signed.header.message;
            return self.on_unnecessary(peer, claimed, piece.start);
        }
        let fragment_bytes = message.shape.fragment_bytes() as usize;
        let begins_partial = piece.start.is_some() && piece.bytes.len() < fragment_bytes;
        if begins_partial && !self.has_partial_room(fragment_bytes as u64) {
            self.stats.shards_refused += 1;
            return self.refuse(now, peer, hash, RefuseReason::Busy);
        }
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let link = message.links.entry(peer).or_default();
        let offset = piece.offset as usize;
        match link.receive(piece.start, offset, piece.bytes, fragment_bytes) {
            Ok(None) => {}
            Ok(Some((start, payload))) => self.on_shard(now, peer, hash, start, payload),
            Err(error) => self.disconnect(peer, bad(error.text())),
        }
    }

    /// Returns whether one more shard may be taken in pieces. Counted anew each time: a shard in
    /// pieces is many frames, so this is rare, and no account can drift.
    fn has_partial_room(&self, fragment_bytes: u64) -> bool {
        let partial_bytes: u64 = self.messages.iter().map(Message::partial_bytes).sum();
        partial_bytes + fragment_bytes <= self.config.limits.partial_bytes_max
    }

    /// A shard whose header is not known on the connection. What went out of retention a short
    /// while ago is no fault; a few others can be on the way when a stream was opened anew.
    pub(super) fn on_stray(&mut self, now: Instant, peer: P, hash: HeaderHash, begins: bool) {
        if self.retired.contains(now, &hash) {
            self.stats.shards_unnecessary += u64::from(begins);
            return;
        }
        if begins {
            self.stats.shards_without_header += 1;
            self.refuse(now, peer, hash, RefuseReason::NoHeader);
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.allowance.strays += u32::from(begins);
        if state.allowance.strays > STRAYS_PER_HEARTBEAT_MAX {
            self.disconnect(peer, Fault::UnknownHeader { header: hash });
        }
    }

    fn on_unnecessary(&mut self, peer: P, message: crate::MessageId, start: Option<ShardStart>) {
        let Some(start) = start else { return };
        self.stats.shards_unnecessary += 1;
        let coefficients = start.coefficients;
        self.outbox.trace(|| {
            Trace::UnnecessaryShard(ShardTrace { message, received_from: peer, coefficients })
        });
    }

    /// A whole shard of an open message.
    fn on_shard(
        &mut self,
        now: Instant,
        peer: P,
        hash: HeaderHash,
        start: ShardStart,
        payload: Bytes,
    ) {
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let Phase::Open(decoder) = &mut message.phase else { return };
        let claimed = message.signed.header.message;
        let coefficients = start.coefficients;
        let shard = match Shard::parse(message.shape, coefficients.clone(), payload) {
            Ok(shard) => shard,
            Err(error) => {
                let what = match error {
                    ShardError::ZeroCoefficients => "its coefficient vector is zero",
                    ShardError::CoefficientBytes { .. }
                    | ShardError::PayloadBytes { .. }
                    | ShardError::NoFragment { .. } => "its length is wrong",
                };
                return self.disconnect(peer, Fault::BadShard { header: hash, what });
            }
        };
        let row = decoder.held().len();
        let Ok(absorbed) = decoder.absorb(shard) else {
            unreachable!("the shard was parsed for the shape of its message")
        };
        let (rank, full) = (decoder.rank(), decoder.is_full());
        let held =
            start.publisher_index.filter(|index| message.publisher_shards.contains_key(index));
        if let (Some(index), Some(link)) = (held, message.links.get_mut(&peer)) {
            link.known.insert(index);
            link.due.remove(&index);
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.on_shard(absorbed);
        }
        self.trace_rpc_received(
            peer,
            claimed,
            self.messages.get(&hash).map_or(0, |message| shard_length(&self.config, message)),
        );
        let told = ShardTrace {
            message: claimed,
            received_from: peer,
            coefficients: coefficients.clone(),
        };
        match absorbed {
            Absorbed::Redundant if held.is_some() => {
                self.stats.shards_duplicate += 1;
                self.outbox.trace(|| Trace::DuplicateShard(told));
            }
            Absorbed::Redundant => {
                self.stats.shards_unhelpful += 1;
                self.outbox.trace(|| Trace::UnhelpfulShard(told));
            }
            Absorbed::Innovative => {
                self.stats.shards_innovative += 1;
                self.outbox.trace(|| Trace::NewShard(told));
                let index = start.publisher_index.filter(|_| held.is_none());
                if let Some(message) = self.messages.get_mut(&hash) {
                    message.progressed = now;
                    if let Some(index) = index {
                        let shard = PublisherShard { coefficients, row };
                        message.publisher_shards.insert(index, shard);
                        message.links.entry(peer).or_default().known.insert(index);
                    }
                }
                self.relay(hash, peer, index, rank);
                if full {
                    self.decode(now, hash, peer);
                }
            }
        }
    }

    pub(super) fn trace_rpc_received(&mut self, from: P, message: crate::MessageId, bytes: u64) {
        self.outbox.trace(|| {
            let meta = RpcMeta { shards: vec![message], ..RpcMeta::default() };
            Trace::ReceiveRpc { from, meta, bytes }
        });
    }
}

/// Returns how many bytes a whole shard of `message` has; with its coefficient vector, if it is
/// coded.
pub(super) fn shard_length<P: PeerName>(config: &crate::Config, message: &Message<P>) -> u64 {
    let coefficients =
        if message.holding().is_some() { 0 } else { u64::from(message.shape.fragments()) };
    u64::from(message.shape.fragment_bytes()) * u64::from(config.payload_scale) + coefficients
}
