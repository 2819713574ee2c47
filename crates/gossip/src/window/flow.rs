//! What is on the way to one peer, and how much may be.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    FRAME_BYTES,
    estimate::{Goodput, Mark, RoundTrip},
    index::Indexed,
};

/// The largest window; 1 Gbit/s at 130 ms.
pub(super) const CEILING_BYTES: u64 = 16 << 20;

/// What a window has beyond goodput × round-trip time, so that growth of either is found.
pub(super) const GAIN: f64 = 1.25;

/// The same at the start.
pub(super) const GAIN_START: f64 = 2.0;

/// Frames closer together than this share one record, which bounds the records of a window.
pub(super) const RECORD_BYTES: u64 = 1 << 10;

/// Without an acknowledgement for this long, or four round trips, a peer counts as stalled.
pub(super) const STALL_MIN: Duration = Duration::from_millis(200);

/// What is on the way to one peer.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) epoch: u32,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) records: VecDeque<Record>,
    pub(super) round_trip: RoundTrip,
    /// What a probe said of it.
    pub(super) probed: Option<Duration>,
    pub(super) goodput: Goodput,
    /// When it was last refused room: it had more to send.
    pub(super) refused_at: Option<Instant>,
    /// When an acknowledgement last brought something, or the first frame left.
    pub(super) progress_at: Instant,
    pub(super) stalled: bool,
    pub(super) turn: Turn,
    /// Whether it goes before others that wait.
    pub(super) hurried: bool,
    pub(super) indexed: Indexed,
}

/// Whether a peer is in line for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    None,
    Waiting,
    /// Room for one frame is kept for it since then.
    Offered(Instant),
}

/// A frame in flight, or several small ones.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) end: u64,
    pub(super) bytes: u64,
    pub(super) sent_at: Instant,
    pub(super) mark: Mark,
    pub(super) node_mark: Mark,
}

impl Flow {
    pub(super) fn new(now: Instant, epoch: u32) -> Self {
        Self {
            epoch,
            sent: 0,
            acknowledged: 0,
            records: VecDeque::new(),
            round_trip: RoundTrip::new(now),
            probed: None,
            goodput: Goodput::new(now),
            refused_at: None,
            progress_at: now,
            stalled: false,
            turn: Turn::None,
            hurried: false,
            indexed: Indexed::default(),
        }
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }

    /// Returns goodput × smallest round-trip time, and that time, once both are known.
    pub(super) fn path(&self) -> Option<(f64, Duration)> {
        let round_trip = self.smallest_round_trip()?;
        Some((self.goodput.best()? * round_trip.as_secs_f64(), round_trip))
    }

    pub(super) fn smallest_round_trip(&self) -> Option<Duration> {
        self.round_trip.smallest().into_iter().chain(self.probed).min()
    }

    pub(super) fn window(&self, floor: u64) -> u64 {
        let Some((path_bytes, _)) = self.path() else { return floor };
        let gain = if self.goodput.is_starting() { GAIN_START } else { GAIN };
        let bytes = (path_bytes * gain).min(CEILING_BYTES as f64) as u64;
        // Rounded up: rounded down, two frames would stay two frames for ever.
        bytes.next_multiple_of(FRAME_BYTES).clamp(floor, CEILING_BYTES)
    }

    pub(super) fn has_room(&self, floor: u64) -> bool {
        !self.stalled && self.in_flight() < self.window(floor)
    }

    pub(super) fn stall_at(&self) -> Option<Instant> {
        let round_trip = self.round_trip.latest().or(self.probed).unwrap_or_default();
        (self.in_flight() > 0 && !self.stalled)
            .then(|| self.progress_at + STALL_MIN.max(4 * round_trip))
    }

    /// Drops the records up to `acknowledged` and returns the newest.
    pub(super) fn take_records(&mut self) -> Option<Record> {
        let mut newest = None;
        while self.records.front().is_some_and(|record| record.end <= self.acknowledged) {
            newest = self.records.pop_front();
        }
        newest
    }
}
