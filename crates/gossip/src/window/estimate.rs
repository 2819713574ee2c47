//! Round-trip time and goodput, from what was sent and what was acknowledged.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The best of the last while, in coarse steps: at most ten values are kept.
#[derive(Debug)]
struct Recent {
    span: Duration,
    steps: VecDeque<(Duration, f64)>,
    better: fn(f64, f64) -> f64,
    /// Of all steps.
    best: Option<f64>,
}

impl Recent {
    const STEPS: u32 = 8;

    fn new(span: Duration, better: fn(f64, f64) -> f64) -> Self {
        Self { span, steps: VecDeque::new(), better, best: None }
    }

    fn push(&mut self, at: Duration, value: f64) {
        while self.steps.front().is_some_and(|&(began, _)| began + self.span < at) {
            self.steps.pop_front();
        }
        match self.steps.back_mut() {
            Some((began, held)) if *began + self.span / Self::STEPS > at => {
                *held = (self.better)(*held, value);
            }
            _ => self.steps.push_back((at, value)),
        }
        self.best = self.steps.iter().map(|&(_, value)| value).reduce(self.better);
    }

    fn best(&self) -> Option<f64> {
        self.best
    }
}

/// The smallest round-trip time of the last ten seconds, and the latest.
#[derive(Debug)]
pub(super) struct RoundTrip {
    began: Instant,
    smallest: Recent,
    latest: Option<Duration>,
}

impl RoundTrip {
    const SPAN: Duration = Duration::from_secs(10);
    /// Below this, a sample says more about clocks than about the way.
    const SHORTEST: Duration = Duration::from_micros(20);

    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, smallest: Recent::new(Self::SPAN, f64::min), latest: None }
    }

    pub(super) fn sample(&mut self, now: Instant, time: Duration) {
        let time = time.max(Self::SHORTEST);
        self.latest = Some(time);
        self.smallest.push(now.saturating_duration_since(self.began), time.as_secs_f64());
    }

    pub(super) fn smallest(&self) -> Option<Duration> {
        self.smallest.best().map(Duration::from_secs_f64)
    }

    pub(super) fn latest(&self) -> Option<Duration> {
        self.latest
    }
}

/// What was known when a frame left; its acknowledgement makes a sample of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    delivered: u64,
    delivered_at: Instant,
    newest_sent_at: Instant,
}

/// The best goodput of the last second in which there was more to send than was let go.
#[derive(Debug)]
pub(super) struct Goodput {
    delivered: u64,
    delivered_at: Instant,
    /// When the newest acknowledged frame was sent.
    newest_sent_at: Instant,
    best: Recent,
    /// Runs only while something waits: what was learned does not age in idle time.
    clock: Duration,
    last_backlogged: Option<Instant>,
    /// `Some` from the start until the goodput has stopped rising.
    start: Option<Start>,
}

/// The doubling at the start.
#[derive(Debug, Default)]
struct Start {
    /// A round trip is over when what was sent after this much had been delivered comes back.
    round_end: u64,
    backlogged: bool,
    reached: f64,
    flat_rounds: u32,
}

impl Goodput {
    const SPAN: Duration = Duration::from_secs(1);
    /// Below this rise per round trip the start counts as flat.
    const RISE: f64 = 1.25;
    /// One flat round may be chance: the first ones are of a few frames.
    const FLAT_ROUNDS_MAX: u32 = 2;

    pub(super) fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            delivered_at: now,
            newest_sent_at: now,
            best: Recent::new(Self::SPAN, f64::max),
            clock: Duration::ZERO,
            last_backlogged: None,
            start: Some(Start::default()),
        }
    }

    /// Returns the best goodput in bytes per second.
    pub(super) fn best(&self) -> Option<f64> {
        self.best.best()
    }

    pub(super) fn is_starting(&self) -> bool {
        self.start.is_some()
    }

    /// A frame leaves; `idle` if nothing else is in flight.
    pub(super) fn mark(&mut self, now: Instant, idle: bool) -> Mark {
        if idle {
            self.delivered_at = now;
            self.newest_sent_at = now;
        }
        Mark {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            newest_sent_at: self.newest_sent_at,
        }
    }

    /// `bytes` more have arrived.
    pub(super) fn deliver(&mut self, at: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = self.delivered_at.max(at);
    }

    /// The newest frame among those that arrived was sent at `sent_at` and bore `mark`.
    pub(super) fn sample(&mut self, sent_at: Instant, mark: Mark, backlogged: bool) {
        self.newest_sent_at = self.newest_sent_at.max(sent_at);
        let at = self.delivered_at;
        // Frames that left in a longer time than they arrived in were held up on the way: the
        // shorter time is no measure.
        let arriving = at.saturating_duration_since(mark.delivered_at);
        let leaving = sent_at.saturating_duration_since(mark.newest_sent_at);
        let elapsed = arriving.max(leaving).max(RoundTrip::SHORTEST);
        let rate = (self.delivered - mark.delivered) as f64 / elapsed.as_secs_f64();
        if backlogged {
            let flight = at.saturating_duration_since(sent_at);
            let since = self.last_backlogged.map(|last| at.saturating_duration_since(last));
            self.clock += since.map_or(flight, |since| since.min(flight));
            self.last_backlogged = Some(at);
        }
        if backlogged || self.best().is_none_or(|best| rate > best) {
            self.best.push(self.clock, rate);
        }
        self.advance_start(mark, backlogged);
    }

    fn advance_start(&mut self, mark: Mark, backlogged: bool) {
        let best = self.best().unwrap_or(0.0);
        let Some(start) = &mut self.start else { return };
        start.backlogged |= backlogged;
        if mark.delivered < start.round_end {
            return;
        }
        start.round_end = self.delivered;
        if !std::mem::take(&mut start.backlogged) {
            return;
        }
        if best >= start.reached * Self::RISE {
            start.reached = best;
            start.flat_rounds = 0;
        } else {
            start.flat_rounds += 1;
            if start.flat_rounds >= Self::FLAT_ROUNDS_MAX {
                self.start = None;
            }
        }
    }
}
