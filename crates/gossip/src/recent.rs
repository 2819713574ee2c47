//! A set that remembers for a time, up to a number: the seen-cache and its relatives.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Keys added within the last `ttl`, at most `keys_max` of them; at the bound the oldest goes.
#[derive(Debug)]
pub(crate) struct Recent<K> {
    ttl: Duration,
    keys_max: usize,
    added: BTreeMap<K, Instant>,
    order: VecDeque<(Instant, K)>,
}

impl<K: Copy + Ord> Recent<K> {
    pub(crate) fn new(ttl: Duration, keys_max: usize) -> Self {
        Self { ttl, keys_max, added: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Adds `key`; one that is there keeps its time. Returns whether another had to go early.
    pub(crate) fn insert(&mut self, now: Instant, key: K) -> bool {
        self.expire(now);
        if self.added.contains_key(&key) {
            return false;
        }
        self.added.insert(key, now);
        self.order.push_back((now, key));
        if self.added.len() <= self.keys_max {
            return false;
        }
        self.pop();
        true
    }

    /// Returns whether `key` was added within the time and has not gone early.
    pub(crate) fn contains(&self, now: Instant, key: &K) -> bool {
        self.added.get(key).is_some_and(|&added| now < added + self.ttl)
    }

    /// Forgets `key`.
    pub(crate) fn remove(&mut self, key: &K) {
        if self.added.remove(key).is_some() {
            self.order.retain(|(_, other)| other != key);
        }
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|&(added, _)| now >= added + self.ttl) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.added.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(120);

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_key_is_remembered_for_the_time_given_and_no_longer() {
        let now = start();
        let mut recent = Recent::new(TTL, 10);
        assert!(!recent.insert(now, 1));
        assert!(recent.contains(now + TTL.saturating_sub(Duration::from_nanos(1)), &1));
        assert!(!recent.contains(now + TTL, &1));
        recent.expire(now + TTL);
        assert!(recent.added.is_empty() && recent.order.is_empty());
    }

    #[test]
    fn adding_a_key_again_does_not_prolong_its_time() {
        let now = start();
        let mut recent = Recent::new(TTL, 10);
        recent.insert(now, 1);
        recent.insert(now + TTL / 2, 1);
        assert!(!recent.contains(now + TTL, &1));
    }

    #[test]
    fn at_the_bound_the_oldest_key_goes_and_is_told() {
        let now = start();
        let mut recent = Recent::new(TTL, 2);
        assert!(!recent.insert(now, 1));
        assert!(!recent.insert(now, 2));
        assert!(recent.insert(now, 3));
        assert!(!recent.contains(now, &1));
        assert!(recent.contains(now, &2) && recent.contains(now, &3));
    }
}
