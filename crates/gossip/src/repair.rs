//! Messages that others hold and we do not: whom to ask, and when.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use crate::{HeaderHash, MessageId, PeerName};

/// The most messages known from news only.
const REPAIRS_MAX: usize = 4096;

/// The most peers remembered that hold one of them.
const HOLDERS_MAX: usize = 8;

/// How often one message is asked for before it is given up.
const ATTEMPTS_MAX: u8 = 16;

/// Messages that others hold and we do not.
#[derive(Debug)]
pub(crate) struct Repairs<P> {
    all: BTreeMap<HeaderHash, Repair<P>>,
    due: BTreeSet<(Instant, HeaderHash)>,
}

#[derive(Debug)]
struct Repair<P> {
    message: MessageId,
    /// Peers that have it, the one to ask next first.
    holders: VecDeque<P>,
    due: Instant,
    attempts: u8,
}

impl<P: PeerName> Repairs<P> {
    pub(crate) fn new() -> Self {
        Self { all: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Remembers that `holder` has a message, to be asked at `due` if this is the first to say so.
    /// Returns whether an older repair was pushed out.
    pub(crate) fn add(
        &mut self,
        hash: HeaderHash,
        message: MessageId,
        holder: P,
        due: Instant,
    ) -> bool {
        if let Some(repair) = self.all.get_mut(&hash) {
            if !repair.holders.contains(&holder) && repair.holders.len() < HOLDERS_MAX {
                repair.holders.push_back(holder);
            }
            return false;
        }
        let repair = Repair { message, holders: [holder].into(), due, attempts: 0 };
        self.all.insert(hash, repair);
        self.due.insert((due, hash));
        if self.all.len() <= REPAIRS_MAX {
            return false;
        }
        if let Some((_, oldest)) = self.due.pop_first() {
            self.all.remove(&oldest);
        }
        true
    }

    /// Returns the earliest time at which a message is to be asked for.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|&(due, _)| due)
    }

    /// Returns a message that is due at `now`, and the id it is said to have.
    pub(crate) fn next(&self, now: Instant) -> Option<(HeaderHash, MessageId)> {
        let &(due, hash) = self.due.first()?;
        (due <= now).then(|| (hash, self.all[&hash].message))
    }

    /// Puts off the asking to `due`.
    pub(crate) fn postpone(&mut self, hash: HeaderHash, due: Instant) {
        let Some(repair) = self.all.get_mut(&hash) else { return };
        self.due.remove(&(repair.due, hash));
        repair.due = due;
        self.due.insert((due, hash));
    }

    /// Returns whom to ask, the one that was asked longest ago; `None` when it was asked for too
    /// often or nobody is left.
    pub(crate) fn ask(&mut self, hash: HeaderHash) -> Option<P> {
        let repair = self.all.get_mut(&hash)?;
        if repair.attempts >= ATTEMPTS_MAX {
            return None;
        }
        repair.attempts += 1;
        let holder = repair.holders.pop_front()?;
        repair.holders.push_back(holder);
        Some(holder)
    }

    /// Returns whether somebody was asked for a message.
    pub(crate) fn was_asked(&self, hash: HeaderHash) -> bool {
        self.all.get(&hash).is_some_and(|repair| repair.attempts > 0)
    }

    /// Forgets that `holder` has the message.
    pub(crate) fn remove_holder(&mut self, hash: HeaderHash, holder: P) {
        if let Some(repair) = self.all.get_mut(&hash) {
            repair.holders.retain(|&other| other != holder);
            if repair.holders.is_empty() {
                self.remove(hash);
            }
        }
    }

    /// Forgets all that a peer has: it is gone.
    pub(crate) fn remove_peer(&mut self, peer: P) {
        let hashes: Vec<_> = self.all.keys().copied().collect();
        for hash in hashes {
            self.remove_holder(hash, peer);
        }
    }

    /// Forgets a message: it came, or it was given up.
    pub(crate) fn remove(&mut self, hash: HeaderHash) {
        if let Some(repair) = self.all.remove(&hash) {
            self.due.remove(&(repair.due, hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    fn hash(number: u16) -> HeaderHash {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        HeaderHash(bytes)
    }

    #[test]
    fn holders_are_asked_in_turn_until_the_attempts_are_used_up() {
        let now = start();
        let mut repairs = Repairs::new();
        for holder in [1, 2, 2, 3] {
            repairs.add(hash(1), MessageId([0; 32]), holder, now);
        }
        let asked: Vec<Option<u32>> = (0..=ATTEMPTS_MAX).map(|_| repairs.ask(hash(1))).collect();
        assert_eq!(asked[..4], [Some(1), Some(2), Some(3), Some(1)]);
        assert_eq!(asked.last(), Some(&None));
    }

    #[test]
    fn nothing_is_due_before_its_time_and_a_postponed_repair_not_before_the_new_one() {
        let now = start();
        let mut repairs = Repairs::new();
        repairs.add(hash(1), MessageId([7; 32]), 1, now + SECOND);
        assert_eq!(repairs.next(now), None);
        assert_eq!(repairs.next(now + SECOND), Some((hash(1), MessageId([7; 32]))));
        repairs.postpone(hash(1), now + 3 * SECOND);
        assert_eq!(repairs.next(now + 2 * SECOND), None);
        assert_eq!(repairs.next_due(), Some(now + 3 * SECOND));
    }

    #[test]
    fn a_message_that_nobody_holds_any_more_is_forgotten() {
        let now = start();
        let mut repairs = Repairs::new();
        repairs.add(hash(1), MessageId([0; 32]), 1, now);
        repairs.add(hash(1), MessageId([0; 32]), 2, now);
        repairs.add(hash(2), MessageId([0; 32]), 2, now);
        repairs.remove_peer(2);
        assert_eq!(repairs.ask(hash(1)), Some(1));
        assert_eq!(repairs.ask(hash(2)), None);
        repairs.remove_holder(hash(1), 1);
        assert_eq!(repairs.next_due(), None);
    }

    #[test]
    fn at_the_bound_the_one_due_first_is_pushed_out_and_that_is_told() {
        let now = start();
        let mut repairs = Repairs::new();
        for number in 0..REPAIRS_MAX as u16 {
            assert!(!repairs.add(hash(number), MessageId([0; 32]), 1, now + SECOND));
        }
        assert!(repairs.add(hash(u16::MAX), MessageId([0; 32]), 1, now + 2 * SECOND));
        assert_eq!(repairs.all.len(), REPAIRS_MAX);
        assert_eq!(repairs.ask(hash(0)), None);
        assert_eq!(repairs.ask(hash(u16::MAX)), Some(1));
    }
}
