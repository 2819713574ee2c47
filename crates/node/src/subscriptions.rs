//! Why the node is subscribed to what: for good, or only while somebody holds it.
//!
//! A plain subscription stays until it is ended. A *lease* belongs to a holder, a name that streams
//! give; it ends a while after the holder's last stream closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use gossip::Topic;

/// How long a holder's topics stay after its last stream closed.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Holders with leases at once. At the bound, the one that is gone for longest loses its leases
/// early; streams are fewer than this, so there is always one that is gone.
const HOLDERS_MAX: usize = 4096;

/// The names of the holders that have a stream open.
pub(crate) type Holders = Arc<BTreeSet<String>>;

/// Everything that is subscribed.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    plain: BTreeSet<Topic>,
    /// How often each topic is held, leases and plain.
    held: BTreeMap<Topic, usize>,
    leases: BTreeMap<String, Leases>,
    present: Holders,
}

/// What one holder holds.
#[derive(Debug, Default)]
struct Leases {
    topics: BTreeSet<Topic>,
    /// Since when it has no stream.
    gone: Option<Instant>,
}

impl Subscriptions {
    /// Subscribes for good.
    pub(crate) fn subscribe(&mut self, topic: Topic) {
        if self.plain.insert(topic.clone()) {
            *self.held.entry(topic).or_default() += 1;
        }
    }

    /// Returns whether a topic is subscribed or can be.
    pub(crate) fn has_room_for(&self, topic: &Topic) -> bool {
        self.held.len() < gossip::Limits::default().topics_max || self.contains(topic)
    }

    /// Subscribes for a holder; returns what is to be left to make room for it.
    pub(crate) fn lease(&mut self, now: Instant, holder: &str, topic: Topic) -> Vec<Topic> {
        let left = if self.leases.contains_key(holder) { Vec::new() } else { self.make_room() };
        let gone = (!self.present.contains(holder)).then_some(now);
        let leases = self.leases.entry(holder.to_owned()).or_default();
        if leases.topics.insert(topic.clone()) {
            *self.held.entry(topic).or_default() += 1;
        }
        leases.gone = leases.gone.or(gone);
        left
    }

    /// Ends one holder's lease; returns whether nobody holds the topic any more.
    pub(crate) fn release(&mut self, holder: &str, topic: &Topic) -> bool {
        let Some(leases) = self.leases.get_mut(holder) else { return false };
        if !leases.topics.remove(topic) {
            return false;
        }
        if leases.topics.is_empty() {
            self.leases.remove(holder);
        }
        !self.let_go([topic.clone()]).is_empty()
    }

    /// Ends a subscription, whoever holds it.
    pub(crate) fn unsubscribe(&mut self, topic: &Topic) {
        self.plain.remove(topic);
        for leases in self.leases.values_mut() {
            leases.topics.remove(topic);
        }
        self.leases.retain(|_, leases| !leases.topics.is_empty());
        self.held.remove(topic);
    }

    /// Returns whether `topic` is subscribed.
    pub(crate) fn contains(&self, topic: &Topic) -> bool {
        self.held.contains_key(topic)
    }

    /// Returns what is subscribed for good.
    pub(crate) fn plain(&self) -> &BTreeSet<Topic> {
        &self.plain
    }

    /// Takes note of who has a stream open.
    pub(crate) fn set_present(&mut self, now: Instant, present: &Holders) {
        if Arc::ptr_eq(&self.present, present) {
            return;
        }
        self.present = Arc::clone(present);
        for (holder, leases) in &mut self.leases {
            leases.gone = if present.contains(holder) { None } else { leases.gone.or(Some(now)) };
        }
    }

