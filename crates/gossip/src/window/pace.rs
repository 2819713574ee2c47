//! How fast a node sends in all: as fast as its data arrives anywhere, so that nothing it sends
//! waits long in the queue of its own uplink, where it could be neither changed nor overtaken.
//!
//! What is on the way to far peers says nothing of that queue, so bytes in flight are no measure
//! here. The queue is reckoned: it grows with what is sent and shrinks with the rate.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::FRAME_BYTES;

/// What may leave before anything is known of the rate: a message of 1 MiB from a publisher whose
/// peers are all far, whose first answer comes when all of it could have left.
const FIRST_BYTES: u64 = 80 * FRAME_BYTES;

/// After this time without any answer as much may leave again: who was sent it may be gone.
const FIRST_AGAIN: Duration = Duration::from_millis(500);

/// What may wait in the reckoned queue.
const QUEUE_BYTES: u64 = 8 * FRAME_BYTES;

/// Or for how long, if that is more: timers are no finer than a millisecond.
const QUEUE_TIME: Duration = Duration::from_millis(2);

/// Until answers are late a node sends at this rate at least, in bytes per second: 50 Mbit/s.
const RATE_FIRST: f64 = 6_250_000.0;

/// How much faster than the rate measured at the start, to find how fast it can be.
const GAIN_START: f64 = 3.0;

/// The same later.
const GAIN_UP: f64 = 1.15;

/// The same while all answers are late: the true queue is longer than the reckoned one.
const GAIN_DOWN: f64 = 0.85;

/// Answers are late when even the earliest of this time is.
const DELAYS_KEPT: Duration = Duration::from_millis(50);

/// Answers are late when they take this much longer than the reckoned queue explains.
const LATE: Duration = Duration::from_millis(8);

/// The node's pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the reckoned queue is empty.
    empty_at: Option<Instant>,
    /// Sent before a rate was known, and since when.
    first_bytes: u64,
    first_since: Option<Instant>,
    /// How much longer than the shortest time the latest frames took, by when that was known.
    delays: VecDeque<(Instant, Duration)>,
    /// All answers were late once: the rate is that of the uplink and not of what there was to
    /// send.
    was_late: bool,
}

impl Pace {
    /// A frame took `delay` longer than the shortest time to its peer.
    pub(super) fn on_delay(&mut self, now: Instant, delay: Duration) {
        while self.delays.pop_front_if(|(at, _)| *at + DELAYS_KEPT < now).is_some() {}
        while self.delays.pop_back_if(|(_, earlier)| *earlier >= delay).is_some() {}
        self.delays.push_back((now, delay));
    }

    /// Returns the rate to send at; `rate` bytes per second arrive.
    fn speed(&mut self, now: Instant, rate: f64, is_starting: bool) -> f64 {
        let earliest = self.delays.iter().find(|(at, _)| *at + DELAYS_KEPT >= now);
        let is_late = earliest.is_some_and(|&(_, delay)| delay > LATE + Self::queue_time(rate));
        self.was_late |= is_late;
        match (is_late, self.was_late) {
            (true, _) => rate * GAIN_DOWN,
            // What little there was to send says nothing of the uplink.
            (false, false) => (rate * GAIN_START).max(RATE_FIRST),
            (false, true) if is_starting => rate * GAIN_START,
            (false, true) => rate * GAIN_UP,
        }
    }

    fn queue_time(rate: f64) -> Duration {
        QUEUE_TIME.max(Duration::from_secs_f64(QUEUE_BYTES as f64 / rate.max(1.0)))
    }

    /// Returns when one more frame may leave beside `offered` bytes promised.
    pub(super) fn room_at(&self, now: Instant, rate: Option<f64>, offered: u64) -> Instant {
        let Some(rate) = rate.filter(|rate| *rate > 0.0) else {
            let has_room = self.first_bytes + offered < FIRST_BYTES;
            let again = self.first_since.map_or(now, |since| since + FIRST_AGAIN);
            return if has_room { now } else { again.max(now) };
        };
        let promised = Duration::from_secs_f64(offered as f64 / rate);
        let empty_at = self.empty_at.unwrap_or(now).max(now) + promised;
        let room_at = empty_at.checked_sub(Self::queue_time(rate)).unwrap_or(now);
        room_at.max(now)
    }

