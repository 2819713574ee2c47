//! `GossipSub` v1.2 as rust-libp2p runs it (libp2p-gossipsub 0.50), for one topic that every node is in:
//! a message goes whole to the mesh when it came whole; ids go to others at the heartbeat; who has a
//! long message says IDONTWANT.
//!
//! There is one stream each way between two nodes, [`Lane::Data`], for messages and control alike: an
//! IDONTWANT waits for a message on the same connection that has begun to leave. No scoring, no peer
//! exchange, no signatures.

mod cache;
mod config;
mod frame;
mod mesh;
mod queue;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::RngExt as _;
use rand::seq::{IteratorRandom as _, SliceRandom as _};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng as _};

pub use config::Config;
pub use frame::{Frame, Message};

use crate::protocol::{Direction, Event, Lane, MessageId, NodeId, Outgoing, Protocol, Received};
use cache::Cache;
use mesh::{Candidate, Mesh};
use queue::Queue;

/// What rust-libp2p remembers of a peer's IDONTWANT, and how many at most.
const IDONTWANT_TIME: Duration = Duration::from_secs(3);
const IDONTWANT_PER_PEER: usize = 10_000;
/// Ids in one IHAVE or IWANT at most.
const IDS_PER_RPC: usize = 5000;
/// SHA-256 with a CPU's instructions for it, one core; rust-libp2p hashes each copy that comes.
const HASHED_BYTES_PER_SECOND: f64 = 1.5e9;
/// Each copy is encoded into a buffer before it leaves, and decoded out of one.
const COPIED_BYTES_PER_SECOND: f64 = 8e9;

/// A copy that is on its way in.
#[derive(Debug)]
struct Incoming {
    message: Message,
    /// What came of it before the message was complete here.
    bytes: u64,
}

#[derive(Debug)]
struct Peer {
    outbound: bool,
    subscribed: bool,
    queue: Queue,
    /// [`Event::Ready`] was given out, and the queue not emptied since.
    ready: bool,
    unwanted: BTreeMap<MessageId, Instant>,
    incoming: Option<Incoming>,
}

/// One node.
#[derive(Debug)]
pub struct GossipSub {
    id: NodeId,
    config: Config,
    rng: ChaCha12Rng,
    peers: BTreeMap<NodeId, Peer>,
    mesh: Mesh,
    cache: Cache,
    /// Messages asked for, of whom, and when they may be asked for again.
    promises: BTreeMap<MessageId, (BTreeSet<NodeId>, Option<Instant>)>,
    next_heartbeat: Instant,
    events: VecDeque<Event>,
    received: Received,
    hashed_bytes: u64,
    copied_bytes: u64,
    /// Messages dropped on connections that are gone.
    dropped: u64,
}

