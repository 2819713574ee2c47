//! Messages of a while ago.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    MessageId,
    ids::{IdSet, Mixer},
};

/// Remembers messages for a time, at most so many.
#[derive(Debug)]
pub(crate) struct Recent {
    messages: IdSet,
    order: VecDeque<(Instant, MessageId)>,
    time: Duration,
    max: usize,
}

impl Recent {
    pub(crate) fn new(time: Duration, max: usize, secret: u64) -> Self {
        let messages = IdSet::with_hasher(Mixer(secret));
        Self { messages, order: VecDeque::new(), time, max }
    }

    /// Remembers a message; returns whether another had to be forgotten early for it.
    pub(crate) fn insert(&mut self, now: Instant, message: MessageId) -> bool {
        self.expire(now);
        if self.messages.insert(message) {
            self.order.push_back((now, message));
        }
        let full = self.order.len() > self.max;
        if full {
            self.forget_oldest();
        }
        full
    }

    pub(crate) fn contains(&mut self, now: Instant, message: &MessageId) -> bool {
        self.expire(now);
        self.messages.contains(message)
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(since, _)| *since + self.time <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, message)) = self.order.pop_front() {
            self.messages.remove(&message);
        }
    }
}
