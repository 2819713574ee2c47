//! The messages that are published while the dashboard is looked at: when, and how that goes.

use std::time::{Duration, Instant};

use super::{
    back_off::BackOff,
    state::{Failure, Order},
};

/// A subscription, then so many messages at an interval, one request at a time.
#[derive(Debug)]
pub(super) struct Feed {
    /// How many messages.
    pub(super) count: u64,
    interval: Duration,
    /// Messages that the proxy took.
    pub(super) published: u64,
    stage: Stage,
    back_off: BackOff,
    /// Why the last request failed, until one succeeds.
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The subscription is due.
    Subscribe(Instant),
    /// The next message is due.
    Publish(Instant),
    /// A request is on its way; a message that follows is due then.
    Waiting(Instant),
    /// Nothing more is done.
    Over,
}

impl Feed {
    /// Plans `count` messages.
    pub(super) fn new(count: u64, interval: Duration, now: Instant) -> Self {
        let stage = if count == 0 { Stage::Over } else { Stage::Subscribe(now) };
        Self { count, interval, published: 0, stage, back_off: BackOff::default(), failure: None }
    }

    /// Whether nothing more is done: all is published, or it made no sense to go on.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Returns when the next request is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Subscribe(due) | Stage::Publish(due) => Some(due),
            Stage::Waiting(_) | Stage::Over => None,
        }
    }

    /// Returns the request that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Order> {
        let order = match self.stage {
            Stage::Subscribe(due) if due <= now => Order::Subscribe,
            Stage::Publish(due) if due <= now => Order::Publish,
            Stage::Subscribe(_) | Stage::Publish(_) | Stage::Waiting(_) | Stage::Over => {
                return None;
            }
        };
        self.stage = Stage::Waiting(now + self.interval);
        Some(order)
    }

    /// The subscription was answered.
    pub(super) fn after_subscribe(&mut self, now: Instant, answer: Result<(), Failure>) {
        match answer {
            Ok(()) => self.succeeded(Stage::Publish(now)),
            Err(failure) => self.failed(failure, |wait| Stage::Subscribe(now + wait)),
        }
    }

    /// A publish was answered.
    pub(super) fn after_publish(&mut self, now: Instant, answer: Result<(), Failure>) {
        // An answer that took longer than the interval does not make the following ones hurry.
        let due = if let Stage::Waiting(due) = self.stage { due.max(now) } else { now };
        match answer {
            Ok(()) => {
                self.published += 1;
                let is_last = self.published >= self.count;
                self.succeeded(if is_last { Stage::Over } else { Stage::Publish(due) });
            }
            Err(failure) => self.failed(failure, |wait| Stage::Publish(now + wait)),
        }
    }

    fn succeeded(&mut self, stage: Stage) {
        self.back_off.succeeded();
        self.failure = None;
        self.stage = stage;
    }

    fn failed(&mut self, failure: Failure, again: impl FnOnce(Duration) -> Stage) {
        self.stage = if failure.is_final { Stage::Over } else { again(self.back_off.failed()) };
        self.failure = Some(failure.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    fn failure(is_final: bool) -> Result<(), Failure> {
        Err(Failure { reason: "no".to_owned(), is_final })
    }

    #[test]
    fn a_subscription_comes_first_and_then_so_many_messages_at_the_interval() {
        let start = Instant::now();
        let mut feed = Feed::new(2, INTERVAL, start);
        assert_eq!(feed.handle_timeout(start), Some(Order::Subscribe));
        assert_eq!((feed.handle_timeout(start), feed.poll_timeout()), (None, None), "on its way");
        let subscribed = start + Duration::from_secs(1);
        feed.after_subscribe(subscribed, Ok(()));
        assert_eq!(feed.handle_timeout(subscribed), Some(Order::Publish));
        feed.after_publish(subscribed + INTERVAL / 5, Ok(()));
        assert_eq!(feed.poll_timeout(), Some(subscribed + INTERVAL));
        assert_eq!(feed.handle_timeout(subscribed + INTERVAL / 2), None, "early");
        assert_eq!(feed.handle_timeout(subscribed + INTERVAL), Some(Order::Publish));
        feed.after_publish(subscribed + INTERVAL, Ok(()));
        assert!(feed.is_over() && feed.published == 2 && feed.poll_timeout().is_none());
    }

    #[test]
    fn a_slow_answer_makes_the_following_messages_late_and_not_dense() {
        let start = Instant::now();
        let mut feed = Feed::new(3, INTERVAL, start);
        feed.handle_timeout(start);
        feed.after_subscribe(start, Ok(()));
        feed.handle_timeout(start);
        let late = start + INTERVAL * 7;
        feed.after_publish(late, Ok(()));
        assert_eq!(feed.handle_timeout(late), Some(Order::Publish));
        feed.after_publish(late, Ok(()));
        assert_eq!(feed.poll_timeout(), Some(late + INTERVAL));
    }

    #[test]
    fn what_may_pass_is_tried_again_later_and_later_and_what_will_not_pass_is_not() {
        let start = Instant::now();
        let mut feed = Feed::new(2, INTERVAL, start);
        feed.handle_timeout(start);
        feed.after_subscribe(start, failure(false));
        let second = start + Duration::from_secs(2);
        assert_eq!(feed.poll_timeout(), Some(second));
        assert_eq!(feed.handle_timeout(second), Some(Order::Subscribe));
        feed.after_subscribe(second, failure(false));
        let third = second + Duration::from_secs(4);
        assert_eq!(feed.poll_timeout(), Some(third));
        feed.handle_timeout(third);
        feed.after_subscribe(third, Ok(()));
        assert_eq!(feed.failure, None);
        feed.handle_timeout(third);
        feed.after_publish(third, failure(false));
        assert_eq!(feed.poll_timeout(), Some(third + Duration::from_secs(2)), "from the start");
        assert_eq!(feed.published, 0, "it is the same message that is due");
        feed.handle_timeout(third + Duration::from_secs(2));
        feed.after_publish(third, failure(true));
        assert!(feed.is_over() && feed.failure.as_deref() == Some("no"));
    }

    #[test]
    fn no_messages_need_no_subscription() {
        let feed = Feed::new(0, INTERVAL, Instant::now());
        assert!(feed.is_over() && feed.poll_timeout().is_none());
    }
}
