//! What peers with room for requests tell of, all together.

use crate::wire::Bitmap;

/// What those may be asked for who have room for requests, or more: what is not in it need not be
/// looked for at each of them. Nearly all that comes tells of what was asked for or is held.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    /// By generation: of near peers, and of others.
    near: Vec<Bitmap>,
    far: Vec<Bitmap>,
    /// Whom it was found among; nothing when it was never looked for.
    among: Option<Askable>,
}

/// Counts how often a peer became near or ceased to be, and how often one had room for requests
/// again: as long as neither happens, nobody has more to offer but who tells of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Askable {
    pub(crate) near_changes: u64,
    pub(crate) had_room_again: u64,
}

impl Offered {
    /// Returns whether near peers may have something that is not in `taken`, or others such a
    /// thing that is `ripe`.
    pub(crate) fn may_have(&self, askable: Askable, taken: &[Bitmap], ripe: &[Bitmap]) -> bool {
        if self.among != Some(askable) {
            return true;
        }
        let mut parts = self.near.iter().zip(&self.far).zip(taken.iter().zip(ripe));
        parts.any(|((near, far), (taken, ripe))| {
            !near.without(taken).is_empty() || !far.within(ripe).without(taken).is_empty()
        })
    }

    /// It is looked for anew.
    pub(crate) fn clear(&mut self, askable: Askable, generations: usize) {
        for all in [&mut self.near, &mut self.far] {
            all.clear();
            all.resize(generations, Bitmap::default());
        }
        self.among = Some(askable);
    }

    /// A peer with room for requests tells of these.
    pub(crate) fn add(&mut self, is_near: bool, generation: u16, fragments: &Bitmap) {
        let all = if is_near { &mut self.near } else { &mut self.far };
        if let Some(all) = all.get_mut(usize::from(generation)) {
            all.extend(fragments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKABLE: Askable = Askable { near_changes: 3, had_room_again: 5 };

    #[test]
    fn what_is_taken_need_not_be_looked_for_until_others_may_be_asked() {
        let (none, ripe) = ([Bitmap::default(); 2], [Bitmap::first(9); 2]);
        let mut offered = Offered::default();
        assert!(offered.may_have(ASKABLE, &none, &ripe), "nobody looked yet");
        offered.clear(ASKABLE, 2);
        assert!(!offered.may_have(ASKABLE, &none, &ripe));
        offered.add(true, 1, &Bitmap::first(3));
        assert!(offered.may_have(ASKABLE, &[Bitmap::first(9), Bitmap::first(2)], &none));
        let taken = [Bitmap::default(), Bitmap::first(3)];
        assert!(!offered.may_have(ASKABLE, &taken, &ripe));
        for other in
            [Askable { near_changes: 4, ..ASKABLE }, Askable { had_room_again: 6, ..ASKABLE }]
        {
            assert!(offered.may_have(other, &taken, &ripe));
        }
    }

    #[test]
    fn what_far_peers_tell_of_counts_when_it_is_ripe() {
        let none = [Bitmap::default()];
        let mut offered = Offered::default();
        offered.clear(ASKABLE, 1);
        offered.add(false, 0, &Bitmap::first(4));
        assert!(!offered.may_have(ASKABLE, &none, &none));
        assert!(offered.may_have(ASKABLE, &none, &[Bitmap::first(1)]));
        assert!(!offered.may_have(ASKABLE, &[Bitmap::first(1)], &[Bitmap::first(1)]));
    }
}
