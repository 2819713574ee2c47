//! How many bytes the transport of a connection lets on the way: what was sent and whose
//! acknowledgement is not back.

use std::collections::VecDeque;

use super::{
    model::{SEGMENT_BYTES, SlowStart},
    schedule::Nanos,
};

/// A connection that sent nothing for this long begins anew.
const IDLE: Nanos = 1_000_000_000;

/// The transport's window of one directed connection.
#[derive(Clone, Debug)]
pub(super) struct Window {
    settings: Option<SlowStart>,
    in_flight: u64,
    open: f64,
    /// Below, the window doubles per round trip; above, it grows by a segment.
    threshold: f64,
    acknowledgements: VecDeque<Acknowledgement>,
    last_sent: Nanos,
    /// When at least half of the window was last in use: what was sent before that lets it grow.
    used_at: Nanos,
    /// Until then a loss is the same as the one before.
    recovers_until: Nanos,
}

/// On its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledgement {
    /// When it is back.
    pub(super) at: Nanos,
    pub(super) bytes: u64,
    pub(super) sent_at: Nanos,
    /// Packets were lost, which halves the window.
    pub(super) halves: bool,
    pub(super) round_trip: Nanos,
}

impl Window {
    pub(super) fn new(settings: Option<SlowStart>, now: Nanos) -> Self {
        let open = settings.map_or(f64::INFINITY, |settings| settings.initial_bytes.into());
        Self {
            settings,
            in_flight: 0,
            open,
            threshold: f64::INFINITY,
            acknowledgements: VecDeque::new(),
            last_sent: now,
            used_at: 0,
            recovers_until: 0,
        }
    }

    /// Returns whether `bytes` may leave. Half of them must fit, so that what is cut into frames
    /// grows as fast as what is cut into packets; anything may leave when nothing is on the way.
    pub(super) fn admits(&mut self, now: Nanos, bytes: u64) -> bool {
        self.take_acknowledgements(now);
        let Some(settings) = self.settings else { return true };
        if settings.idle_restart && self.in_flight == 0 && now >= self.last_sent + IDLE {
            self.threshold = self.threshold.max(self.open * 0.75);
            self.open = self.open.min(settings.initial_bytes.into());
        }
        self.in_flight == 0 || (self.in_flight + bytes / 2) as f64 <= self.open
    }

    /// `bytes` leave.
    pub(super) fn on_sent(&mut self, now: Nanos, bytes: u64) {
        self.in_flight += bytes;
        self.last_sent = now;
        if self.in_flight as f64 * 2.0 >= self.open {
            self.used_at = now;
        }
    }

    /// What was sent was taken, and that is known when its acknowledgement is back; calls are in
    /// the order of [`Acknowledgement::at`].
    pub(super) fn on_taken(&mut self, acknowledgement: Acknowledgement) {
        self.acknowledgements.push_back(acknowledgement);
    }

    /// Returns when the next acknowledgement is back, of those that are on the way.
    pub(super) fn next_acknowledgement(&self) -> Option<Nanos> {
        self.acknowledgements.front().map(|acknowledgement| acknowledgement.at)
    }

    fn take_acknowledgements(&mut self, now: Nanos) {
        while let Some(&back) = self.acknowledgements.front()
            && back.at <= now
        {
            self.acknowledgements.pop_front();
            self.in_flight -= back.bytes;
            let Some(settings) = self.settings else { continue };
            let segment = f64::from(SEGMENT_BYTES);
            if back.halves {
                if back.at >= self.recovers_until {
                    self.recovers_until = back.at + back.round_trip;
                    self.open = (self.open / 2.0).max(2.0 * segment);
                    self.threshold = self.open;
                }
            } else if self.used_at >= back.sent_at {
                let bytes = back.bytes as f64;
                self.open +=
                    if self.open < self.threshold { bytes } else { segment * bytes / self.open };
                self.open = self.open.min(settings.max_bytes.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Nanos = 1_000_000;

    /// Sends frames of `bytes` for as long as they are admitted, all acknowledged one round trip
    /// of 100 ms later; returns how many left in each round trip.
    fn rounds(window: &mut Window, begin: Nanos, bytes: u64, lost: bool) -> [u32; 5] {
        let mut counts = [0; 5];
        for (round, count) in counts.iter_mut().enumerate() {
            let now = begin + round as Nanos * 100 * MILLI;
            while *count < 1000 && window.admits(now, bytes) {
                window.on_sent(now, bytes);
                let at = now + 100 * MILLI;
                let round_trip = 100 * MILLI;
                window.on_taken(Acknowledgement {
                    at,
                    bytes,
                    sent_at: now,
                    halves: lost,
                    round_trip,
                });
                *count += 1;
            }
        }
        counts
    }

    #[test]
    fn a_window_doubles_per_round_trip_up_to_its_maximum() {
        let settings = SlowStart { max_bytes: 100_000, ..SlowStart::default() };
        let mut window = Window::new(Some(settings), 0);
        assert_eq!(rounds(&mut window, 0, 1460, false), [10, 20, 40, 68, 68]);
    }

    #[test]
    fn a_frame_longer_than_the_window_leaves_when_nothing_is_on_the_way() {
        let mut window = Window::new(Some(SlowStart::default()), 0);
        assert!(window.admits(0, 1 << 20));
        window.on_sent(0, 1 << 20);
        assert!(!window.admits(0, 1));
    }

    #[test]
    fn an_idle_second_closes_the_window_unless_that_is_switched_off() {
        for (idle_restart, expected) in [(true, 10), (false, 160)] {
            let settings = SlowStart { idle_restart, ..SlowStart::default() };
            let mut window = Window::new(Some(settings), 0);
            rounds(&mut window, 0, 1460, false);
            let later = rounds(&mut window, 3000 * MILLI, 1460, false);
            assert!(later[0] >= expected && later[0] <= 2 * expected, "{later:?}");
        }
    }

    #[test]
    fn a_loss_halves_the_window_once_per_round_trip_and_it_grows_by_segments_after() {
        let mut window = Window::new(Some(SlowStart::default()), 0);
        assert_eq!(rounds(&mut window, 0, 1460, false)[4], 160);
        assert_eq!(rounds(&mut window, 500 * MILLI, 1460, true)[..2], [320, 160]);
        let after = rounds(&mut window, 1000 * MILLI, 1460, false);
        assert!(after[4] - after[1] <= 4 && after[4] > after[1], "{after:?}");
    }

    #[test]
    fn without_slow_start_everything_is_admitted() {
        let mut window = Window::new(None, 0);
        assert_eq!(rounds(&mut window, 0, 1460, true)[0], 1000);
    }
}