    /// Returns when the next lease ends.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.leases.values().filter_map(|leases| leases.gone).min().map(|gone| gone + LEASE)
    }

    /// Ends the leases that are due; returns the topics that nobody holds any more.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Topic> {
        let due = |leases: &Leases| leases.gone.is_some_and(|gone| gone + LEASE <= now);
        let ended: Vec<_> = self.leases.extract_if(.., |_, leases| due(leases)).collect();
        self.let_go(ended.into_iter().flat_map(|(_, leases)| leases.topics))
    }

    fn make_room(&mut self) -> Vec<Topic> {
        if self.leases.len() < HOLDERS_MAX {
            return Vec::new();
        }
        let gone = self.leases.iter().filter_map(|(name, leases)| Some((leases.gone?, name)));
        let Some(name) = gone.min().map(|(_, name)| name.clone()) else { return Vec::new() };
        let topics = self.leases.remove(&name).unwrap_or_default().topics;
        self.let_go(topics)
    }

    /// Ends one lease of each of `topics`; returns those that nobody holds any more.
    fn let_go(&mut self, topics: impl IntoIterator<Item = Topic>) -> Vec<Topic> {
        let mut free = BTreeSet::new();
        for topic in topics {
            let Some(held) = self.held.get_mut(&topic) else { continue };
            *held -= 1;
            if *held == 0 {
                self.held.remove(&topic);
                free.insert(topic);
            }
        }
        free.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::new(name).expect("a topic")
    }

    fn holders(names: &[&str]) -> Holders {
        Arc::new(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Two holders with a stream each; the first holds topic a.
    fn held() -> (Subscriptions, Instant) {
        let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
        subscriptions.set_present(now, &holders(&["one", "two"]));
        subscriptions.lease(now, "one", topic("a"));
        (subscriptions, now)
    }

    #[test]
    fn topics_are_bounded_whoever_holds_them() {
        let (mut subscriptions, now) = held();
        let max = gossip::Limits::default().topics_max;
        for number in 1..max {
            assert!(subscriptions.has_room_for(&topic(&number.to_string())));
            subscriptions.subscribe(topic(&number.to_string()));
        }
        assert!(!subscriptions.has_room_for(&topic("one more")));
        assert!(subscriptions.has_room_for(&topic("a")), "it is there");
        subscriptions.lease(now, "two", topic("1"));
        subscriptions.unsubscribe(&topic("1"));
        assert!(subscriptions.has_room_for(&topic("one more")));
    }

    #[test]
    fn a_lease_ends_60_seconds_after_its_holder_is_gone() {
        let (mut subscriptions, now) = held();
        assert_eq!(subscriptions.next_deadline(), None);
        subscriptions.set_present(now, &holders(&["two"]));
        let before = now + Duration::from_millis(59_999);
        let due = now + Duration::from_secs(60);
        assert_eq!(subscriptions.next_deadline(), Some(due));
        assert!(subscriptions.expire(before).is_empty());
        assert!(subscriptions.contains(&topic("a")));
        assert_eq!(subscriptions.expire(due), [topic("a")]);
        assert!(!subscriptions.contains(&topic("a")));
        assert_eq!(subscriptions.next_deadline(), None);
    }

    #[test]
    fn a_holder_that_comes_back_in_time_loses_nothing() {
        let (mut subscriptions, now) = held();
        subscriptions.set_present(now, &holders(&[]));
        subscriptions.set_present(now + LEASE / 2, &holders(&["one"]));
        assert!(subscriptions.expire(now + LEASE * 2).is_empty());
        assert!(subscriptions.contains(&topic("a")));
    }

    #[test]
    fn a_topic_stays_as_long_as_anybody_else_has_it() {
        let (mut subscriptions, now) = held();
        subscriptions.lease(now, "two", topic("a"));
        subscriptions.set_present(now, &holders(&["two"]));
        assert!(subscriptions.expire(now + LEASE).is_empty());
        subscriptions.subscribe(topic("a"));
        subscriptions.set_present(now + LEASE, &holders(&[]));
        assert!(subscriptions.expire(now + LEASE * 2).is_empty());
        assert!(subscriptions.contains(&topic("a")));
    }

    #[test]
    fn leases_are_no_plain_subscriptions() {
        let (mut subscriptions, _) = held();
        assert!(subscriptions.plain().is_empty());
        subscriptions.subscribe(topic("b"));
        assert_eq!(subscriptions.plain().iter().collect::<Vec<_>>(), [&topic("b")]);
    }

    #[test]
    fn an_unsubscribe_ends_leases_too() {
        let (mut subscriptions, now) = held();
        subscriptions.unsubscribe(&topic("a"));
        assert!(!subscriptions.contains(&topic("a")));
        subscriptions.set_present(now, &holders(&[]));
        assert_eq!(subscriptions.next_deadline(), None);
    }

    #[test]
    fn who_lets_a_topic_go_takes_it_from_nobody_else() {
        let (mut subscriptions, now) = held();
        subscriptions.lease(now, "two", topic("a"));
        assert!(!subscriptions.release("one", &topic("a")), "the other holds it");
        assert!(!subscriptions.release("one", &topic("a")), "a second time changes nothing");
        assert!(subscriptions.contains(&topic("a")));
        assert!(subscriptions.release("two", &topic("a")));
        assert!(!subscriptions.contains(&topic("a")));
        subscriptions.subscribe(topic("b"));
        subscriptions.lease(now, "one", topic("b"));
        assert!(!subscriptions.release("one", &topic("b")), "subscribed for good");
    }

    #[test]
    fn a_lease_of_a_stream_that_is_gone_already_ends_in_time() {
        let (mut subscriptions, now) = held();
        subscriptions.lease(now, "late", topic("b"));
        assert_eq!(subscriptions.expire(now + LEASE), [topic("b")]);
    }

    #[test]
    fn at_the_bound_the_holder_that_is_gone_for_longest_gives_way() {
        let (mut subscriptions, now) = (Subscriptions::default(), Instant::now());
        for number in 0..HOLDERS_MAX {
            let later = now + Duration::from_millis(number as u64);
            let left =
                subscriptions.lease(later, &format!("h{number}"), topic(&format!("t{number}")));
            assert!(left.is_empty());
        }
        assert_eq!(subscriptions.lease(now + LEASE / 2, "more", topic("x")), [topic("t0")]);
    }
}
