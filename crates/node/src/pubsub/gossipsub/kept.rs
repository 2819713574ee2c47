//! Messages of ours that found no peer of their topic: kept for the first one that appears.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::Topic;

/// Bytes kept; the oldest go first.
const BYTES_MAX: usize = 64 << 20;

/// Messages kept; the oldest go first.
const COUNT_MAX: usize = 4096;

#[derive(Debug)]
struct Message {
    until: Instant,
    topic: Topic,
    payload: Bytes,
}

/// What is kept, oldest first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Messages that nobody came for, or that gave way to newer ones.
    lost: u64,
}

impl Kept {
    /// Keeps a message for `time`.
    pub(super) fn keep(&mut self, now: Instant, time: Duration, topic: Topic, payload: Bytes) {
        self.bytes += payload.len();
        self.messages.push_back(Message { until: now + time, topic, payload });
        // The newest stays, however long it is.
        while (self.bytes > BYTES_MAX && self.messages.len() > 1) || self.messages.len() > COUNT_MAX
        {
            self.lose_oldest();
        }
    }

    /// Takes the messages of a topic.
    pub(super) fn take(&mut self, topic: &str) -> Vec<(Topic, Bytes)> {
        let all = std::mem::take(&mut self.messages);
        let (taken, stay) = all.into_iter().partition(|message| message.topic.as_str() == topic);
        self.messages = stay;
        let taken: VecDeque<Message> = taken;
        self.bytes -= taken.iter().map(|message| message.payload.len()).sum::<usize>();
        taken.into_iter().map(|message| (message.topic, message.payload)).collect()
    }

    /// Returns how many messages were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Forgets what waited long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.messages.front().is_some_and(|message| message.until <= now) {
            self.lose_oldest();
        }
    }

    fn lose_oldest(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.payload.len();
            self.lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(4);

    fn topic(name: &str) -> Topic {
        Topic::new(name).expect("a topic")
    }

    #[test]
    fn the_messages_of_a_topic_are_taken_in_order_and_others_stay() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        for (name, payload) in [("a", "1"), ("b", "2"), ("a", "3")] {
            kept.keep(now, TIME, topic(name), payload.into());
        }
        let taken: Vec<_> = kept.take("a").into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(taken, ["1", "3"]);
        assert_eq!(kept.take("a"), []);
        assert_eq!((kept.messages.len(), kept.bytes), (1, 1));
    }

    #[test]
    fn what_nobody_came_for_is_counted_and_forgotten() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        kept.keep(now, TIME, topic("a"), "1".into());
        kept.expire(now);
        assert_eq!(kept.lost(), 0);
        kept.expire(now + TIME);
        kept.expire(now + TIME);
        assert_eq!(kept.lost(), 1);
        assert_eq!((kept.take("a"), kept.bytes), (Vec::new(), 0));
    }

    #[test]
    fn the_oldest_gives_way_when_there_is_too_much() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        for _ in 0..3 {
            kept.keep(now, TIME, topic("a"), vec![0; BYTES_MAX / 2].into());
        }
        assert_eq!((kept.messages.len(), kept.lost), (2, 1));
        kept.keep(now, TIME, topic("a"), vec![0; BYTES_MAX * 2].into());
        assert_eq!((kept.messages.len(), kept.lost), (1, 3));
    }
}
