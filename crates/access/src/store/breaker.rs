//! When a server that did not answer is asked again, so that not every caller waits for it.

use std::time::{Duration, Instant};

/// How long nobody asks after a failure, but one.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// When somebody may ask again; none while it answers.
    next: Option<Instant>,
}

impl Breaker {
    /// Returns whether the caller may ask; while the server is away, one in a pause.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        match self.next {
            None => true,
            Some(next) if now < next => false,
            Some(_) => {
                self.next = Some(now + PAUSE);
                true
            }
        }
    }

    /// Takes note of an answer; returns whether the server had been away.
    pub(super) fn answered(&mut self) -> bool {
        self.next.take().is_some()
    }

    /// Takes note of a failure; returns whether the server had been there.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.next.replace(now + PAUSE).is_none()
    }

    /// Returns whether it answered last.
    pub(super) fn is_there(&self) -> bool {
        self.next.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_asks_in_a_pause_until_there_is_an_answer() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        assert!(breaker.may_ask(start) && breaker.may_ask(start));
        assert!(breaker.failed(start), "it had been there");
        assert!(!breaker.failed(start), "it was away");
        assert!(!breaker.may_ask(start + PAUSE / 2));
        assert!(breaker.may_ask(start + PAUSE), "one tries");
        assert!(!breaker.may_ask(start + PAUSE), "the others do not");
        assert!(breaker.may_ask(start + 2 * PAUSE), "though the one never comes back");
        assert!(!breaker.is_there() && breaker.answered() && breaker.is_there());
        assert!(breaker.may_ask(start) && !breaker.answered());
    }
}