impl GossipSub {
    /// A node without connections, whose first heartbeat comes within one interval after `now`.
    pub fn new(id: NodeId, config: Config, seed: u64, now: Instant) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let phase = config.heartbeat.mul_f64(rng.random_range(0.0..1.0));
        Self {
            id,
            peers: BTreeMap::new(),
            mesh: Mesh::default(),
            cache: Cache::new(config.history),
            promises: BTreeMap::new(),
            next_heartbeat: now + phase,
            events: VecDeque::new(),
            received: Received::default(),
            hashed_bytes: 0,
            copied_bytes: 0,
            dropped: 0,
            config,
            rng,
        }
    }

    /// The peers that whole messages are passed on to.
    pub fn mesh(&self) -> impl Iterator<Item = NodeId> {
        self.mesh.peers()
    }

    /// Messages that were dropped because they waited too long for a connection.
    pub fn dropped(&self) -> u64 {
        self.dropped + self.peers.values().map(|peer| peer.queue.dropped).sum::<u64>()
    }

    fn candidates(&self) -> Vec<Candidate> {
        let subscribed = self.peers.iter().filter(|(_, peer)| peer.subscribed);
        subscribed.map(|(id, peer)| Candidate { id: *id, outbound: peer.outbound }).collect()
    }

    /// Queues something for `to`, if it is connected.
    fn queue(&mut self, now: Instant, to: NodeId, push: impl FnOnce(&mut Peer)) {
        let buffer = self.config.connection_buffer_bytes;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        push(peer);
        peer.queue.hand_over(now, buffer);
        if !peer.ready {
            peer.ready = true;
            self.events.push_back(Event::Ready(to, Lane::Data));
        }
    }

    fn send_control(&mut self, now: Instant, to: NodeId, frame: Frame) {
        self.queue(now, to, |peer| peer.queue.push_control(frame));
    }

    fn send_ids(&mut self, now: Instant, to: NodeId, frame: Frame) {
        let bound = self.config.queue;
        self.queue(now, to, |peer| peer.queue.push_ids(frame, bound));
    }

    /// A message that may wait for as long before it begins to leave.
    fn send_message(&mut self, now: Instant, to: NodeId, message: Message, wait: Duration) {
        if self.config.withholds {
            return;
        }
        let bound = self.config.queue;
        self.copied_bytes += message.bytes;
        self.queue(now, to, |peer| peer.queue.push_message(message, now + wait, bound));
    }

    /// Whom an own message goes to first.
    fn recipients(&mut self) -> Vec<NodeId> {
        let mut recipients: Vec<_> = self.mesh.peers().collect();
        let subscribed = self.candidates().into_iter().map(|peer| peer.id);
        let others = subscribed.filter(|peer| !self.mesh.contains(*peer));
        if self.config.flood_publish {
            recipients.extend(others);
        } else {
            let missing = self.config.mesh.saturating_sub(recipients.len());
            recipients.extend(others.sample(&mut self.rng, missing));
        }
        recipients.shuffle(&mut self.rng);
        recipients
    }

    fn on_piece(&mut self, now: Instant, from: NodeId, message: Message, bytes: u32, last: bool) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let seen = self.cache.has_seen(&message.id);
        let incoming = peer.incoming.get_or_insert(Incoming { message, bytes: 0 });
        if seen {
            self.received.late += u64::from(bytes);
        } else {
            incoming.bytes += u64::from(bytes);
        }
        if last {
            let bytes = incoming.bytes;
            peer.incoming = None;
            self.hashed_bytes += message.bytes;
            self.copied_bytes += message.bytes;
            if !seen {
                self.received.useful += bytes;
                self.on_message(now, from, message);
            }
        }
    }

    /// A message is whole for the first time.
    fn on_message(&mut self, now: Instant, from: NodeId, message: Message) {
        for peer in self.peers.values_mut() {
            if let Some(incoming) = &mut peer.incoming
                && incoming.message.id == message.id
            {
                self.received.duplicate += std::mem::take(&mut incoming.bytes);
            }
        }
        let others = |peer: &NodeId| *peer != from && *peer != message.author;
        let mut mesh: Vec<_> = self.mesh.peers().filter(others).collect();
        mesh.shuffle(&mut self.rng);
        let asked = self.promises.remove(&message.id).map(|(peers, _)| peers).unwrap_or_default();
        if self.config.idontwant_above_bytes.is_some_and(|above| message.bytes > above) {
            let told: BTreeSet<_> = asked.into_iter().filter(others).chain(mesh.clone()).collect();
            for peer in told {
                self.send_control(now, peer, Frame::IDontWant(message.id));
            }
        }
        self.cache.insert(now, message);
        self.events.push_back(Event::Delivered(message.id));
        for peer in mesh {
            if !self.is_unwanted(peer, &message.id) {
                self.send_message(now, peer, message, self.config.forward_wait);
            }
        }
    }

    fn is_unwanted(&self, peer: NodeId, id: &MessageId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.unwanted.contains_key(id))
    }

    fn on_ihave(&mut self, now: Instant, from: NodeId, ids: &[MessageId]) {
        let mut wanted = Vec::new();
        for id in ids {
            let asked = match self.promises.get(id) {
                Some((_, Some(again))) => now < *again,
                Some((_, None)) => true,
                None => false,
            };
            if !asked && !self.cache.has_seen(id) {
                wanted.push(*id);
            }
        }
        if wanted.is_empty() {
            return;
        }
        wanted.shuffle(&mut self.rng);
        let again = self.config.iwant_followup.map(|time| now + time);
        for id in &wanted {
            let promise = self.promises.entry(*id).or_default();
            promise.0.insert(from);
            promise.1 = again;
        }
        self.send_ids(now, from, Frame::IWant(wanted.into()));
    }

    fn on_iwant(&mut self, now: Instant, from: NodeId, ids: &[MessageId]) {
        for id in ids {
            let message = self.cache.asked(id, from, self.config.retransmissions);
            if let Some(message) = message
                && !self.is_unwanted(from, id)
            {
                self.send_message(now, from, message, self.config.forward_wait);
            }
        }
    }

    fn on_idontwant(&mut self, now: Instant, from: NodeId, id: MessageId) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.queue.remove(&id);
        if peer.unwanted.len() < IDONTWANT_PER_PEER {
            peer.unwanted.insert(id, now);
        }
    }

    fn on_subscribe(&mut self, now: Instant, from: NodeId) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.subscribed = true;
        if self.mesh.subscribed(now, from, &self.config) {
            self.send_control(now, from, Frame::Graft);
        }
    }

    fn on_graft(&mut self, now: Instant, from: NodeId) {
        let Some(peer) = self.peers.get(&from).filter(|peer| peer.subscribed) else { return };
        let candidate = Candidate { id: from, outbound: peer.outbound };
        if !self.mesh.grafted(now, candidate, &self.config) {
            self.send_control(now, from, Frame::Prune);
        }
    }

    fn heartbeat(&mut self, now: Instant) {
        let candidates = self.candidates();
        let changes = self.mesh.heartbeat(now, &candidates, &self.config, &mut self.rng);
        self.gossip(now, &candidates);
        for peer in changes.graft {
            self.send_control(now, peer, Frame::Graft);
        }
        for peer in changes.prune {
            self.send_control(now, peer, Frame::Prune);
        }
        self.cache.shift(now, self.config.seen);
        self.promises.retain(|_, (_, again)| again.is_none_or(|again| now < again));
        for peer in self.peers.values_mut() {
            peer.unwanted.retain(|_, at| now.saturating_duration_since(*at) <= IDONTWANT_TIME);
        }
    }

    /// Tells ids of late to some peers outside the mesh.
    fn gossip(&mut self, now: Instant, candidates: &[Candidate]) {
        let mut ids = self.cache.recent(self.config.history_gossip);
        if ids.is_empty() {
            return;
        }
        let outside = candidates.iter().map(|peer| peer.id).filter(|id| !self.mesh.contains(*id));
        let outside: Vec<_> = outside.collect();
        let share = (self.config.gossip_factor * outside.len() as f64) as usize;
        ids.shuffle(&mut self.rng);
        ids.truncate(IDS_PER_RPC);
        let told = outside.into_iter().sample(&mut self.rng, share.max(self.config.lazy));
        let ids: std::sync::Arc<[MessageId]> = ids.into();
        for peer in told {
            self.send_ids(now, peer, Frame::IHave(ids.clone()));
        }
    }
}

