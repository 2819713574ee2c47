//! What one proxy remembers by itself. It is given the time.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use token::Limits;

use super::{
    MessageId, StoreError, Subscription, TOPICS_PER_CLIENT_MAX,
    expiring::Expiring,
    usage::{Exceeded, Usage},
};

/// Most clients whose use is remembered.
const CLIENTS_MAX: usize = 1 << 16;

/// Most published messages that are remembered: about 40 MB.
const CLAIMS_MAX: usize = 1 << 18;

/// Most bytes of subscriptions.
const SUBSCRIPTIONS_BYTES_MAX: usize = 64 << 20;

/// What an entry takes beside its text, in bytes; roughly.
const ENTRY_BYTES: usize = 64;

type Topics = BTreeMap<Arc<str>, f32>;

pub(super) struct Memory {
    usages: Expiring<Arc<str>, Usage>,
    claims: Expiring<MessageId, Held>,
    claims_made: u64,
    subscriptions: Expiring<Arc<str>, Topics>,
}

/// A claim of this proxy.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Which one: no other of this process has the number.
    number: u64,
    state: ClaimState,
}

/// How it stands with a claim of this proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimState {
    /// A caller has it, or asks for it now.
    Held,
    /// The one that asked got no answer: the next one asks again, by the same number.
    Unsure,
}

/// How many entries gave way before their time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forgotten {
    pub(super) usages: u64,
    pub(super) claims: u64,
    pub(super) subscriptions: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            usages: Expiring::new(CLIENTS_MAX),
            claims: Expiring::new(CLAIMS_MAX),
            claims_made: 0,
            subscriptions: Expiring::new(SUBSCRIPTIONS_BYTES_MAX),
        }
    }
}

impl Memory {
    pub(super) fn admit(
        &mut self,
        client: &str,
        limits: &Limits,
        bytes: u64,
        now: Instant,
    ) -> Option<Exceeded> {
        let mut usage = self.usages.get(client, now).copied().unwrap_or_default();
        let exceeded = usage.admit(limits, bytes, now);
        if exceeded.is_none() {
            self.usages.put(client.into(), usage, 1, usage.ends(now), now);
        }
        exceeded
    }

    /// Returns the number of a new claim; none if this proxy has one.
    pub(super) fn claim(&mut self, id: &MessageId, ttl: Duration, now: Instant) -> Option<u64> {
        let number = match self.claims.get(id, now) {
            Some(Held { state: ClaimState::Held, .. }) => return None,
            Some(Held { state: ClaimState::Unsure, number }) => *number,
            None => {
                self.claims_made += 1;
                self.claims_made
            }
        };
        let held = Held { number, state: ClaimState::Held };
        self.claims.put(*id, held, 1, now + ttl, now);
        Some(number)
    }

    /// Returns the number of a claim that this proxy has.
    pub(super) fn claim_number(&self, id: &MessageId, now: Instant) -> Option<u64> {
        self.claims.get(id, now).map(|held| held.number)
    }

    /// Notes that nobody knows whether a claim is there.
    pub(super) fn doubt(&mut self, id: &MessageId, now: Instant) {
        if let Some(held) = self.claims.get_mut(id, now) {
            held.state = ClaimState::Unsure;
        }
    }

    /// Forgets a claim.
    pub(super) fn release(&mut self, id: &MessageId) {
        self.claims.remove(id);
    }

    pub(super) fn subscribe(
        &mut self,
        client: &str,
        wanted: &Subscription,
        ttl: Duration,
        now: Instant,
    ) -> Result<(), StoreError> {
        let is_full = self.subscriptions.get(client, now).is_some_and(|topics| {
            topics.len() >= TOPICS_PER_CLIENT_MAX && !topics.contains_key(&*wanted.topic)
        });
        if is_full {
            return Err(StoreError::TopicsFull);
        }
        let mut topics = self.take(client, now).unwrap_or_default();
        topics.insert(wanted.topic.as_str().into(), wanted.threshold);
        self.put(client, topics, ttl, now);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, client: &str, topic: &str, now: Instant) {
        // What it weighs is put right when the client subscribes again.
        let Some(topics) = self.subscriptions.get_mut(client, now) else { return };
        topics.remove(topic);
        if topics.is_empty() {
            self.subscriptions.remove(&client.into());
        }
    }

