//! What a signed header says of the fragments: the root of one tree of hashes over all of them.
//!
//! A fragment whose path leads to the root is one that the publisher cut, whoever sent it. Nothing
//! coded can be checked so, and nothing coded needs to be: what a node passes on is fragments, or
//! combinations of fragments that it has checked.

use rlnc::{Generations, Shape};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::wire::Bitmap;

/// Bytes of a hash in paths and the root: SHA-256 cut to 160 bits. Who wants to pass a false
/// fragment off as a given one has 2^160 tries to make.
pub const COMMITMENT_BYTES: usize = 20;

/// What is hashed before each kind of thing, so that none can be taken for another.
const FRAGMENT: u8 = 0;
const NODE: u8 = 1;

/// A hash in a path or a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; COMMITMENT_BYTES]);

/// The whole tree of a message, as its publisher makes it: one tree for each generation, and one
/// over their roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitments {
    generations: Vec<Tree>,
    above: Tree,
}

/// What is known of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tree {
    /// From the leaves to the root.
    levels: Vec<Vec<Option<Commitment>>>,
}

/// What is known of the tree of one generation, and what ties it to the root of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GenerationTree {
    tree: Tree,
    /// The rest of every path: from the root of the generation to that of the message.
    above: Option<Vec<Commitment>>,
}

/// Where a fragment has its place in the tree of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its generation, of how many.
    pub(crate) generation: usize,
    pub(crate) generations: usize,
    /// Its index in that.
    pub(crate) index: u16,
}

/// Why a fragment is not what a header commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommitmentError {
    /// Not as many hashes on the path as the tree has levels where the fragment is.
    #[error("a path of {hashes} hashes where {expected} lead to the root")]
    PathLength {
        /// How many came.
        hashes: usize,
        /// How many there are.
        expected: usize,
    },
    /// Fragment and path lead to another root.
    #[error("the fragment does not lead to the root that the header is signed with")]
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

impl Tree {
    /// A tree of which nothing is known.
    fn unknown(leaves: usize) -> Self {
        let mut levels = vec![vec![None; leaves]];
        while let Some(below) = levels.last().map(Vec::len).filter(|&nodes| nodes > 1) {
            levels.push(vec![None; below.div_ceil(2)]);
        }
        Self { levels }
    }

    fn new(leaves: impl ExactSizeIterator<Item = Commitment>) -> Self {
        let mut tree = Self::unknown(leaves.len());
        for (place, leaf) in tree.levels[0].iter_mut().zip(leaves) {
            *place = Some(leaf);
        }
        for height in 1..tree.levels.len() {
            let (below, level) = tree.levels.split_at_mut(height);
            for (node, children) in level[0].iter_mut().zip(below[height - 1].chunks(2)) {
                *node = join(children);
            }
        }
        tree
    }

    fn root(&self) -> Option<Commitment> {
        *self.levels.last()?.first()?
    }

    /// Returns the other child at each level from the leaf up, where there is one; `None` if one
    /// is not known.
    fn path(&self, leaf: usize) -> Option<Vec<Commitment>> {
        let levels = self.levels.iter().enumerate();
        levels.filter_map(|(height, level)| level.get((leaf >> height) ^ 1).copied()).collect()
    }

    /// Remembers a leaf, its path, and the `parents` that both lead to, one for each hash of it.
    fn learn(
        &mut self,
        leaf: usize,
        hash: Commitment,
        path: &[Commitment],
        parents: &[Commitment],
    ) {
        let (mut node, mut steps) = (hash, path.iter().zip(parents));
        for (height, level) in self.levels.iter_mut().enumerate() {
            let place = leaf >> height;
            level[place] = Some(node);
            if let Some(other) = level.get_mut(place ^ 1) {
                let Some((&sibling, &parent)) = steps.next() else { return };
                *other = Some(sibling);
                node = parent;
            }
        }
    }
}

