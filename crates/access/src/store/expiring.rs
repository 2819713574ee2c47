//! A map whose entries end, and that holds only so much.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Instant,
};

struct Entry<V> {
    value: V,
    weight: usize,
    ends: Instant,
}

/// Entries with an end and a weight. Where there is no room, those that end first give way.
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, Entry<V>>,
    ends: BTreeSet<(Instant, K)>,
    weight: usize,
    weight_max: usize,
    forgotten: u64,
}

impl<K: Clone + Eq + Hash + Ord, V> Expiring<K, V> {
    pub(super) fn new(weight_max: usize) -> Self {
        let (entries, ends) = (HashMap::new(), BTreeSet::new());
        Self { entries, ends, weight: 0, weight_max, forgotten: 0 }
    }

    /// Returns an entry that has not ended.
    pub(super) fn get<Q>(&self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).filter(|entry| entry.ends > now).map(|entry| &entry.value)
    }

    /// The same, to change it.
    pub(super) fn get_mut<Q>(&mut self, key: &Q, now: Instant) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get_mut(key).filter(|entry| entry.ends > now).map(|entry| &mut entry.value)
    }

    /// Puts an entry, in the place of one of this key. Ended ones go.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize, ends: Instant, now: Instant) {
        self.remove(&key);
        while let Some((end, _)) = self.ends.first() {
            let is_ended = *end <= now;
            if !is_ended && self.weight + weight <= self.weight_max {
                break;
            }
            if let Some((_, first)) = self.ends.pop_first() {
                self.forgotten += u64::from(!is_ended);
                self.forget(&first);
            }
        }
        self.weight += weight;
        self.ends.insert((ends, key.clone()));
        self.entries.insert(key, Entry { value, weight, ends });
    }

    /// Takes an entry out, ended or not.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.forget(key)?;
        self.ends.remove(&(entry.ends, key.clone()));
        Some(entry.value)
    }

    /// Returns how many entries had to give way before they ended.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        self.weight -= entry.weight;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Instant {
        // One start for all tests: instants cannot be made from numbers.
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    #[test]
    fn an_entry_ends_at_its_time() {
        let mut map = Expiring::new(10);
        map.put("a", 1, 1, at(5), at(0));
        assert_eq!((map.get("a", at(4)), map.get("a", at(5))), (Some(&1), None));
        map.put("b", 2, 1, at(9), at(5));
        assert_eq!(
            (map.entries.len(), map.weight, map.forgotten()),
            (1, 1, 0),
            "ended ones are cleared"
        );
    }

    #[test]
    fn what_ends_first_gives_way_and_is_counted() {
        let mut map = Expiring::new(10);
        map.put("soon", 1, 4, at(5), at(0));
        map.put("late", 2, 4, at(9), at(0));
        map.put("new", 3, 3, at(7), at(0));
        assert_eq!(map.get("soon", at(0)), None);
        assert_eq!((map.get("late", at(0)), map.get("new", at(0))), (Some(&2), Some(&3)));
        assert_eq!((map.weight, map.forgotten()), (7, 1));
    }

    #[test]
    fn an_entry_takes_the_place_of_its_older_self() {
        let mut map = Expiring::new(10);
        map.put("a", 1, 9, at(5), at(0));
        map.put("a", 2, 9, at(6), at(0));
        assert_eq!((map.get("a", at(5)), map.weight, map.forgotten()), (Some(&2), 9, 0));
        assert_eq!((map.remove(&"a"), map.remove(&"a")), (Some(2), None));
        assert_eq!((map.weight, map.ends.len()), (0, 0));
    }
}
