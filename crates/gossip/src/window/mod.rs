//! How much data may be on the way to each peer, and from this node in all.
//!
//! Writable streams and flushes say nothing about the wire: megabytes fit below them. So each peer
//! acknowledges the bytes it took, and room is counted here. A peer's window is 1.25 × its best
//! goodput of the last second × its smallest round-trip time, doubling per round trip at the start.
//! All peers share one uplink, so a limit of the node overrides the windows: a few frames beyond
//! Σ goodput × round-trip time, given in the order of asking; or, paced, as much as arrives.

mod estimate;
mod flow;
mod index;
mod limit;
mod pace;
mod receipts;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use thiserror::Error;

use self::{
    estimate::Goodput,
    flow::{Flow, RECORD_BYTES, Record, Turn},
    index::Index,
    limit::{DRAIN_FIRST, Drain},
    pace::Pace,
};
use crate::{
    PeerName,
    wire::{Acknowledgement, PIECE_BYTES_MAX},
};

pub(crate) use receipts::Receipts;

/// The unit of windows: a full data frame.
const FRAME_BYTES: u64 = PIECE_BYTES_MAX as u64;

/// The smallest window: one frame on the wire while the acknowledgement of another is on its way.
const FLOOR_BYTES: u64 = 2 * FRAME_BYTES;

/// The same where the node is paced, so that windows need not protect its uplink.
const FLOOR_PACED_BYTES: u64 = 4 * FRAME_BYTES;

/// A peer that was told of room and did not use it for this long loses its turn.
const OFFER_TTL: Duration = Duration::from_millis(20);

/// Settings of [`Windows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowConfig {
    /// Off only to measure what windows are worth: then writers are the only limit.
    pub(crate) limited: bool,
    /// What leaves in all is paced, and probes tell the round-trip times; else it is limited by
    /// what is on the way, and they are found by holding back now and then.
    pub(crate) paced: bool,
    /// A peer is near when its round-trip time is no longer.
    pub(crate) near_rtt: Duration,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self { limited: true, paced: false, near_rtt: Duration::ZERO }
    }
}

impl WindowConfig {
    fn floor_bytes(self) -> u64 {
        if self.paced { FLOOR_PACED_BYTES } else { FLOOR_BYTES }
    }
}

/// More was acknowledged than was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{acknowledged} bytes acknowledged of {sent} sent")]
pub(crate) struct AcknowledgementError {
    pub(crate) acknowledged: u64,
    pub(crate) sent: u64,
}

/// The windows of all connected peers.
#[derive(Debug)]
pub(crate) struct Windows<P> {
    config: WindowConfig,
    flows: BTreeMap<P, Flow>,
    index: Index<P>,
    /// Peers that were refused room, first come first. May name one that is gone or served.
    waiting: VecDeque<P>,
    epoch: u32,
    goodput: Option<Goodput>,
    pace: Pace,
    drain: Drain,
    drain_after: Duration,
    /// When the last draining ended: the limit rises again within a round trip, not at once.
    drained_at: Option<Instant>,
    /// The latest time heard of.
    now: Option<Instant>,
}

impl<P: PeerName> Windows<P> {
    pub(crate) fn new(config: WindowConfig) -> Self {
        Self {
            config,
            flows: BTreeMap::new(),
            index: Index::new(config.near_rtt),
            waiting: VecDeque::new(),
            epoch: 0,
            goodput: None,
            pace: Pace::default(),
            drain: Drain::Since(None),
            drain_after: DRAIN_FIRST,
            drained_at: None,
            now: None,
        }
    }

    /// Our data stream to the peer is about to open.
    pub(crate) fn connect(&mut self, now: Instant, peer: P) {
        self.now = Some(now);
        self.waiting.retain(|&waiting| waiting != peer);
        self.epoch = self.epoch.wrapping_add(1);
        self.drain_after = DRAIN_FIRST;
        if let Some(before) = self.flows.insert(peer, Flow::new(now, self.epoch)) {
            self.index.remove(peer, &before);
        }
    }

    /// Our data stream to the peer opens anew: what was in flight counts as never sent.
    pub(crate) fn reset(&mut self, now: Instant, peer: P) {
        // It is as far away as it was.
        let probed = self.flows.get(&peer).and_then(|flow| flow.probed);
        self.connect(now, peer);
        if let Some(time) = probed {
            self.on_probed(peer, time);
        }
    }

    /// The peer is gone; what was in flight counts as never sent.
    pub(crate) fn disconnect(&mut self, peer: P) {
        if let Some(flow) = self.flows.remove(&peer) {
            self.index.remove(peer, &flow);
        }
        self.waiting.retain(|&waiting| waiting != peer);
    }

    /// Returns the number of our data stream to the peer, which its acknowledgements repeat.
    pub(crate) fn epoch(&self, peer: P) -> Option<u32> {
        self.flows.get(&peer).map(|flow| flow.epoch)
    }

