//! From the wire into a node.

use super::{
    Network,
    model::PACKET_BYTES,
    node::transfer_time,
    schedule::{Due, LinkId, Nanos},
    window::Acknowledgement,
};
use crate::protocol::{Lane, Outgoing, Protocol};

/// A slice on the way.
pub(super) struct Flight<F> {
    pub(super) link: LinkId,
    /// The connection that it left on.
    pub(super) epoch: u32,
    /// Bytes of the stream.
    pub(super) bytes: u32,
    /// With what was sent again.
    pub(super) wire_bytes: u64,
    pub(super) last_packet_at: Nanos,
    /// How often packets of it had to be sent again.
    pub(super) lost_rounds: u64,
    pub(super) sent_at: Nanos,
    /// With the last slice of a frame comes the frame.
    pub(super) frame: Option<(Lane, Outgoing<F>)>,
}

impl<P: Protocol> Network<P> {
    pub(super) fn add_flight(&mut self, flight: Flight<P::Frame>) -> u32 {
        if let Some(place) = self.free_flights.pop() {
            self.flights[place as usize] = Some(flight);
            return place;
        }
        self.flights.push(Some(flight));
        self.flights.len() as u32 - 1
    }

    /// The first packet of a slice comes. Packets of slices that overlap share the downlink in the
    /// order in which slices begin; a slice from a slow sender is whole when its last packet is.
    pub(super) fn on_arrival(&mut self, place: u32) {
        let Some(flight) = &self.flights[place as usize] else { return };
        let link_id = flight.link;
        let link = &self.links[link_id as usize];
        if link.epoch != flight.epoch {
            return self.drop_flight(place);
        }
        let node = &mut self.nodes[link.to as usize];
        let served_at =
            node.down_free_at.max(self.now) + transfer_time(flight.wire_bytes, node.down_bps);
        node.down_free_at = served_at;
        let tail = if self.model.payload_only { 0 } else { PACKET_BYTES.min(flight.bytes) };
        let last_at = flight.last_packet_at + transfer_time(tail.into(), node.down_bps);
        self.land(place, served_at.max(last_at));
    }

    /// All of a slice has come at `at`; it is the node's once all before it and all that was lost
    /// of it have come too.
    pub(super) fn land(&mut self, place: u32, at: Nanos) {
        let Some(flight) = &self.flights[place as usize] else { return };
        let link_id = flight.link;
        let (bytes, sent_at, rounds) = (flight.bytes.into(), flight.sent_at, flight.lost_rounds);
        let has_frame = flight.frame.is_some();
        let round_trip = self.round_trip(link_id);
        let link = &mut self.links[link_id as usize];
        let whole_at = at.max(link.whole_at) + rounds * round_trip;
        link.whole_at = whole_at;
        let halves = rounds > 0 && self.model.loss.is_some_and(|loss| loss.congestion_control);
        let at = whole_at + link.latency_back;
        link.window.on_taken(Acknowledgement { at, bytes, sent_at, halves, round_trip });
        self.schedule_room(link_id);
        if has_frame {
            self.schedule.push(whole_at, Due::Delivered { flight: place });
        } else {
            self.drop_flight(place);
        }
    }

    /// The last slice of a frame is whole.
    pub(super) fn on_whole(&mut self, place: u32) {
        let Some(flight) = self.flights[place as usize].take() else { return };
        self.free_flights.push(place);
        let link = &self.links[flight.link as usize];
        let Some((lane, outgoing)) = flight.frame.filter(|_| link.epoch == flight.epoch) else {
            return;
        };
        let (from, to) = (link.from, link.to);
        let Outgoing { frame, bytes, .. } = outgoing;
        self.trace.frame(self.now, from, to, lane, bytes);
        let usage = &mut self.nodes[to as usize].usage;
        match lane {
            Lane::Control => usage.control_received += u64::from(bytes),
            Lane::Data => usage.data_received += u64::from(bytes),
        }
        self.call(to, |protocol, now| protocol.on_frame(now, from, lane, frame));
    }

    fn drop_flight(&mut self, place: u32) {
        self.flights[place as usize] = None;
        self.free_flights.push(place);
    }
}