/// A pair has a parent; one that is left over goes up as it is.
fn join(pair: &[Option<Commitment>]) -> Option<Commitment> {
    match pair {
        [left, right] => Some(Commitment::parent((*left)?, (*right)?)),
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

impl Commitments {
    /// Hashes the fragments of `payload`, cut into `generations`. Reads every byte once.
    pub fn new(payload: &[u8], generations: Generations) -> Self {
        let generations: Vec<Tree> = generations
            .iter()
            .map(|(range, shape)| {
                let payload = &payload[range.start as usize..range.end as usize];
                Tree::new(leaves(payload, shape).into_iter())
            })
            .collect();
        let roots: Vec<Commitment> = generations.iter().filter_map(Tree::root).collect();
        Self { generations, above: Tree::new(roots.into_iter()) }
    }

    /// Returns what goes into the header.
    pub fn root(&self) -> Commitment {
        self.above.root().expect("a message has a generation, and its publisher knows all hashes")
    }

    /// Returns the path of a fragment: the other child at each level from the fragment up, where
    /// there is one; `None` if there is no such fragment.
    pub fn path(&self, generation: usize, index: u16) -> Option<Vec<Commitment>> {
        let tree = self.generations.get(generation)?;
        tree.levels[0].get(usize::from(index))?;
        let mut path = tree.path(index.into())?;
        path.extend(self.above.path(generation)?);
        Some(path)
    }

    /// Returns the tree of a generation; `None` beyond the last.
    pub(crate) fn tree(&self, generation: usize) -> Option<GenerationTree> {
        let tree = self.generations.get(generation)?.clone();
        Some(GenerationTree { tree, above: self.above.path(generation) })
    }
}

impl GenerationTree {
    /// A tree of which nothing is known but its root, where it is that of the whole message.
    pub(crate) fn new(fragments: u16, root: Option<Commitment>) -> Self {
        let mut tree = Tree::unknown(fragments.into());
        if let Some(top) = tree.levels.last_mut() {
            top[0] = root;
        }
        Self { tree, above: root.map(|_| Vec::new()) }
    }

    /// Takes what `path` says of a fragment, `bytes` with its padding.
    ///
    /// # Errors
    ///
    /// Returns [`CommitmentError`] if it does not lead to `root`; then whoever sent it did not
    /// check it.
    pub(crate) fn take(
        &mut self,
        root: Commitment,
        place: Place,
        path: &[Commitment],
        bytes: &[u8],
    ) -> Result<(), CommitmentError> {
        let index = usize::from(place.index);
        let mut way = sides(index, self.tree.levels[0].len());
        let inside = way.len();
        way.extend(sides(place.generation, place.generations));
        if path.len() != way.len() {
            let (hashes, expected) = (path.len(), way.len());
            return Err(CommitmentError::PathLength { hashes, expected });
        }
        let leaf = Commitment::of(FRAGMENT, &[bytes]);
        let mut parents = Vec::with_capacity(path.len());
        let reached = path.iter().zip(way).fold(leaf, |node, (&other, is_left)| {
            let (left, right) = if is_left { (node, other) } else { (other, node) };
            let parent = Commitment::parent(left, right);
            parents.push(parent);
            parent
        });
        if reached != root {
            return Err(CommitmentError::OtherRoot);
        }
        let (path, above) = path.split_at(inside);
        self.tree.learn(index, leaf, path, &parents);
        self.above.get_or_insert_with(|| above.to_vec());
        Ok(())
    }

    /// Returns the path of a fragment; `None` as long as it is not known, or if there is no such
    /// fragment.
    pub(crate) fn path(&self, index: u16) -> Option<Vec<Commitment>> {
        let index = usize::from(index);
        (*self.tree.levels[0].get(index)?)?;
        let mut path = self.tree.path(index)?;
        path.extend_from_slice(self.above.as_deref()?);
        Some(path)
    }

    /// Returns whether its root is known: without it nothing computed can be checked.
    pub(crate) fn has_root(&self) -> bool {
        self.above.is_some()
    }

    /// Takes the fragments that are not `held`, computed: `bytes` gives them with their padding.
    /// Returns whether all are what the publisher committed to; if not, nothing was taken.
    pub(crate) fn fill<'a>(&mut self, held: &Bitmap, bytes: impl Fn(u16) -> &'a [u8]) -> bool {
        // The hash of what is not held may be known, from the path of its neighbour: that says
        // nothing of the bytes computed.
        let leaves = self.tree.levels[0].iter().zip(0..);
        let leaves: Vec<Commitment> = leaves
            .map(|(leaf, index)| match leaf {
                Some(leaf) if held.contains(index) => *leaf,
                _ => Commitment::of(FRAGMENT, &[bytes(index)]),
            })
            .collect();
        let filled = Tree::new(leaves.into_iter());
        let is_right = self.has_root() && filled.root() == self.tree.root();
        if is_right {
            self.tree = filled;
        }
        is_right
    }
}

/// The hash of each fragment. Where the payload ends inside a fragment or before it, the rest
/// counts as zeros.
fn leaves(payload: &[u8], shape: Shape) -> Vec<Commitment> {
    let fragment_bytes = shape.fragment_bytes() as usize;
    let mut padded = vec![0; fragment_bytes];
    let fragment = |index: usize| {
        let start = payload.len().min(index * fragment_bytes);
        let fragment = &payload[start..payload.len().min(start + fragment_bytes)];
        if fragment.len() == fragment_bytes {
            return Commitment::of(FRAGMENT, &[fragment]);
        }
        padded[..fragment.len()].copy_from_slice(fragment);
        padded[fragment.len()..].fill(0);
        Commitment::of(FRAGMENT, &[&padded])
    };
    (0..usize::from(shape.fragments())).map(fragment).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn payload(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|index| (index * 31 + index / 256) as u8).collect()
    }

    fn cut(bytes: usize, fragments: u16, generation_bytes_max: u64) -> Generations {
        Generations::new(bytes as u64, fragments, generation_bytes_max).expect("it can be cut")
    }

    /// Returns all fragments of a message as they travel, by their places.
    fn fragments(payload: &[u8], generations: Generations) -> Vec<(Place, Bytes)> {
        let count = generations.count() as usize;
        let of = |(generation, (range, shape)): (usize, (std::ops::Range<u64>, Shape))| {
            let part = payload[range.start as usize..range.end as usize].to_vec();
            let length = shape.fragment_bytes() as usize;
            (0..shape.fragments()).map(move |index| {
                let start = part.len().min(usize::from(index) * length);
                let mut bytes = part[start..part.len().min(start + length)].to_vec();
                bytes.resize(length, 0);
                (Place { generation, generations: count, index }, bytes.into())
            })
        };
        generations.iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn every_fragment_leads_to_the_root_from_its_place_and_from_no_other() {
        for (bytes, k, generation_bytes_max) in
            [(1, 1, 9), (1000, 7, 1000), (1000, 7, 300), (1001, 16, 201), (999, 3, 100)]
        {
            let payload = payload(bytes);
            let generations = cut(bytes, k, generation_bytes_max);
            let commitments = Commitments::new(&payload, generations);
            let root = commitments.root();
            let all = fragments(&payload, generations);
            for (place, bytes) in &all {
                let path = commitments.path(place.generation, place.index).expect("its path");
                let mut tree = GenerationTree::new(k, None);
                assert_eq!(tree.take(root, *place, &path, bytes), Ok(()));
                assert_eq!(tree.path(place.index), Some(path.clone()), "it can be passed on");
                for (other, _) in all.iter().filter(|(other, _)| other != place) {
                    let taken = GenerationTree::new(k, None).take(root, *other, &path, bytes);
                    assert!(taken.is_err(), "{place:?} is not {other:?}");
                }
            }
            assert_eq!(commitments.path(generations.count() as usize, 0), None);
            assert_eq!(commitments.path(0, k), None);
        }
    }

    #[test]
    fn a_path_that_is_changed_or_of_another_length_is_refused_and_teaches_nothing() {
        let payload = payload(1000);
        let generations = cut(1000, 5, 200);
        let commitments = Commitments::new(&payload, generations);
        let root = commitments.root();
        let (place, bytes) = fragments(&payload, generations).swap_remove(7);
        let path = commitments.path(1, 2).expect("its path");
        let mut tree = GenerationTree::new(5, None);
        let expected = path.len();
        assert_eq!(expected, 3 + 3, "five fragments, five generations");
        for hashes in [0, expected - 1, expected + 1] {
            let mut other = path.clone();
            other.resize(hashes, root);
            let error = CommitmentError::PathLength { hashes, expected };
            assert_eq!(tree.take(root, place, &other, &bytes), Err(error));
        }
        for place_in_path in 0..expected {
            let mut changed = path.clone();
            changed[place_in_path].0[7] ^= 1;
            assert_eq!(tree.take(root, place, &changed, &bytes), Err(CommitmentError::OtherRoot));
        }
        assert_eq!(tree, GenerationTree::new(5, None));
    }

    #[test]
    fn a_path_is_known_of_what_was_taken_only() {
        let payload = payload(100);
        let generations = cut(100, 4, 100);
        let commitments = Commitments::new(&payload, generations);
        let (place, bytes) = fragments(&payload, generations).swap_remove(1);
        let mut tree = GenerationTree::new(4, None);
        let path = commitments.path(0, 1).expect("its path");
        assert_eq!(tree.take(commitments.root(), place, &path, &bytes), Ok(()));
        let known: Vec<bool> = (0..5).map(|index| tree.path(index).is_some()).collect();
        // The hash of its neighbour is on its path, and so the neighbour's path is known.
        assert_eq!(known, [true, true, false, false, false]);
    }

    #[test]
    fn what_was_computed_is_taken_if_all_of_it_is_right_and_else_nothing_is() {
        let payload = payload(1000);
        let generations = cut(1000, 7, 500);
        let commitments = Commitments::new(&payload, generations);
        let all: Vec<_> = fragments(&payload, generations).into_iter().skip(7).collect();
        let held: Bitmap = [3].into_iter().collect();
        let mut tree = GenerationTree::new(7, None);
        let right = |index: u16| &all[usize::from(index)].1[..];
        assert!(!tree.fill(&held, right), "nothing ties it to the root");
        let (place, bytes) = &all[3];
        let path = commitments.path(1, 3).expect("its path");
        assert_eq!(tree.take(commitments.root(), *place, &path, bytes), Ok(()));
        let before = tree.clone();
        let wrong = vec![9; bytes.len()];
        // The hash of fragment 2 is known too: it is on the path of fragment 3.
        for false_one in [0, 1, 2, 4, 5, 6] {
            let given = |index| if index == false_one { &wrong } else { right(index) };
            assert!(!tree.fill(&held, given), "fragment {false_one} is false");
            assert_eq!(tree, before);
        }
        assert!(tree.fill(&held, right));
        for index in 0..7 {
            assert_eq!(tree.path(index), commitments.path(1, index));
        }
    }

    #[test]
    fn kinds_of_hashes_cannot_stand_for_each_other() {
        // A fragment may be as long as a node's children.
        let bytes = [7; COMMITMENT_BYTES * 2];
        assert_ne!(Commitment::of(FRAGMENT, &[&bytes]), Commitment::of(NODE, &[&bytes]));
    }

    /// Made by another program; they change on purpose only.
    #[test]
    fn commitments_are_the_golden_ones() {
        let one = Commitments::new(b"abc", cut(3, 2, 3));
        assert_eq!(hex::encode(one.root().0), "bb483bfe89a20f9de813c5438644c0fb9951f6be");
        let three = Commitments::new(&payload(96), cut(96, 4, 32));
        assert_eq!(hex::encode(three.root().0), "0273541783c0707c8cee678d58e8617ab7a4e19e");
        let odd = Commitments::new(&payload(100), cut(100, 5, 40));
        assert_eq!(hex::encode(odd.root().0), "77ca9dbee57419b49a300cbc5a294900b9e92efd");
    }

    proptest! {
        #[test]
        fn a_changed_fragment_is_never_taken(
            bytes in 1usize..600,
            k in 1u16..20,
            place in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let payload = payload(bytes);
            let generations = cut(bytes, k, 600);
            let commitments = Commitments::new(&payload, generations);
            let all = fragments(&payload, generations);
            let (place, fragment) = place.get(&all);
            let path = commitments.path(0, place.index).expect("its path");
            let mut changed = fragment.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            let mut tree = GenerationTree::new(k, None);
            let taken = tree.take(commitments.root(), *place, &path, &changed);
            prop_assert_eq!(taken, Err(CommitmentError::OtherRoot));
        }
    }
}
