//! What was put in comes out after a fixed time, in order.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// All wait equally long, so the order of the ends is that of the beginnings: no heap is needed.
#[derive(Debug)]
pub(crate) struct DelayLine<T> {
    delay: Duration,
    waiting: VecDeque<(Instant, T)>,
}

impl<T> DelayLine<T> {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay, waiting: VecDeque::new() }
    }

    /// Puts something in; `now` never falls from call to call.
    pub(crate) fn push(&mut self, now: Instant, item: T) {
        self.waiting.push_back((now + self.delay, item));
    }

    /// Returns what has waited long enough, the oldest first.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        self.waiting.pop_front_if(|(due, _)| *due <= now).map(|(_, item)| item)
    }

    /// Returns how long from `now` until there is something.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.waiting.front().map(|(due, _)| due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_order_after_the_delay_and_not_before() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut line = DelayLine::new(Duration::from_millis(25));
        assert_eq!(line.wait(at(0)), None);
        line.push(at(0), 'a');
        line.push(at(1), 'b');
        assert_eq!(line.wait(at(1)), Some(Duration::from_millis(24)));
        assert_eq!(line.pop(at(24)), None);
        assert_eq!(line.pop(at(25)), Some('a'));
        assert_eq!(line.pop(at(25)), None);
        assert_eq!(line.wait(at(27)), Some(Duration::ZERO), "late already");
        assert_eq!(line.pop(at(27)), Some('b'));
    }
}
