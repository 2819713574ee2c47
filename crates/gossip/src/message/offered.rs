//! What near peers with room for requests tell of, all together.

use crate::wire::Bitmap;

/// What those may be asked for who may be asked at once, or more: what is not in it need not be
/// looked for at each of them. Nearly all that comes tells of what was asked for or is held.
#[derive(Debug, Default)]
pub(crate) struct Offered {
    fragments: Vec<Bitmap>,
    /// Whom it was found among; nothing when it was never looked for.
    among: Option<Askable>,
}

/// Counts how often peers became near, and how often one had room for requests again: as long as
/// neither did, nobody new may be asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Askable {
    pub(crate) became_near: u64,
    pub(crate) had_room_again: u64,
}

impl Offered {
    /// Returns whether any of those who may be asked may have something that is not in `taken`.
    pub(crate) fn may_have(&self, askable: Askable, taken: &[Bitmap]) -> bool {
        self.among != Some(askable)
            || self.fragments.iter().zip(taken).any(|(all, taken)| !all.without(taken).is_empty())
    }

    /// It is looked for anew.
    pub(crate) fn clear(&mut self, askable: Askable, generations: usize) {
        self.fragments.clear();
        self.fragments.resize(generations, Bitmap::default());
        self.among = Some(askable);
    }

    /// A peer that may be asked tells of these.
    pub(crate) fn add(&mut self, generation: u16, fragments: &Bitmap) {
        if let Some(all) = self.fragments.get_mut(usize::from(generation)) {
            all.extend(fragments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_need_not_be_looked_for_until_others_may_be_asked() {
        let askable = Askable { became_near: 3, had_room_again: 5 };
        let mut offered = Offered::default();
        assert!(offered.may_have(askable, &[Bitmap::default()]), "nobody looked yet");
        offered.clear(askable, 2);
        assert!(!offered.may_have(askable, &[Bitmap::default(); 2]));
        offered.add(1, &Bitmap::first(3));
        assert!(offered.may_have(askable, &[Bitmap::first(9), Bitmap::first(2)]));
        assert!(!offered.may_have(askable, &[Bitmap::default(), Bitmap::first(3)]));
        for other in
            [Askable { became_near: 4, ..askable }, Askable { had_room_again: 6, ..askable }]
        {
            assert!(offered.may_have(other, &[Bitmap::default(), Bitmap::first(3)]));
        }
    }
}
