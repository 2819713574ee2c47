//! What a signed header says of the fragments: a root over one list of hashes per generation.
//!
//! A fragment that matches its hash in a list that belongs to the root is one that the publisher
//! cut, whoever sent it. Nothing coded can be checked so, and nothing coded needs to be: what a
//! node passes on is fragments, or combinations of fragments that it has checked.

use bytes::Bytes;
use rlnc::{Generations, Shape};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Bytes of a hash in lists, paths and the root: SHA-256 cut to 160 bits. Who wants to pass a false
/// fragment off as a given one has 2^160 tries to make.
pub const COMMITMENT_BYTES: usize = 20;

/// What is hashed before each kind of thing, so that none can be taken for another.
const FRAGMENT: u8 = 0;
const LIST: u8 = 1;
const NODE: u8 = 2;

/// A hash in a list, a path or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; COMMITMENT_BYTES]);

/// All lists of a message, as its publisher makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments {
    lists: Vec<Bytes>,
    /// The tree from its leaves, the hashes of the lists, up to the root.
    levels: Vec<Vec<Commitment>>,
}

/// The list of one generation, and what ties it to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedList {
    /// The hashes of the k fragments, one after another.
    pub hashes: Bytes,
    /// The other child at each level from the list up, where there is one.
    pub path: Vec<Commitment>,
}

/// Why a list is not what a header commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommitmentError {
    /// Not as many hashes as there are fragments.
    #[error("a list of {bytes} bytes for {fragments} fragments; each has {COMMITMENT_BYTES}")]
    ListBytes {
        /// Length of the list.
        bytes: usize,
        /// k.
        fragments: u16,
    },
    /// Not as many hashes on the path as the tree has levels where the list is.
    #[error("a path of {hashes} hashes where {expected} lead to the root")]
    PathLength {
        /// How many came.
        hashes: usize,
        /// How many there are.
        expected: usize,
    },
    /// List and path lead to another root.
    #[error("the list does not lead to the root that the header is signed with")]
    OtherRoot,
}

impl Commitment {
    fn of(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new_with_prefix([kind]);
        for part in parts {
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let mut cut = [0; COMMITMENT_BYTES];
        cut.copy_from_slice(&digest[..COMMITMENT_BYTES]);
        Self(cut)
    }

    fn parent(left: Self, right: Self) -> Self {
        Self::of(NODE, &[&left.0, &right.0])
    }
}

impl Commitments {
    /// Hashes the fragments of `payload`, cut into `generations`. Reads every byte once.
    pub fn new(payload: &[u8], generations: Generations) -> Self {
        let lists: Vec<Bytes> = generations
            .iter()
            .map(|(range, shape)| list(&payload[range.start as usize..range.end as usize], shape))
            .collect();
        let mut levels = vec![lists.iter().map(|list| Commitment::of(LIST, &[list])).collect()];
        while let Some(level) = levels.last().filter(|level: &&Vec<Commitment>| level.len() > 1) {
            levels.push(level.chunks(2).map(join).collect());
        }
        Self { lists, levels }
    }

    /// Returns what goes into the header.
    pub fn root(&self) -> Commitment {
        self.levels.last().expect("a message has a generation")[0]
    }

    /// Returns the list of a generation with its path; `None` beyond the last generation.
    pub fn list(&self, index: usize) -> Option<CommittedList> {
        let hashes = self.lists.get(index)?.clone();
        let path = self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index >> height) ^ 1).copied())
            .collect();
        Some(CommittedList { hashes, path })
    }
}

/// The hash of each fragment. Where the payload ends inside a fragment or before it, the rest
/// counts as zeros.
fn list(payload: &[u8], shape: Shape) -> Bytes {
    let fragment_bytes = shape.fragment_bytes() as usize;
    let mut padded = vec![0; fragment_bytes];
    let mut hashes = Vec::with_capacity(usize::from(shape.fragments()) * COMMITMENT_BYTES);
    for index in 0..usize::from(shape.fragments()) {
        let start = payload.len().min(index * fragment_bytes);
        let end = payload.len().min(start + fragment_bytes);
        let fragment = &payload[start..end];
        let hash = if fragment.len() == fragment_bytes {
            Commitment::of(FRAGMENT, &[fragment])
        } else {
            padded[..fragment.len()].copy_from_slice(fragment);
            padded[fragment.len()..].fill(0);
            Commitment::of(FRAGMENT, &[&padded])
        };
        hashes.extend_from_slice(&hash.0);
    }
    hashes.into()
}

/// A pair has a parent; one that is left over goes up as it is.
fn join(pair: &[Commitment]) -> Commitment {
    match pair {
        [left, right] => Commitment::parent(*left, *right),
        _ => pair[0],
    }
}

/// Returns, from the leaf `index` of `leaves` up, whether it is a left child that has a right
/// one (true) or a right child (false); a node that is left over is neither and has no entry.
fn sides(mut index: usize, mut leaves: usize) -> Vec<bool> {
    let mut sides = Vec::new();
    while leaves > 1 {
        if index % 2 == 1 {
            sides.push(false);
        } else if index + 1 < leaves {
            sides.push(true);
        }
        index /= 2;
        leaves = leaves.div_ceil(2);
    }
    sides
}

