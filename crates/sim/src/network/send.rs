//! From a node's writer onto the wire.

use rand::{Rng, RngExt};

use super::{
    Network,
    calls::Task,
    link::Slice,
    model::{SEGMENT_BYTES, Sharing},
    nanos,
    node::transfer_time,
    receive::Flight,
    schedule::{Due, LinkId, Nanos},
};
use crate::protocol::{Lane, NodeId, Outgoing, Protocol};

/// What became of the packets of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// How many had to be sent again, in all.
    pub(super) packets: u64,
    /// How often some of them were.
    pub(super) rounds: u64,
}

impl<P: Protocol> Network<P> {
    /// Asks the node for one frame, if its writer has room; frames of other connections come first
    /// before the next one of this.
    pub(super) fn pull(&mut self, link: LinkId) {
        let Some(lane) = self.links[link as usize].wanted(&self.model) else { return };
        let (from, to) = (self.link(link).from, self.link(link).to);
        let epoch = self.link(link).epoch;
        // The node may want the connection closed in this very call.
        let frame = self.call(from, |protocol, now| protocol.next_frame(now, to, lane));
        let open = self.link(link).epoch == epoch;
        match frame.flatten() {
            Some(outgoing) if open => self.enqueue(link, lane, outgoing),
            Some(_) => {}
            None => self.link(link).set_ready(lane, false),
        }
        if self.links[link as usize].wanted(&self.model).is_some() {
            self.agenda.push_back(Task::Pull(link));
        }
    }

    fn enqueue(&mut self, link: LinkId, lane: Lane, mut outgoing: Outgoing<P::Frame>) {
        if self.model.payload_only {
            outgoing.bytes = outgoing.payload_bytes;
            if outgoing.bytes == 0 {
                return self.send_free(link, lane, outgoing);
            }
        }
        self.link(link).push(lane, outgoing);
        self.take_turn(link);
    }

    /// Puts a link with something to send into the line for the uplink.
    pub(super) fn take_turn(&mut self, link: LinkId) {
        let entry = &mut self.links[link as usize];
        if entry.in_turn || entry.blocked {
            return;
        }
        if self.model.sharing == Sharing::Fluid {
            if let Some(slice) = self.next_slice(link) {
                self.start_flow(link, slice);
            }
            return;
        }
        entry.in_turn = true;
        let node = entry.from;
        let place = &mut self.nodes[node as usize];
        place.turns.push_back(link);
        if place.sending.is_none() {
            self.agenda.push_back(Task::Serve(node));
        }
    }

    /// Lets the uplink send the next slice.
    pub(super) fn serve(&mut self, node: NodeId) {
        while self.nodes[node as usize].sending.is_none() {
            let Some(link) = self.nodes[node as usize].turns.pop_front() else { return };
            self.link(link).in_turn = false;
            if let Some(slice) = self.next_slice(link) {
                self.send_slice(link, slice);
            }
        }
    }

    /// Takes the next slice of a link; `None` when it has none or its window is closed.
    fn next_slice(&mut self, link: LinkId) -> Option<Slice<P::Frame>> {
        let slice_bytes = self.model.slice_bytes.unwrap_or(u32::MAX);
        let now = self.now;
        let entry = self.link(link);
        let bytes = entry.next_bytes(slice_bytes)?;
        if !entry.window.admits(now, bytes.into()) {
            entry.blocked = true;
            self.schedule_room(link);
            return None;
        }
        entry.take_slice(slice_bytes)
    }

    fn send_slice(&mut self, link: LinkId, slice: Slice<P::Frame>) {
        let now = self.now;
        let entry = &mut self.links[link as usize];
        entry.window.on_sent(now, slice.bytes.into());
        let latency = entry.latency;
        entry.in_turn = true;
        let (node, epoch) = (entry.from, entry.epoch);
        let lost = self.lose(slice.bytes);
        let jitter = self.draw_jitter(latency);
        let wire_bytes = u64::from(slice.bytes) + lost.packets * u64::from(SEGMENT_BYTES);

        let place = &mut self.nodes[node as usize];
        place.sending = Some(link);
        let incarnation = place.incarnation;
        let sent_at = now + transfer_time(wire_bytes, place.up_bps);
        if let Some((lane, outgoing)) = &slice.frame {
            match lane {
                Lane::Control => place.usage.control_sent += u64::from(outgoing.bytes),
                Lane::Data => place.usage.data_sent += u64::from(outgoing.bytes),
            }
        }
        self.schedule.push(sent_at, Due::Sent { node, incarnation });

        let entry = &mut self.links[link as usize];
        entry.first_packet_at = entry.first_packet_at.max(now + latency + jitter);
        let first_packet_at = entry.first_packet_at;
        let flight = Flight {
            link,
            epoch,
            bytes: slice.bytes,
            wire_bytes,
            last_packet_at: sent_at + (first_packet_at - now),
            lost_rounds: lost.rounds,
            sent_at: now,
            frame: slice.frame,
        };
        let flight = self.add_flight(flight);
        self.schedule.push(first_packet_at, Due::Arrives { flight });
    }

