//! Messages that others tell fragments of and whose header has not come. Profile `adaptive`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use crate::{HeaderHash, PeerName, wire::Bitmap};

/// The most of them; the one due first gives way.
const RUMOURS_MAX: usize = 256;

/// The most peers remembered for each.
const HOLDERS_MAX: usize = 24;

/// The most generations remembered for each holder: as many as a message has.
const GENERATIONS_MAX: usize = 32;

/// How often one is asked for before it is given up.
const ATTEMPTS_MAX: u8 = 16;

/// What one peer has told of a message.
#[derive(Clone, Debug)]
pub(crate) struct Told<P> {
    pub(crate) peer: P,
    /// By generation.
    pub(crate) fragments: BTreeMap<u16, Bitmap>,
}

/// Messages known from hearsay only.
#[derive(Debug)]
pub(crate) struct Rumours<P> {
    all: BTreeMap<HeaderHash, Rumour<P>>,
    due: BTreeSet<(Instant, HeaderHash)>,
}

#[derive(Debug)]
struct Rumour<P> {
    /// Who to ask next first.
    holders: Vec<Told<P>>,
    due: Instant,
    attempts: u8,
}

impl<P: PeerName> Rumours<P> {
    pub(crate) fn new() -> Self {
        Self { all: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Remembers what `peer` holds, to be asked for at `due` at the latest. Returns whether an
    /// older rumour gave way.
    pub(crate) fn add(
        &mut self,
        hash: HeaderHash,
        peer: P,
        generation: u16,
        fragments: &Bitmap,
        due: Instant,
    ) -> bool {
        let rumour = self.all.entry(hash).or_insert_with(|| {
            self.due.insert((due, hash));
            Rumour { holders: Vec::new(), due, attempts: 0 }
        });
        let place = rumour.holders.iter().position(|told| told.peer == peer);
        if place.is_none() && rumour.holders.len() < HOLDERS_MAX {
            rumour.holders.push(Told { peer, fragments: BTreeMap::new() });
        }
        let place = place.unwrap_or(rumour.holders.len() - 1);
        let told = &mut rumour.holders[place];
        if told.peer == peer
            && (told.fragments.len() < GENERATIONS_MAX || told.fragments.contains_key(&generation))
        {
            told.fragments.entry(generation).or_default().extend(fragments);
        }
        if rumour.attempts == 0 && due < rumour.due {
            self.postpone(hash, due);
        }
        if self.all.len() <= RUMOURS_MAX {
            return false;
        }
        if let Some((_, oldest)) = self.due.pop_first() {
            self.all.remove(&oldest);
        }
        true
    }

    /// Returns when somebody is to be asked.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|&(due, _)| due)
    }

    /// Returns a message to be asked for at `now`.
    pub(crate) fn next(&self, now: Instant) -> Option<HeaderHash> {
        self.due.first().filter(|(due, _)| *due <= now).map(|&(_, hash)| hash)
    }

    /// Puts off the asking to `due`.
    pub(crate) fn postpone(&mut self, hash: HeaderHash, due: Instant) {
        let Some(rumour) = self.all.get_mut(&hash) else { return };
        self.due.remove(&(rumour.due, hash));
        rumour.due = due;
        self.due.insert((due, hash));
    }

    /// Returns whom to ask for what, the one asked longest ago; `None` when it was asked for too
    /// often or nobody is left.
    pub(crate) fn ask(&mut self, hash: HeaderHash) -> Option<(P, u16, u16)> {
        let rumour = self.all.get_mut(&hash)?;
        if rumour.attempts >= ATTEMPTS_MAX || rumour.holders.is_empty() {
            return None;
        }
        rumour.attempts += 1;
        rumour.holders.rotate_left(1);
        let told = rumour.holders.last()?;
        let (&generation, fragments) = told.fragments.first_key_value()?;
        // The newest that it told of is most likely to be missing elsewhere too.
        Some((told.peer, generation, fragments.last()?))
    }

    /// The header came, or nothing is wanted of it: returns who holds what.
    pub(crate) fn remove(&mut self, hash: HeaderHash) -> Vec<Told<P>> {
        let Some(rumour) = self.all.remove(&hash) else { return Vec::new() };
        self.due.remove(&(rumour.due, hash));
        rumour.holders
    }

    /// The peer has the message no more.
    pub(crate) fn remove_holder(&mut self, hash: HeaderHash, peer: P) {
        let Some(rumour) = self.all.get_mut(&hash) else { return };
        rumour.holders.retain(|told| told.peer != peer);
        if rumour.holders.is_empty() {
            self.remove(hash);
        }
    }

    /// Forgets all that a peer has: it is gone.
    pub(crate) fn remove_peer(&mut self, peer: P) {
        for rumour in self.all.values_mut() {
            rumour.holders.retain(|told| told.peer != peer);
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
    fn holders_are_asked_in_turn_for_what_they_told_of_until_the_attempts_are_used_up() {
        let now = start();
        let mut rumours = Rumours::new();
        for peer in [1, 2, 1] {
            rumours.add(hash(1), peer, 3, &Bitmap::first(peer as u16 + 4), now);
        }
        assert_eq!(rumours.ask(hash(1)), Some((1, 3, 4)));
        assert_eq!(rumours.ask(hash(1)), Some((2, 3, 5)));
        let more = (2..=ATTEMPTS_MAX).map(|_| rumours.ask(hash(1)));
        assert_eq!(more.last(), Some(None));
        assert_eq!(rumours.remove(hash(1)).len(), 2);
        assert_eq!(rumours.next_due(), None);
    }

    #[test]
    fn a_rumour_from_a_nearer_peer_is_due_earlier_until_somebody_was_asked() {
        let now = start();
        let mut rumours = Rumours::new();
        rumours.add(hash(1), 1, 0, &Bitmap::first(1), now + SECOND);
        rumours.add(hash(1), 2, 0, &Bitmap::first(1), now);
        assert_eq!(rumours.next(now), Some(hash(1)));
        rumours.ask(hash(1));
        rumours.postpone(hash(1), now + 2 * SECOND);
        rumours.add(hash(1), 3, 0, &Bitmap::first(1), now);
        assert_eq!(rumours.next_due(), Some(now + 2 * SECOND));
    }

    #[test]
    fn rumours_and_what_is_remembered_of_each_are_bounded() {
        let now = start();
        let mut rumours = Rumours::new();
        for number in 0..RUMOURS_MAX as u16 {
            assert!(!rumours.add(hash(number), 1, 0, &Bitmap::first(1), now));
        }
        assert!(rumours.add(hash(u16::MAX), 1, 0, &Bitmap::first(1), now + SECOND));
        for peer in 0..2 * HOLDERS_MAX as u32 {
            for generation in 0..2 * GENERATIONS_MAX as u16 {
                rumours.add(hash(u16::MAX), peer, generation, &Bitmap::first(1), now);
            }
        }
        let told = rumours.remove(hash(u16::MAX));
        assert_eq!(told.len(), HOLDERS_MAX);
        assert!(told.iter().all(|told| told.fragments.len() <= GENERATIONS_MAX));
        rumours.remove_peer(1);
        assert_eq!(rumours.ask(hash(1)), None);
    }
}