    pub(super) fn subscriptions(&self, client: &str, now: Instant) -> Vec<Subscription> {
        let topics = self.subscriptions.get(client, now).into_iter().flatten();
        topics
            .map(|(topic, threshold)| Subscription {
                topic: topic.to_string(),
                threshold: *threshold,
            })
            .collect()
    }

    pub(super) fn keep(&mut self, client: &str, ttl: Duration, now: Instant) -> bool {
        let Some(topics) = self.take(client, now) else { return false };
        self.put(client, topics, ttl, now);
        true
    }

    pub(super) fn forgotten(&self) -> Forgotten {
        Forgotten {
            usages: self.usages.forgotten(),
            claims: self.claims.forgotten(),
            subscriptions: self.subscriptions.forgotten(),
        }
    }

    fn take(&mut self, client: &str, now: Instant) -> Option<Topics> {
        let has_ended = self.subscriptions.get(client, now).is_none();
        self.subscriptions.remove(&client.into()).filter(|_| !has_ended)
    }

    fn put(&mut self, client: &str, topics: Topics, ttl: Duration, now: Instant) {
        let bytes = topics.keys().map(|topic| topic.len() + ENTRY_BYTES).sum::<usize>();
        let weight = client.len() + ENTRY_BYTES + bytes;
        self.subscriptions.put(client.into(), topics, weight, now + ttl, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(120);
    const ID: MessageId = [7; 32];

    fn wanted(topic: &str, threshold: f32) -> Subscription {
        Subscription { topic: topic.to_owned(), threshold }
    }

    #[test]
    fn the_first_has_a_claim_until_it_ends_or_is_released() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let first = memory.claim(&ID, TTL, now).expect("the first");
        assert_eq!(memory.claim(&ID, TTL, now + TTL / 2), None);
        assert_ne!(memory.claim(&ID, TTL, now + TTL), Some(first), "another claim");
        memory.release(&ID);
        assert_eq!(memory.claim_number(&ID, now + TTL), None);
        assert!(memory.claim(&ID, TTL, now + TTL).is_some());
    }

    #[test]
    fn a_claim_without_an_answer_is_made_again_by_its_number() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let first = memory.claim(&ID, TTL, now);
        memory.doubt(&ID, now);
        assert_eq!(memory.claim(&ID, TTL, now), first);
        assert_eq!(memory.claim(&ID, TTL, now), None, "one at a time");
    }

    #[test]
    fn more_published_messages_than_there_is_room_for_push_the_oldest_out() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            id
        };
        for number in 0..=CLAIMS_MAX {
            let after = Duration::from_nanos(number as u64);
            assert!(memory.claim(&id(number), TTL, now + after).is_some());
        }
        assert_eq!(memory.forgotten().claims, 1);
        assert_eq!(memory.claim(&id(1), TTL, now), None, "still known");
        assert!(memory.claim(&id(0), TTL, now).is_some(), "forgotten");
    }

    #[test]
    fn subscriptions_hold_as_long_as_the_last_was_wanted_for() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.subscribe("c", &wanted("b", 0.1), TTL, now).expect("room");
        memory.subscribe("c", &wanted("a", 0.7), TTL, now).expect("room");
        memory.subscribe("c", &wanted("b", 1.0), TTL, now).expect("another threshold");
        assert_eq!(memory.subscriptions("c", now), [wanted("a", 0.7), wanted("b", 1.0)]);
        assert!(memory.keep("c", TTL, now + TTL / 2));
        assert_eq!(memory.subscriptions("c", now + TTL).len(), 2);
        assert!(memory.subscriptions("c", now + 2 * TTL).is_empty());
        assert!(!memory.keep("c", TTL, now + 2 * TTL));
        let later = now + 2 * TTL;
        memory.subscribe("c", &wanted("a", 0.1), TTL, later).expect("room");
        memory.unsubscribe("c", "a", later);
        assert!(memory.subscriptions("c", later).is_empty() && !memory.keep("c", TTL, later));
    }

    #[test]
    fn a_client_has_only_so_many_topics_and_one_it_has_may_change() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for topic in 0..TOPICS_PER_CLIENT_MAX {
            memory.subscribe("c", &wanted(&topic.to_string(), 0.1), TTL, now).expect("room");
        }
        let one_more = memory.subscribe("c", &wanted("one more", 0.1), TTL, now);
        assert_eq!(one_more, Err(StoreError::TopicsFull));
        memory.subscribe("c", &wanted("7", 0.9), TTL, now).expect("known");
        memory.subscribe("d", &wanted("one more", 0.1), TTL, now).expect("another client");
    }
}
