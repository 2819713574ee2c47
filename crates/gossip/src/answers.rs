//! How long answers take beyond a round trip, at whoever is asked. Profile `adaptive`.
//!
//! Where links are slow, who holds what others lack has a long queue. Asking somebody else for the
//! same would only make the queues longer.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::HeaderHash;

/// Given-up requests that are remembered; the oldest is forgotten first.
const LATE_MAX: usize = 256;

/// No answer counts as longer than this.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A fragment of a message: its generation, and its place in it.
type Place = (u16, u16);

/// What is known of answers.
#[derive(Debug)]
pub(crate) struct Answers<P> {
    usual: Duration,
    /// What was asked for, of whom and when, and was given up.
    late: VecDeque<(HeaderHash, Place, P, Instant)>,
}

impl<P> Default for Answers<P> {
    fn default() -> Self {
        Self { usual: Duration::ZERO, late: VecDeque::new() }
    }
}

impl<P: PartialEq> Answers<P> {
    /// Returns how long an answer takes beyond a round trip, the newest counting an eighth.
    pub(crate) fn usual(&self) -> Duration {
        self.usual
    }

    /// An answer took `time` beyond a round trip.
    pub(crate) fn on_answer(&mut self, time: Duration) {
        self.usual = (self.usual * 7 + time.min(ANSWER_MAX)) / 8;
    }

    /// A request was given up: if its answer comes all the same, it counts.
    pub(crate) fn await_late(
        &mut self,
        hash: HeaderHash,
        place: Place,
        peer: P,
        asked_at: Instant,
    ) {
        if self.late.len() >= LATE_MAX {
            self.late.pop_front();
        }
        self.late.push_back((hash, place, peer, asked_at));
    }

    /// A fragment comes from a peer; returns when the peer was asked for it, if that was given up.
    pub(crate) fn take_late(
        &mut self,
        hash: HeaderHash,
        place: Place,
        peer: &P,
    ) -> Option<Instant> {
        let is_it = |late: &(HeaderHash, Place, P, Instant)| {
            late.0 == hash && late.1 == place && late.2 == *peer
        };
        let at = self.late.iter().position(is_it)?;
        self.late.remove(at).map(|(.., asked_at)| asked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_is_usual_follows_the_answers_and_no_single_one() {
        let mut answers = Answers::<u32>::default();
        answers.on_answer(Duration::from_millis(800));
        assert_eq!(answers.usual(), Duration::from_millis(100));
        (0..60).for_each(|_| answers.on_answer(Duration::from_millis(200)));
        assert!(answers.usual().abs_diff(Duration::from_millis(200)) < Duration::from_millis(1));
        (0..100).for_each(|_| answers.on_answer(Duration::from_secs(60)));
        assert!(answers.usual() <= ANSWER_MAX);
    }

    #[test]
    fn a_late_answer_is_known_once_and_by_its_peer_alone() {
        let (now, hash) = (start(), HeaderHash([1; 32]));
        let mut answers = Answers::default();
        answers.await_late(hash, (0, 3), 7, now);
        assert_eq!(answers.take_late(hash, (0, 3), &8), None);
        assert_eq!(answers.take_late(hash, (0, 4), &7), None);
        assert_eq!(answers.take_late(hash, (0, 3), &7), Some(now));
        assert_eq!(answers.take_late(hash, (0, 3), &7), None);
    }

    #[test]
    fn of_too_many_given_up_the_oldest_are_forgotten() {
        let (now, hash) = (start(), HeaderHash([1; 32]));
        let mut answers = Answers::default();
        for place in 0..=LATE_MAX as u16 {
            answers.await_late(hash, (0, place), 7, now);
        }
        assert_eq!(answers.take_late(hash, (0, 0), &7), None);
        assert_eq!(answers.take_late(hash, (0, 1), &7), Some(now));
    }
}