impl Protocol for GossipSub {
    type Frame = Frame;

    fn on_connected(&mut self, now: Instant, peer: NodeId, direction: Direction) {
        let connected = Peer {
            outbound: direction == Direction::Outbound,
            subscribed: false,
            queue: Queue::default(),
            ready: false,
            unwanted: BTreeMap::new(),
            incoming: None,
        };
        self.peers.insert(peer, connected);
        self.send_control(now, peer, Frame::Subscribe);
    }

    fn on_disconnected(&mut self, _now: Instant, peer: NodeId) {
        if let Some(gone) = self.peers.remove(&peer) {
            self.dropped += gone.queue.dropped;
            self.received.duplicate += gone.incoming.map_or(0, |incoming| incoming.bytes);
        }
        self.mesh.disconnected(peer);
    }

    fn on_frame(&mut self, now: Instant, peer: NodeId, _lane: Lane, frame: Frame) {
        match frame {
            Frame::Subscribe => self.on_subscribe(now, peer),
            Frame::Graft => self.on_graft(now, peer),
            Frame::Prune => self.mesh.pruned(now, peer, &self.config),
            Frame::IDontWant(id) => self.on_idontwant(now, peer, id),
            Frame::IHave(ids) => self.on_ihave(now, peer, &ids),
            Frame::IWant(ids) => self.on_iwant(now, peer, &ids),
            Frame::Piece { message, bytes, last } => self.on_piece(now, peer, message, bytes, last),
        }
    }

    fn publish(&mut self, now: Instant, payload: Bytes) {
        let id = gossip::message_id(&payload);
        if self.cache.has_seen(&id) {
            return;
        }
        let bytes = payload.len() as u64 * u64::from(self.config.payload_scale);
        let message = Message { id, author: self.id, bytes };
        self.hashed_bytes += bytes;
        self.promises.remove(&id);
        self.cache.insert(now, message);
        self.events.push_back(Event::Delivered(id));
        for peer in self.recipients() {
            self.send_message(now, peer, message, self.config.publish_wait);
        }
    }

    fn on_work_done(&mut self, _now: Instant, _id: u64) {}

    fn next_frame(&mut self, now: Instant, peer: NodeId, lane: Lane) -> Option<Outgoing<Frame>> {
        if lane == Lane::Control {
            return None;
        }
        let peer = self.peers.get_mut(&peer)?;
        let next = peer.queue.next(now, self.config.connection_buffer_bytes);
        peer.ready = next.is_some();
        next
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.next_heartbeat)
    }

    fn handle_timeout(&mut self, now: Instant) {
        while self.next_heartbeat <= now {
            self.heartbeat(now);
            self.next_heartbeat += self.config.heartbeat;
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn received(&self) -> Received {
        self.received
    }

    fn cpu(&self) -> Duration {
        Duration::from_secs_f64(
            self.hashed_bytes as f64 / HASHED_BYTES_PER_SECOND
                + self.copied_bytes as f64 / COPIED_BYTES_PER_SECOND,
        )
    }
}
