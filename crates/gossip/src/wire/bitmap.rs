//! Which fragments of a generation.

use rlnc::FRAGMENTS_MAX;

use super::{WireError, reader::Reader, writer::Sink};

const WORDS: usize = FRAGMENTS_MAX as usize / 64;

/// A set of fragments of one generation, by their index.
///
/// On the wire: how many bytes, 0 to 32, and as many, the lowest index in the lowest bit of the
/// first; the last byte is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitmap([u64; WORDS]);

impl Bitmap {
    /// Returns the set of the first `count` fragments.
    pub fn first(count: u16) -> Self {
        (0..count).collect()
    }

    /// Adds a fragment; returns whether it was not there.
    ///
    /// # Panics
    ///
    /// If there is no such fragment in any generation.
    pub fn insert(&mut self, index: u16) -> bool {
        let (word, bit) = place(index);
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Removes a fragment.
    pub fn remove(&mut self, index: u16) {
        let (word, bit) = place(index);
        self.0[word] &= !bit;
    }

    /// Returns whether a fragment is in the set.
    pub fn contains(&self, index: u16) -> bool {
        let (word, bit) = place(index);
        self.0[word] & bit != 0
    }

    /// Returns how many there are.
    pub fn len(&self) -> u16 {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() as u16
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what is in this set and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = *self;
        rest.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        rest
    }

    /// Returns what is in both.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let mut both = *self;
        both.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        both
    }

    /// Adds what is in `other`.
    pub fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// Returns the fragments in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        let words = self.0;
        (0..WORDS).flat_map(move |word| {
            let mut left = words[word];
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as u16)?;
                left &= left - 1;
                Some(word as u16 * 64 + bit)
            })
        })
    }

    /// Returns the highest fragment.
    pub fn last(&self) -> Option<u16> {
        let word = self.0.iter().rposition(|&word| word != 0)?;
        Some(word as u16 * 64 + self.0[word].ilog2() as u16)
    }

    pub(super) fn put(&self, out: &mut impl Sink) {
        let mut bytes = [0; WORDS * 8];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let used = self.last().map_or(0, |last| usize::from(last) / 8 + 1);
        out.put_prefixed(&bytes[..used]);
    }

    pub(super) fn take(reader: &mut Reader) -> Result<Self, WireError> {
        let mut bytes = [0; WORDS * 8];
        let used = reader.read_prefixed("bytes of a bitmap", &mut bytes)?;
        if bytes[..used].last() == Some(&0) {
            return Err(WireError::BitmapPadding);
        }
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Self(words))
    }
}

fn place(index: u16) -> (usize, u64) {
    (usize::from(index / 64), 1 << (index % 64))
}

impl FromIterator<u16> for Bitmap {
    fn from_iter<I: IntoIterator<Item = u16>>(indices: I) -> Self {
        let mut all = Self::default();
        for index in indices {
            all.insert(index);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set() -> impl Strategy<Value = BTreeSet<u16>> {
        prop::collection::btree_set(0..FRAGMENTS_MAX, 0..40)
    }

    proptest! {
        #[test]
        fn a_bitmap_is_a_set_of_indices(one in set(), other in set(), index in 0..FRAGMENTS_MAX) {
            let (a, b): (Bitmap, Bitmap) =
                (one.iter().copied().collect(), other.iter().copied().collect());
            prop_assert!(a.iter().eq(one.iter().copied()));
            prop_assert_eq!(usize::from(a.len()), one.len());
            prop_assert_eq!(a.is_empty(), one.is_empty());
            prop_assert_eq!(a.last(), one.last().copied());
            prop_assert_eq!(a.contains(index), one.contains(&index));
            prop_assert!(a.without(&b).iter().eq(one.difference(&other).copied()));
            prop_assert!(a.within(&b).iter().eq(one.intersection(&other).copied()));
            let mut both = a;
            both.extend(&b);
            prop_assert!(both.iter().eq(one.union(&other).copied()));
            prop_assert_eq!(both.insert(index), !one.contains(&index) && !other.contains(&index));
            both.remove(index);
            prop_assert!(!both.contains(index));
        }
    }

    #[test]
    fn the_first_fragments_are_those_below_a_count() {
        for count in [0, 1, 63, 64, 65, 255, 256] {
            assert!(Bitmap::first(count).iter().eq(0..count));
        }
    }
}