    /// Returns whether one more data frame may leave to the peer. If not, the peer is remembered
    /// and [`Self::poll_ready`] names it when there is room.
    pub(crate) fn admit(&mut self, now: Instant, peer: P) -> bool {
        self.now = Some(now);
        self.withdraw_offers(now);
        let Some(flow) = self.flows.get(&peer) else { return false };
        if !self.config.limited {
            return true;
        }
        let offered = matches!(flow.turn, Turn::Offered(_));
        if flow.has_room(self.config.floor_bytes()) && (offered || self.node_has_room(now)) {
            return true;
        }
        if let Some(flow) = self.flows.get_mut(&peer) {
            flow.refused_at = Some(now);
            if flow.turn != Turn::Waiting {
                flow.turn = Turn::Waiting;
                self.index.update(peer, flow);
                self.wait(peer);
            }
        }
        false
    }

    /// Puts a peer into the line, before all that are not hurried if it is.
    fn wait(&mut self, peer: P) {
        let hurried = |peer: &P| self.flows.get(peer).is_some_and(|flow| flow.hurried);
        let place = if hurried(&peer) {
            self.waiting.iter().position(|other| !hurried(other)).unwrap_or(self.waiting.len())
        } else {
            self.waiting.len()
        };
        self.waiting.insert(place, peer);
    }

    /// The next frame for the peer goes before those for others that wait.
    pub(crate) fn hurry(&mut self, peer: P) {
        let Some(flow) = self.flows.get_mut(&peer) else { return };
        if std::mem::replace(&mut flow.hurried, true) || flow.turn != Turn::Waiting {
            return;
        }
        self.waiting.retain(|&waiting| waiting != peer);
        self.wait(peer);
    }

    /// Returns a peer that was refused and has room now, first come first. Room for one frame is
    /// kept for it.
    pub(crate) fn poll_ready(&mut self) -> Option<P> {
        let now = self.now?;
        if self.waiting.is_empty() || !self.node_has_room(now) {
            return None;
        }
        let flows = &self.flows;
        let floor = self.config.floor_bytes();
        let has_room = |peer: &P| flows.get(peer).is_some_and(|flow| flow.has_room(floor));
        let place = self.waiting.iter().position(has_room)?;
        let peer = self.waiting.remove(place)?;
        if let Some(flow) = self.flows.get_mut(&peer) {
            flow.turn = Turn::Offered(now);
            self.index.update(peer, flow);
        }
        Some(peer)
    }

    /// The peer was told of room and has nothing to send after all.
    pub(crate) fn decline(&mut self, peer: P) {
        if let Some(flow) = self.flows.get_mut(&peer)
            && matches!(flow.turn, Turn::Offered(_))
        {
            flow.turn = Turn::None;
            self.index.update(peer, flow);
        }
    }

    /// A data frame of `bytes` bytes leaves.
    pub(crate) fn on_sent(&mut self, now: Instant, peer: P, bytes: u64) {
        self.now = Some(now);
        let idle = self.index.is_idle();
        let node_mark = self.goodput.get_or_insert_with(|| Goodput::new(now)).mark(now, idle);
        let Some(flow) = self.flows.get_mut(&peer) else { return };
        if flow.in_flight() == 0 {
            flow.progress_at = now;
        }
        if matches!(flow.turn, Turn::Offered(_)) {
            flow.turn = Turn::None;
        }
        flow.hurried = false;
        let node = self.goodput.as_ref();
        let (rate, is_starting) =
            (node.and_then(Goodput::best), node.is_none_or(Goodput::is_starting));
        self.pace.on_sent(now, bytes, rate, is_starting);
        let mark = flow.goodput.mark(now, flow.in_flight() == 0);
        flow.sent += bytes;
        match flow.records.back_mut() {
            Some(record) if record.bytes + bytes <= RECORD_BYTES => {
                record.end = flow.sent;
                record.bytes += bytes;
            }
            _ => {
                let record = Record { end: flow.sent, bytes, sent_at: now, mark, node_mark };
                flow.records.push_back(record);
            }
        }
        self.index.update(peer, flow);
    }

