//! The ids of the messages delivered of late.

use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use gossip::MessageId;

/// Remembers ids for a time, up to a number; the oldest go first.
#[derive(Debug)]
pub(super) struct Delivered {
    ids: HashSet<MessageId>,
    order: VecDeque<(Instant, MessageId)>,
    ttl: Duration,
    max: usize,
}

impl Delivered {
    pub(super) fn new(ttl: Duration, max: usize) -> Self {
        Self { ids: HashSet::new(), order: VecDeque::new(), ttl, max }
    }

    /// Remembers `message`. Returns whether it is new.
    pub(super) fn insert(&mut self, now: Instant, message: MessageId) -> bool {
        self.expire(now);
        if !self.ids.insert(message) {
            return false;
        }
        self.order.push_back((now, message));
        if self.order.len() > self.max {
            self.forget_oldest();
        }
        true
    }

    pub(super) fn contains(&self, message: &MessageId) -> bool {
        self.ids.contains(message)
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(since, _)| *since + self.ttl <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, message)) = self.order.pop_front() {
            self.ids.remove(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use gossip::message_id;

    use super::*;

    #[test]
    fn an_id_is_new_once_within_its_time_and_again_after_it() {
        let (now, ttl) = (Instant::now(), Duration::from_secs(1));
        let mut delivered = Delivered::new(ttl, 8);
        assert!(delivered.insert(now, message_id(b"a")));
        assert!(!delivered.insert(now, message_id(b"a")));
        assert!(delivered.insert(now + ttl, message_id(b"a")));
    }

    #[test]
    fn the_oldest_id_goes_when_there_are_too_many() {
        let now = Instant::now();
        let mut delivered = Delivered::new(Duration::from_secs(1), 2);
        for payload in [b"a", b"b", b"c"] {
            assert!(delivered.insert(now, message_id(payload)));
        }
        assert!(!delivered.contains(&message_id(b"a")));
        assert!(delivered.contains(&message_id(b"b")) && delivered.contains(&message_id(b"c")));
    }
}
