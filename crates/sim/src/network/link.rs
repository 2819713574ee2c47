//! One direction of a connection: what waits to leave, and how much may be on the way.

use std::collections::VecDeque;

use super::{
    model::LinkModel,
    schedule::{LinkId, Nanos},
    window::Window,
};
use crate::protocol::{Lane, NodeId, Outgoing};

/// How many data frames a writer holds: the one being written and one more.
const WRITER_FRAMES: usize = 2;

/// One direction of a connection.
#[expect(clippy::struct_excessive_bools, reason = "facts independent of each other")]
pub(super) struct Link<F> {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// The other direction.
    pub(super) reverse: LinkId,
    pub(super) up: bool,
    /// Counts connections: what is on the way on an old one never arrives.
    pub(super) epoch: u32,
    pub(super) latency: Nanos,
    /// That of the other direction.
    pub(super) latency_back: Nanos,
    /// The node may have a frame: control, data.
    ready: [bool; 2],
    control: VecDeque<Outgoing<F>>,
    data: VecDeque<Outgoing<F>>,
    /// Begun.
    current: Option<Begun<F>>,
    /// The uplink is sending a slice of a data frame.
    pub(super) sends_data: bool,
    queued_bytes: u64,
    /// It waits for its turn at the uplink, or has it.
    pub(super) in_turn: bool,
    /// It waits for acknowledgements.
    pub(super) blocked: bool,
    pub(super) room_scheduled: bool,
    pub(super) window: Window,
    /// When the first packet of the latest slice arrives: the next one's comes no sooner.
    pub(super) first_packet_at: Nanos,
    /// When the latest slice is whole: the next one is no sooner, since streams are in order.
    pub(super) whole_at: Nanos,
}

/// A frame of which the first slices have left.
struct Begun<F> {
    lane: Lane,
    outgoing: Outgoing<F>,
    rest: u32,
}

/// What leaves next.
pub(super) struct Slice<F> {
    pub(super) bytes: u32,
    /// With the last slice of a frame goes the frame.
    pub(super) frame: Option<(Lane, Outgoing<F>)>,
}

impl<F> Link<F> {
    pub(super) fn new(from: NodeId, to: NodeId, latencies: [Nanos; 2], model: &LinkModel) -> Self {
        let [latency, latency_back] = latencies;
        Self {
            from,
            to,
            reverse: 0,
            up: false,
            epoch: 0,
            latency,
            latency_back,
            ready: [false; 2],
            control: VecDeque::new(),
            data: VecDeque::new(),
            current: None,
            sends_data: false,
            queued_bytes: 0,
            in_turn: false,
            blocked: false,
            room_scheduled: false,
            window: Window::new(model.slow_start, 0),
            first_packet_at: 0,
            whole_at: 0,
        }
    }

    /// Opens it anew.
    pub(super) fn open(&mut self, now: Nanos, model: &LinkModel) {
        self.up = true;
        self.window = Window::new(model.slow_start, now);
        self.first_packet_at = now;
        self.whole_at = now;
    }

    /// Closes it; everything that waits or is on the way is lost.
    pub(super) fn close(&mut self) {
        self.up = false;
        self.epoch += 1;
        self.ready = [false; 2];
        self.control.clear();
        self.data.clear();
        self.current = None;
        self.sends_data = false;
        self.queued_bytes = 0;
        self.blocked = false;
        self.room_scheduled = false;
    }

    pub(super) fn set_ready(&mut self, lane: Lane, ready: bool) {
        self.ready[lane as usize] = ready;
    }

    /// Returns the lane of which the writer would take a frame, control first.
    pub(super) fn wanted(&self, model: &LinkModel) -> Option<Lane> {
        if !self.up || model.queue_bytes.is_some_and(|max| self.queued_bytes >= max.into()) {
            return None;
        }
        let bounded = model.queue_bytes.is_some();
        if self.ready[Lane::Control as usize] && (!bounded || self.control.is_empty()) {
            return Some(Lane::Control);
        }
        let begun = self.current.as_ref().is_some_and(|begun| begun.lane == Lane::Data);
        let held = self.data.len() + usize::from(begun || self.sends_data);
        (self.ready[Lane::Data as usize] && !(bounded && held >= WRITER_FRAMES))
            .then_some(Lane::Data)
    }

    pub(super) fn push(&mut self, lane: Lane, outgoing: Outgoing<F>) {
        self.queued_bytes += u64::from(outgoing.bytes);
        match lane {
            Lane::Control => self.control.push_back(outgoing),
            Lane::Data => self.data.push_back(outgoing),
        }
    }

    /// Returns the length of what would leave next.
    pub(super) fn next_bytes(&self, slice_bytes: u32) -> Option<u32> {
        let next = self.control.front().or(self.data.front());
        let rest = match &self.current {
            Some(begun) => Some(begun.rest),
            None => next.map(|outgoing| outgoing.bytes),
        };
        rest.map(|bytes| bytes.min(slice_bytes))
    }

    /// Takes what leaves next.
    pub(super) fn take_slice(&mut self, slice_bytes: u32) -> Option<Slice<F>> {
        let mut begun = if let Some(begun) = self.current.take() {
            begun
        } else {
            let (lane, outgoing) = match self.control.pop_front() {
                Some(outgoing) => (Lane::Control, outgoing),
                None => (Lane::Data, self.data.pop_front()?),
            };
            let rest = outgoing.bytes;
            Begun { lane, outgoing, rest }
        };
        let bytes = begun.rest.min(slice_bytes);
        self.sends_data = begun.lane == Lane::Data;
        begun.rest -= bytes;
        self.queued_bytes -= u64::from(bytes);
        if begun.rest > 0 {
            self.current = Some(begun);
            return Some(Slice { bytes, frame: None });
        }
        Some(Slice { bytes, frame: Some((begun.lane, begun.outgoing)) })
    }
}