impl CommittedList {
    /// Checks that this is the list of generation `index` of `generations` under `root`.
    ///
    /// # Errors
    ///
    /// Returns [`CommitmentError`] if it is not; then whoever sent it did not check it.
    pub fn verify(
        &self,
        root: Commitment,
        index: usize,
        generations: usize,
        fragments: u16,
    ) -> Result<(), CommitmentError> {
        let bytes = self.hashes.len();
        if bytes != usize::from(fragments) * COMMITMENT_BYTES {
            return Err(CommitmentError::ListBytes { bytes, fragments });
        }
        let sides = sides(index, generations);
        if self.path.len() != sides.len() {
            let (hashes, expected) = (self.path.len(), sides.len());
            return Err(CommitmentError::PathLength { hashes, expected });
        }
        let leaf = Commitment::of(LIST, &[&self.hashes]);
        let reached = self.path.iter().zip(sides).fold(leaf, |node, (&other, is_left)| {
            if is_left { Commitment::parent(node, other) } else { Commitment::parent(other, node) }
        });
        if reached == root { Ok(()) } else { Err(CommitmentError::OtherRoot) }
    }

    /// Returns whether `bytes`, a fragment with its padding, is the one that the list has at
    /// `index`.
    pub fn is_fragment(&self, index: u16, bytes: &[u8]) -> bool {
        let start = usize::from(index) * COMMITMENT_BYTES;
        let hash = self.hashes.get(start..start + COMMITMENT_BYTES);
        hash.is_some_and(|hash| hash == Commitment::of(FRAGMENT, &[bytes]).0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|index| (index * 31 + index / 256) as u8).collect()
    }

    fn cut(bytes: usize, fragments: u16, generation_bytes_max: u64) -> Generations {
        Generations::new(bytes as u64, fragments, generation_bytes_max).expect("it can be cut")
    }

    /// Returns a fragment of a generation as it travels.
    fn fragment(payload: &[u8], shape: Shape, index: u16) -> Vec<u8> {
        let length = shape.fragment_bytes() as usize;
        let mut bytes: Vec<u8> =
            payload.iter().skip(usize::from(index) * length).take(length).copied().collect();
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn every_fragment_of_every_generation_is_known_by_its_list_and_by_no_other_place() {
        for (bytes, fragments, generation_bytes_max) in
            [(1, 1, 9), (1000, 7, 1000), (1000, 7, 300), (1001, 16, 201), (999, 3, 100)]
        {
            let payload = payload(bytes);
            let generations = cut(bytes, fragments, generation_bytes_max);
            let count = generations.count() as usize;
            let commitments = Commitments::new(&payload, generations);
            for (index, (range, shape)) in generations.iter().enumerate() {
                let list = commitments.list(index).expect("a generation has a list");
                assert_eq!(list.verify(commitments.root(), index, count, fragments), Ok(()));
                let part = &payload[range.start as usize..range.end as usize];
                for place in 0..fragments {
                    let bytes = fragment(part, shape, place);
                    assert!(list.is_fragment(place, &bytes));
                    assert!(!list.is_fragment(place, &bytes[1..]), "a fragment is whole");
                    assert!(!list.is_fragment(fragments, &bytes), "there is no such place");
                }
            }
            assert_eq!(commitments.list(count), None);
        }
    }

    #[test]
    fn a_list_at_another_place_with_another_path_or_of_another_length_is_refused() {
        let payload = payload(1000);
        let commitments = Commitments::new(&payload, cut(1000, 5, 200));
        let (root, list) = (commitments.root(), commitments.list(1).expect("the second list"));
        assert_eq!(list.verify(root, 0, 5, 5), Err(CommitmentError::OtherRoot));
        // The fifth of five is left over twice: one hash leads it to the root.
        let expected = CommitmentError::PathLength { hashes: 3, expected: 1 };
        assert_eq!(list.verify(root, 4, 5, 5), Err(expected));
        assert_eq!(
            list.verify(root, 1, 5, 6),
            Err(CommitmentError::ListBytes { bytes: 100, fragments: 6 })
        );
        let mut longer = list.clone();
        longer.path.push(root);
        let expected = CommitmentError::PathLength { hashes: 4, expected: 3 };
        assert_eq!(longer.verify(root, 1, 5, 5), Err(expected));
        for place in 0..list.path.len() {
            let mut changed = list.clone();
            changed.path[place].0[7] ^= 1;
            assert_eq!(changed.verify(root, 1, 5, 5), Err(CommitmentError::OtherRoot));
        }
    }

    #[test]
    fn kinds_of_hashes_cannot_stand_for_each_other() {
        // A list of two hashes is as long as a node's children, and a fragment may be as long.
        let bytes = [7; COMMITMENT_BYTES * 2];
        let hashes = [FRAGMENT, LIST, NODE].map(|kind| Commitment::of(kind, &[&bytes]));
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[1], hashes[2]);
        assert_ne!(hashes[0], hashes[2]);
    }

    /// Made by another program; they change on purpose only.
    #[test]
    fn commitments_are_the_golden_ones() {
        let one = Commitments::new(b"abc", cut(3, 2, 3));
        assert_eq!(hex::encode(one.root().0), "bb483bfe89a20f9de813c5438644c0fb9951f6be");
        let three = Commitments::new(&payload(96), cut(96, 4, 32));
        assert_eq!(hex::encode(three.root().0), "c63c0234d4d21737e5860f68dc2f1bd57a5c7910");
    }

    proptest! {
        #[test]
        fn a_changed_fragment_is_never_taken(
            bytes in 1usize..600,
            fragments in 1u16..20,
            place in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let payload = payload(bytes);
            let generations = cut(bytes, fragments, 600);
            let (_, shape) = generations.iter().next().expect("one generation");
            let list = Commitments::new(&payload, generations).list(0).expect("its list");
            let index = place.index(usize::from(fragments)) as u16;
            let mut fragment = fragment(&payload, shape, index);
            prop_assert!(list.is_fragment(index, &fragment));
            let at = at.index(fragment.len());
            fragment[at] ^= flip;
            prop_assert!(!list.is_fragment(index, &fragment));
        }
    }
}