    /// A frame leaves.
    pub(super) fn on_sent(
        &mut self,
        now: Instant,
        bytes: u64,
        rate: Option<f64>,
        is_starting: bool,
    ) {
        let Some(rate) = rate.filter(|rate| *rate > 0.0) else {
            let since = self.first_since.get_or_insert(now);
            if *since + FIRST_AGAIN <= now {
                *since = now;
                self.first_bytes = 0;
            }
            self.first_bytes += bytes;
            return;
        };
        let speed = self.speed(now, rate, is_starting);
        let begin = self.empty_at.unwrap_or(now).max(now);
        self.empty_at = Some(begin + Duration::from_secs_f64(bytes as f64 / speed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 50 Mbit/s.
    const RATE: f64 = 6_250_000.0;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Sends all that has room until `end`; returns how many bytes.
    fn send(pace: &mut Pace, begin: Instant, time: Duration, rate: Option<f64>) -> u64 {
        let (mut now, mut bytes) = (begin, 0);
        loop {
            now = pace.room_at(now, rate, 0);
            if now >= begin + time {
                return bytes;
            }
            pace.on_sent(now, FRAME_BYTES, rate, false);
            bytes += FRAME_BYTES;
        }
    }

    #[test]
    fn before_a_rate_is_known_so_many_frames_leave_and_as_many_again_later() {
        let (now, mut pace) = (start(), Pace::default());
        assert_eq!(send(&mut pace, now, FIRST_AGAIN, None), FIRST_BYTES);
        assert_eq!(send(&mut pace, now + FIRST_AGAIN, FIRST_AGAIN, None), FIRST_BYTES);
    }

    #[test]
    fn a_second_brings_a_little_more_than_the_rate_and_less_while_answers_are_late() {
        let second = Duration::from_secs(1);
        let (now, mut pace) = (start(), Pace { was_late: true, ..Pace::default() });
        let bytes = send(&mut pace, now, second, Some(RATE)) as f64;
        assert!((bytes / (RATE * GAIN_UP) - 1.0).abs() < 0.03, "{bytes}");
        let mut late = Pace::default();
        let mut bytes = 0;
        for step in 0..40 {
            let at = now + second * step / 40;
            late.on_delay(at, Duration::from_millis(200));
            bytes += send(&mut late, at, second / 40, Some(RATE));
        }
        assert!((bytes as f64 / (RATE * GAIN_DOWN) - 1.0).abs() < 0.05, "{bytes}");
    }

    #[test]
    fn until_answers_are_late_the_rate_is_not_that_of_the_uplink() {
        let (now, mut pace) = (start(), Pace::default());
        assert!((pace.speed(now, RATE, false) - RATE * GAIN_START).abs() < 1.0);
        assert!((pace.speed(now, RATE / 100.0, false) - RATE_FIRST).abs() < 1.0);
        pace.on_delay(now, Duration::from_millis(200));
        assert!((pace.speed(now, RATE, false) - RATE * GAIN_DOWN).abs() < 1.0);
        let later = now + DELAYS_KEPT * 2;
        assert!((pace.speed(later, RATE, false) - RATE * GAIN_UP).abs() < 1.0);
    }

    #[test]
    fn one_answer_in_time_is_enough_and_what_is_promised_counts() {
        let (now, mut pace) = (start(), Pace::default());
        pace.on_delay(now, Duration::from_millis(200));
        pace.on_delay(now, Duration::from_millis(1));
        assert!(pace.speed(now, RATE, false) > RATE);
        pace.on_delay(now + DELAYS_KEPT * 2, Duration::from_millis(200));
        assert!(pace.speed(now + DELAYS_KEPT * 2, RATE, false) < RATE);
        assert_eq!(pace.room_at(now, Some(RATE), 0), now);
        assert!(pace.room_at(now, Some(RATE), 2 * QUEUE_BYTES) > now);
    }
}
