//! What is counted since the start, subscribed or not.

use std::collections::BTreeMap;

use gossip::Topic;

use crate::pubsub::{OwnCounter, TopicCounters};

/// Topics with counters, as in mode optimum: those that were subscribed first.
const TOPICS_MAX: usize = 1024;

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Of each topic that is or was subscribed.
    topics: BTreeMap<Topic, TopicCounters>,
    /// Messages that nobody may send: unsigned, wrongly signed, or malformed.
    pub(super) messages_invalid: u64,
    /// Times that something was not sent to one peer, because its queue was full or it waited there
    /// too long.
    pub(super) sends_failed: u64,
    /// Own messages for which every peer's queue was full.
    pub(super) published_to_nobody: u64,
}

impl Counted {
    /// The topic is subscribed.
    pub(super) fn begin(&mut self, topic: &Topic) {
        if self.topics.len() < TOPICS_MAX {
            self.topics.entry(topic.clone()).or_default();
        }
    }

    /// Counts something of a topic.
    pub(super) fn of(&mut self, topic: &Topic, count: impl FnOnce(&mut TopicCounters)) {
        if let Some(counters) = self.topics.get_mut(topic) {
            count(counters);
        }
    }

    /// A message came or is published.
    pub(super) fn received(&mut self, topic: &Topic, bytes: usize) {
        self.of(topic, |counters| {
            counters.received_messages += 1;
            counters.received_bytes += bytes as u64;
        });
    }

    /// A message was delivered.
    pub(super) fn delivered(&mut self, topic: &Topic, bytes: usize) {
        self.of(topic, |counters| {
            counters.delivered_messages += 1;
            counters.delivered_bytes += bytes as u64;
        });
    }

    /// A message was not taken.
    pub(super) fn rejected(&mut self, topic: &Topic) {
        self.of(topic, |counters| counters.dropped_rejected += 1);
    }

    /// Returns the counters of each topic.
    pub(super) fn topics(&self) -> BTreeMap<String, TopicCounters> {
        self.topics.iter().map(|(topic, of)| (topic.as_str().to_owned(), *of)).collect()
    }

    /// Returns the others; `kept_lost` are own messages for which no peer came in time.
    #[rustfmt::skip]
    pub(super) fn own(&self, kept_lost: u64) -> Vec<OwnCounter> {
        vec![
            ("messages_invalid", "Messages that were unsigned, wrongly signed or malformed, whatever their topic.", self.messages_invalid),
            ("sends_failed", "Messages not sent to one peer: too many waited for it, or this one for too long.", self.sends_failed),
            ("published_to_nobody", "Own messages that were only announced: too many waited for every peer.", self.published_to_nobody),
            ("published_without_peers", "Own messages for which no peer of their topic came in time.", kept_lost),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_beyond_the_bound_are_not_counted() {
        let topic = |number: usize| Topic::new(&number.to_string()).expect("a topic");
        let mut counted = Counted::default();
        for number in 0..=TOPICS_MAX {
            counted.begin(&topic(number));
            counted.received(&topic(number), 1);
        }
        assert_eq!(counted.topics().len(), TOPICS_MAX);
        assert_eq!(counted.topics()["0"].received_bytes, 1);
    }
}
