//! What a client used so far, and whether one message more is within its limits.

use std::time::{Duration, Instant};

use token::Limits;

/// The shortest window.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The middle one.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// The longest.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A limit that one more message is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// Messages in a second.
    Second,
    /// Messages in an hour.
    Hour {
        /// When it ends.
        resets_in: Duration,
    },
    /// Bytes in a day.
    Day {
        /// Those of the day with the message's.
        used: u64,
        /// When it ends.
        resets_in: Duration,
    },
}

/// A count that begins with its first and ends after a fixed time.
#[derive(Clone, Copy, Debug)]
struct Window {
    length: Duration,
    begun: Option<Instant>,
    count: u64,
}

impl Window {
    fn new(length: Duration) -> Self {
        Self { length, begun: None, count: 0 }
    }

    fn resets_in(&self, now: Instant) -> Duration {
        let end = self.begun.map(|begun| begun + self.length);
        end.map(|end| end.saturating_duration_since(now)).unwrap_or_default()
    }

    fn end_if_over(&mut self, now: Instant) {
        if self.begun.is_some() && self.resets_in(now).is_zero() {
            *self = Self::new(self.length);
        }
    }

    fn add(&mut self, amount: u64, now: Instant) {
        self.begun.get_or_insert(now);
        self.count = self.count.saturating_add(amount);
    }
}

/// What one client used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    second: Window,
    hour: Window,
    day: Window,
}

impl Default for Usage {
    fn default() -> Self {
        Self { second: Window::new(SECOND), hour: Window::new(HOUR), day: Window::new(DAY) }
    }
}

impl Usage {
    /// Counts a message, or says which limit it is beyond and counts nothing.
    pub(super) fn admit(&mut self, limits: &Limits, bytes: u64, now: Instant) -> Option<Exceeded> {
        for window in [&mut self.second, &mut self.hour, &mut self.day] {
            window.end_if_over(now);
        }
        if self.second.count >= limits.publishes_per_second {
            return Some(Exceeded::Second);
        }
        if self.hour.count >= limits.publishes_per_hour {
            return Some(Exceeded::Hour { resets_in: self.hour.resets_in(now) });
        }
        let used = self.day.count.saturating_add(bytes);
        if used > limits.daily_bytes {
            return Some(Exceeded::Day { used, resets_in: self.day.resets_in(now) });
        }
        self.second.add(1, now);
        self.hour.add(1, now);
        self.day.add(bytes, now);
        None
    }

    /// Returns when nothing of it counts any more.
    pub(super) fn ends(&self, now: Instant) -> Instant {
        let windows = [self.second, self.hour, self.day];
        now + windows.iter().map(|window| window.resets_in(now)).max().unwrap_or_default()
    }
}