    /// The peer took more. An acknowledgement of an earlier stream is ignored.
    ///
    /// # Errors
    ///
    /// Returns [`AcknowledgementError`] if it acknowledges more than was sent.
    pub(crate) fn on_acknowledged(
        &mut self,
        now: Instant,
        peer: P,
        acknowledgement: &Acknowledgement,
    ) -> Result<(), AcknowledgementError> {
        self.now = Some(now);
        let Some(flow) = self.flows.get_mut(&peer) else { return Ok(()) };
        if acknowledgement.epoch != flow.epoch {
            return Ok(());
        }
        let Acknowledgement { bytes: acknowledged, waited, .. } = *acknowledgement;
        if acknowledged > flow.sent {
            return Err(AcknowledgementError { acknowledged, sent: flow.sent });
        }
        let bytes = acknowledged.saturating_sub(flow.acknowledged);
        if bytes == 0 {
            return Ok(());
        }
        flow.acknowledged = acknowledged;
        flow.progress_at = now;
        flow.stalled = false;
        let node = self.goodput.get_or_insert_with(|| Goodput::new(now));
        node.deliver(now, bytes);
        let newest = flow.take_records();
        let sent_at = newest.as_ref().map_or(now, |record| record.sent_at);
        let arrived_at = now.checked_sub(waited).unwrap_or(now).clamp(sent_at.min(now), now);
        flow.goodput.deliver(arrived_at, bytes);
        if let Some(Record { sent_at, mark, node_mark, .. }) = newest {
            let time = arrived_at.saturating_duration_since(sent_at);
            flow.round_trip.sample(now, time);
            if let Some(shortest) = flow.smallest_round_trip() {
                self.pace.on_delay(now, time.saturating_sub(shortest));
            }
            // What is let go alone while the queue is emptied has the whole uplink: no measure of
            // what it gets beside others.
            let alone = !matches!(self.drain, Drain::Since(_));
            let backlogged = flow.refused_at.is_some_and(|refused| refused >= sent_at);
            if !alone {
                flow.goodput.sample(sent_at, mark, backlogged);
                node.sample(sent_at, node_mark, backlogged);
            }
        }
        self.index.update(peer, flow);
        self.watch_drain(now);
        Ok(())
    }

    /// Marks peers that do not acknowledge as stalled, and withdraws offers that nobody uses;
    /// returns how many peers are newly stalled.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> u64 {
        self.now = Some(now);
        let mut stalled = 0;
        while let Some((at, peer)) = self.index.next_stall()
            && at <= now
            && let Some(flow) = self.flows.get_mut(&peer)
        {
            flow.stalled = true;
            stalled += 1;
            if matches!(flow.turn, Turn::Offered(_)) {
                flow.turn = Turn::None;
            }
            self.index.update(peer, flow);
        }
        self.withdraw_offers(now);
        self.watch_drain(now);
        stalled
    }

    /// Returns when [`Self::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let someone_waits = !self.waiting.is_empty();
        let stalled = self.index.next_stall().map(|(at, _)| at);
        let offer = self.index.oldest_offer().filter(|_| someone_waits);
        let offer = offer.map(|(since, _)| since + OFFER_TTL);
        let drained = match self.drain {
            Drain::Until(at) if someone_waits => Some(at),
            Drain::Until(_) | Drain::Since(_) | Drain::Running => None,
        };
        let paced = self.now.filter(|_| self.config.paced && someone_waits);
        let paced = paced.and_then(|now| Some(self.paced_room_at(now)).filter(|at| *at > now));
        [stalled, offer, drained, paced].into_iter().flatten().min()
    }

    /// Returns the smallest round-trip time of the last ten seconds and of the probe.
    pub(crate) fn rtt(&self, peer: P) -> Option<Duration> {
        self.flows.get(&peer)?.smallest_round_trip()
    }

    /// Returns whether the peer is near.
    pub(crate) fn is_near(&self, peer: P) -> bool {
        self.index.is_near(&peer)
    }

    /// Returns how often a peer came to be near or ceased to be.
    pub(crate) fn near_changes(&self) -> u64 {
        self.index.near_changes()
    }

    /// Returns whether a probe of the peer came back since our stream to it opened.
    pub(crate) fn is_probed(&self, peer: P) -> bool {
        self.flows.get(&peer).is_some_and(|flow| flow.probed.is_some())
    }

    /// A probe of the peer came back after `time`.
    pub(crate) fn on_probed(&mut self, peer: P, time: Duration) {
        if let Some(flow) = self.flows.get_mut(&peer) {
            flow.probed = Some(time);
            self.index.update(peer, flow);
        }
    }

    /// Returns how many bytes are sent and not acknowledged.
    pub(crate) fn in_flight(&self, peer: P) -> u64 {
        self.flows.get(&peer).map_or(0, Flow::in_flight)
    }

    /// Returns how many bytes may be in flight to the peer; the node's limit may be lower.
    pub(crate) fn window(&self, peer: P) -> u64 {
        self.flows.get(&peer).map_or(0, |flow| flow.window(self.config.floor_bytes()))
    }

    /// Returns whether the peer has not acknowledged for too long.
    pub(crate) fn is_stalled(&self, peer: P) -> bool {
        self.flows.get(&peer).is_some_and(|flow| flow.stalled)
    }

    fn withdraw_offers(&mut self, now: Instant) {
        while let Some((since, peer)) = self.index.oldest_offer()
            && since + OFFER_TTL <= now
            && let Some(flow) = self.flows.get_mut(&peer)
        {
            flow.turn = Turn::None;
            self.index.update(peer, flow);
        }
    }

    /// Returns when the node may send one more frame, whoever gets it.
    fn paced_room_at(&self, now: Instant) -> Instant {
        let offered = self.index.offers() as u64 * FRAME_BYTES;
        self.pace.room_at(now, self.goodput.as_ref().and_then(Goodput::best), offered)
    }

    fn node_has_room(&self, now: Instant) -> bool {
        if self.config.paced { self.paced_room_at(now) <= now } else { self.is_below_limit(now) }
    }
}