    /// A frame that costs nothing: it takes the latency.
    fn send_free(&mut self, link: LinkId, lane: Lane, outgoing: Outgoing<P::Frame>) {
        let now = self.now;
        let entry = &mut self.links[link as usize];
        entry.first_packet_at = entry.first_packet_at.max(now + entry.latency);
        let at = entry.first_packet_at;
        let flight = Flight {
            link,
            epoch: entry.epoch,
            bytes: 0,
            wire_bytes: 0,
            last_packet_at: at,
            lost_rounds: 0,
            sent_at: now,
            frame: Some((lane, outgoing)),
        };
        let flight = self.add_flight(flight);
        self.schedule.push(at, Due::Delivered { flight });
    }

    /// The uplink has sent a slice: the writer has room, and the next link its turn.
    pub(super) fn on_sent(&mut self, node: NodeId, incarnation: u32) {
        let place = &mut self.nodes[node as usize];
        if place.incarnation != incarnation {
            return;
        }
        if let Some(link) = place.sending.take() {
            let entry = self.link(link);
            entry.in_turn = false;
            entry.sends_data = false;
            self.agenda.push_back(Task::Pull(link));
            if self.links[link as usize].next_bytes(1).is_some() {
                self.take_turn(link);
            }
        }
        self.agenda.push_back(Task::Serve(node));
    }

    /// Has a blocked link looked at again when its next acknowledgement is back, if that is known.
    pub(super) fn schedule_room(&mut self, link: LinkId) {
        let entry = &mut self.links[link as usize];
        if !entry.blocked || entry.room_scheduled {
            return;
        }
        if let Some(at) = entry.window.next_acknowledgement() {
            entry.room_scheduled = true;
            let epoch = entry.epoch;
            self.schedule.push(at, Due::Room { link, epoch });
        }
    }

    pub(super) fn on_room(&mut self, link: LinkId, epoch: u32) {
        let entry = self.link(link);
        if entry.epoch == epoch {
            entry.room_scheduled = false;
            entry.blocked = false;
            self.take_turn(link);
        }
    }

    pub(super) fn draw_jitter(&mut self, latency: Nanos) -> Nanos {
        if self.model.jitter <= 0.0 {
            return 0;
        }
        let share: f64 = self.rng.random();
        (latency as f64 * self.model.jitter * share) as Nanos
    }

    /// Draws which packets of `bytes` are lost, and of those sent again, until all have come.
    pub(super) fn lose(&mut self, bytes: u32) -> Lost {
        let Some(model) = self.model.loss.filter(|loss| loss.share > 0.0) else {
            return Lost::default();
        };
        let mut lost = Lost::default();
        let mut missing = bytes.div_ceil(SEGMENT_BYTES);
        while missing > 0 && lost.rounds < 16 {
            missing = losses(missing, model.share, &mut self.rng);
            lost.packets += u64::from(missing);
            lost.rounds += u64::from(missing > 0);
        }
        lost
    }

    /// Returns the time that a lost packet costs on a link: until the sender knows, and sent again.
    pub(super) fn round_trip(&self, link: LinkId) -> Nanos {
        let entry = &self.links[link as usize];
        let round_trip = std::time::Duration::from_nanos(entry.latency + entry.latency_back);
        nanos(self.model.latency_max(round_trip)).max(1_000_000)
    }
}

/// Returns how many of `packets` are lost.
fn losses(packets: u32, share: f64, rng: &mut impl Rng) -> u32 {
    (0..packets).filter(|_| rng.random_bool(share)).count() as u32
}
