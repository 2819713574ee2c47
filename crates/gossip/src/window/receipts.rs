//! The receiver's side: how much was taken, and when to say so.

use std::time::{Duration, Instant};

use crate::wire::Acknowledgement;

/// After this many frames an acknowledgement leaves at once.
const FRAMES_AT_ONCE: u32 = 2;

/// After this many bytes too. A node with many peers may have fewer frames on the way than peers,
/// so one full frame to each; were they all to wait for a second, 16 peers would get 6 % of a
/// gigabit link. Frames that arrive together are still acknowledged together.
const BYTES_AT_ONCE: u64 = 8 << 10;

/// Fewer frames are acknowledged after this time, unless data goes the other way before.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// How much was taken of one peer's data stream. State, not events: what waits is merged.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    epoch: Option<u32>,
    bytes: u64,
    waiting: Option<Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    first: Instant,
    newest: Instant,
    frames: u32,
    bytes: u64,
}

impl Receipts {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A data stream begins: its first frame carries this number.
    pub(crate) fn on_epoch(&mut self, epoch: u32) {
        *self = Self { epoch: Some(epoch), ..Self::default() };
    }

    /// A frame of `bytes` bytes came. Before the first number there is nothing to acknowledge.
    pub(crate) fn on_frame(&mut self, now: Instant, bytes: u64) {
        if self.epoch.is_none() {
            return;
        }
        self.bytes += bytes;
        let none = Waiting { first: now, newest: now, frames: 0, bytes: 0 };
        let waiting = self.waiting.get_or_insert(none);
        waiting.newest = now;
        waiting.bytes += bytes;
        waiting.frames = waiting.frames.saturating_add(1);
    }

    /// Returns when the acknowledgement is to leave at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        let waiting = self.waiting?;
        let at_once = waiting.frames >= FRAMES_AT_ONCE || waiting.bytes >= BYTES_AT_ONCE;
        Some(if at_once { waiting.first } else { waiting.first + WAIT_MAX })
    }

    /// Returns what waits to be acknowledged, if anything does.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Acknowledgement> {
        let epoch = self.epoch?;
        let waiting = self.waiting.take()?;
        let waited = now.saturating_duration_since(waiting.newest);
        Some(Acknowledgement { epoch, bytes: self.bytes, waited })
    }
}
