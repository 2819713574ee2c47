//! Which fragments of a message are held, each checked against what the publisher committed to.
//! Profile `adaptive`.

use bytes::{Bytes, BytesMut};
use rlnc::{Decoder, Encoder, Generations, Pool, Shape, Shard, ShardError};

use crate::{
    AdaptiveConfig, Commitment, Commitments, Header,
    commitment::{GenerationTree, Place},
    wire::{Bitmap, PIECE_BYTES_MAX, ROOT_BYTES},
};

/// The most generations of a message: what the longest has with 2 MiB each.
const GENERATIONS_MAX: u64 = 32;

/// The fragments of one message.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    generations: Generations,
    /// `None` for a message that is whole: its id commits to it.
    root: Option<Commitment>,
    parts: Vec<Part>,
    held: u32,
    /// The whole message, once it is there.
    payload: Option<Bytes>,
}

/// One generation.
#[derive(Clone, Debug)]
struct Part {
    shape: Shape,
    start: usize,
    tree: GenerationTree,
    /// By index; empty while not held, and once the payload is there.
    fragments: Vec<Bytes>,
    held: Bitmap,
}

/// What a fragment that came turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was missing.
    New,
    /// It was held.
    Held,
    /// It is none of the message, for this reason.
    False(&'static str),
}

/// What fragments and combinations together turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// They do not determine the generation.
    TooFew,
    /// The fragments that were missing; they are held now.
    Fragments(Bitmap),
    /// At least one combination is none.
    False,
}

/// Returns how a message of `bytes` bytes (times `scale`) is cut; `None` when it cannot be.
pub(crate) fn cut(bytes: u64, scale: u32, config: &AdaptiveConfig) -> Option<Generations> {
    let real = bytes * u64::from(scale);
    if real <= config.whole_bytes_max {
        return Generations::new(bytes, 1, bytes).ok();
    }
    let (min, max) = (config.fragment_bytes_min, config.fragment_bytes_max);
    let fragment_bytes = real.div_ceil(config.fragments_target.into()).clamp(min, max);
    let fragments = real.div_ceil(fragment_bytes).min(config.generation_fragments.into()) as u16;
    let count = real.div_ceil(u64::from(fragments) * config.fragment_bytes_max);
    Generations::new(bytes, fragments, bytes.div_ceil(count)).ok()
}

impl Holding {
    /// Begins to hold what `header` announces; `None` if its claims do not fit each other.
    pub(crate) fn new(header: &Header) -> Option<Self> {
        let (k, fragment_bytes) = (header.fragments, header.fragment_bytes);
        let generation_bytes_max = u64::from(k) * u64::from(fragment_bytes);
        let generations = Generations::new(header.payload_bytes, k, generation_bytes_max).ok()?;
        if fragment_bytes != first_shape(generations).fragment_bytes() {
            return None;
        }
        let is_absurd =
            generations.count() > GENERATIONS_MAX || fragment_bytes as usize > PIECE_BYTES_MAX;
        if is_absurd {
            return None;
        }
        let root: Option<[u8; ROOT_BYTES]> = header.root.as_ref().try_into().ok();
        let is_whole = k == 1 && generations.count() == 1;
        // What is whole needs no root, and what is not cannot do without.
        (root.is_none() == is_whole && (is_whole || !header.root.is_empty()))
            .then(|| Self::empty(generations, root.map(Commitment)))
    }

    /// Holds all of a message of our own.
    pub(crate) fn own(
        generations: Generations,
        payload: Bytes,
        commitments: Option<&Commitments>,
    ) -> Self {
        let mut holding = Self::empty(generations, commitments.map(Commitments::root));
        for (index, part) in holding.parts.iter_mut().enumerate() {
            if let Some(tree) = commitments.and_then(|commitments| commitments.tree(index)) {
                part.tree = tree;
            }
        }
        holding.complete(payload);
        holding
    }

    fn empty(generations: Generations, root: Option<Commitment>) -> Self {
        let known = root.filter(|_| generations.count() == 1);
        let parts = generations.iter().map(|(range, shape)| Part {
            shape,
            start: range.start as usize,
            tree: GenerationTree::new(shape.fragments(), known),
            fragments: vec![Bytes::new(); usize::from(shape.fragments())],
            held: Bitmap::default(),
        });
        Self { generations, root, parts: parts.collect(), held: 0, payload: None }
    }

    /// Returns something to leave behind while a holding moves from one place to another.
    pub(crate) fn placeholder() -> Self {
        let generations = Generations::new(1, 1, 1).expect("one byte can be cut");
        Self { generations, root: None, parts: Vec::new(), held: 0, payload: None }
    }

    /// The message is verified: it is all held, once.
    pub(crate) fn complete(&mut self, payload: Bytes) {
        self.held = self.total();
        for part in &mut self.parts {
            part.held = Bitmap::first(part.shape.fragments());
            part.fragments = Vec::new();
        }
        self.payload = Some(payload);
    }

    pub(crate) fn generations(&self) -> usize {
        self.parts.len()
    }

    /// Returns k.
    pub(crate) fn fragments(&self) -> u16 {
        first_shape(self.generations).fragments()
    }

    /// Returns how many fragments the message has.
    pub(crate) fn total(&self) -> u32 {
        self.parts.len() as u32 * u32::from(self.fragments())
    }

    /// Returns how many of them are held.
    pub(crate) fn held_count(&self) -> u32 {
        self.held
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held == self.total()
    }

    /// Returns whether the message is one fragment that its id commits to.
    pub(crate) fn is_whole(&self) -> bool {
        self.root.is_none()
    }

    /// Returns what is held of a generation; `None` if there is no such generation.
    pub(crate) fn held(&self, generation: u16) -> Option<&Bitmap> {
        self.parts.get(usize::from(generation)).map(|part| &part.held)
    }

    /// Takes a fragment if it is one of the message; `path` leads from it to the root.
    pub(crate) fn take(
        &mut self,
        generation: u16,
        index: u16,
        path: &[Commitment],
        bytes: Bytes,
    ) -> Taken {
        let generations = self.parts.len();
        let Some(part) = self.parts.get_mut(usize::from(generation)) else {
            return Taken::False("there is no such generation");
        };
        if index >= part.shape.fragments() {
            return Taken::False("there is no such fragment");
        }
        if bytes.len() != part.shape.fragment_bytes() as usize {
            return Taken::False("its length is wrong");
        }
        if part.held.contains(index) {
            return Taken::Held;
        }
        let place = Place { generation: generation.into(), generations, index };
        let is_right = match self.root {
            Some(root) => part.tree.take(root, place, path, &bytes).is_ok(),
            None => path.is_empty(),
        };
        if !is_right {
            return Taken::False("it is not what the publisher committed to");
        }
        part.fragments[usize::from(index)] = bytes;
        part.held.insert(index);
        self.held += 1;
        Taken::New
    }

    /// Returns what leads from a fragment to the root; nothing for a message that is whole.
    pub(crate) fn path(&self, generation: u16, index: u16) -> Vec<Commitment> {
        let part = self.parts.get(usize::from(generation));
        part.and_then(|part| part.tree.path(index)).unwrap_or_default()
    }

    /// Returns a fragment as it travels, with its padding; `None` if it is not held.
    pub(crate) fn fragment(&self, generation: u16, index: u16) -> Option<Bytes> {
        let part = self.parts.get(usize::from(generation))?;
        if index >= part.shape.fragments() || !part.held.contains(index) {
            return None;
        }
        let Some(payload) = &self.payload else {
            return part.fragments.get(usize::from(index)).cloned();
        };
        let length = part.shape.fragment_bytes() as usize;
        let end_max = payload.len().min(part.start + self.generation_bytes());
        let start = end_max.min(part.start + usize::from(index) * length);
        let end = end_max.min(start + length);
        if end - start == length {
            return Some(payload.slice(start..end));
        }
        let mut padded = BytesMut::with_capacity(length);
        padded.extend_from_slice(&payload[start..end]);
        padded.resize(length, 0);
        Some(padded.freeze())
    }

    /// Returns all fragments in their order, each cut to what it has of the payload; only when all
    /// are held.
    pub(crate) fn pieces(&self) -> Vec<Bytes> {
        let mut pieces = Vec::with_capacity(self.total() as usize);
        for ((range, _), part) in self.generations.iter().zip(&self.parts) {
            let mut left = (range.end - range.start) as usize;
            for fragment in &part.fragments {
                let bytes = left.min(fragment.len());
                left -= bytes;
                pieces.push(fragment.slice(..bytes));
            }
        }
        pieces
    }

    /// Returns the combination of a generation's fragments with these coefficients; `None` until
    /// the message is complete.
    pub(crate) fn combine(&self, generation: u16, coefficients: &[u8]) -> Option<Bytes> {
        let part = self.parts.get(usize::from(generation))?;
        let payload = self.payload.as_ref()?;
        let end = payload.len().min(part.start + self.generation_bytes());
        let encoder = Encoder::new(part.shape, payload.slice(part.start..end)).ok()?;
        let length = part.shape.fragment_bytes() as usize;
        let mut bytes = BytesMut::zeroed(length);
        encoder.write_range(coefficients, 0..length, &mut bytes);
        Some(bytes.freeze())
    }

    /// Returns a shard of a generation if its lengths fit.
    ///
    /// # Errors
    ///
    /// Returns what does not fit.
    pub(crate) fn parse(
        &self,
        generation: u16,
        coefficients: Bytes,
        payload: Bytes,
    ) -> Result<Shard, &'static str> {
        let part = self.parts.get(usize::from(generation)).ok_or("there is no such generation")?;
        Shard::parse(part.shape, coefficients, payload).map_err(|error| match error {
            ShardError::ZeroCoefficients => "its coefficient vector is zero",
            ShardError::CoefficientBytes { .. }
            | ShardError::PayloadBytes { .. }
            | ShardError::NoFragment { .. } => "its length is wrong",
        })
    }

    /// Computes the missing fragments of a generation from those held and `combinations`, checks
    /// them and takes them.
    pub(crate) fn recover<'a>(
        &mut self,
        generation: u16,
        combinations: impl Iterator<Item = &'a Shard>,
        pool: &Pool,
    ) -> Recovered {
        let Some(part) = self.parts.get_mut(usize::from(generation)) else {
            return Recovered::TooFew;
        };
        // One of several generations is tied to the root by a fragment that came; without one nothing
        // can be checked.
        if !part.tree.has_root() {
            return Recovered::TooFew;
        }
        let k = part.shape.fragments();
        let mut decoder = Decoder::new(part.shape);
        let held = part.held.iter().filter_map(|index| {
            let coefficients: Vec<u8> = (0..k).map(|place| u8::from(place == index)).collect();
            let bytes = part.fragments.get(usize::from(index))?.clone();
            Shard::parse(part.shape, coefficients.into(), bytes).ok()
        });
        for shard in held.chain(combinations.cloned()) {
            if decoder.absorb(shard).is_err() {
                return Recovered::TooFew;
            }
        }
        let length = part.shape.fragment_bytes() as usize;
        let range = |index: u16| usize::from(index) * length..(usize::from(index) + 1) * length;
        let Ok(bytes) = decoder.decode(part.shape.generation_bytes(), pool) else {
            return Recovered::TooFew;
        };
        let Ok(message) =
            bytes.verify(|bytes| part.tree.fill(&part.held, |index| &bytes[range(index)]))
        else {
            return Recovered::False;
        };
        let bytes = message.into_bytes();
        let missing = Bitmap::first(k).without(&part.held);
        for index in missing.iter() {
            part.fragments[usize::from(index)] = bytes.slice(range(index));
        }
        part.held.extend(&missing);
        self.held += u32::from(missing.len());
        Recovered::Fragments(missing)
    }

    fn generation_bytes(&self) -> usize {
        let first = self.generations.iter().next();
        first.map_or(0, |(range, _)| (range.end - range.start) as usize)
    }
}

fn first_shape(generations: Generations) -> Shape {
    let (_, shape) = generations.iter().next().expect("a message has a generation");
    shape
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(bytes: usize) -> Bytes {
        (0..bytes).map(|index| (index * 31 + index / 256) as u8).collect::<Vec<_>>().into()
    }

    /// Returns all of a message and nothing of it.
    fn pair(payload: &Bytes, generations: Generations) -> (Holding, Holding) {
        let commitments = Commitments::new(payload, generations);
        let own = Holding::own(generations, payload.clone(), Some(&commitments));
        (own, Holding::empty(generations, Some(commitments.root())))
    }

    fn pass(from: &Holding, to: &mut Holding, generation: u16, index: u16) -> Taken {
        let bytes = from.fragment(generation, index).expect("held");
        to.take(generation, index, &from.path(generation, index), bytes)
    }

    #[test]
    fn messages_are_cut_by_their_length() {
        let config = AdaptiveConfig::default();
        for (bytes, scale) in [(1, 1), (16 << 10, 1), (256, 64)] {
            let whole = cut(bytes, scale, &config).expect("it can be cut");
            assert_eq!((whole.count(), first_shape(whole).fragments()), (1, 1), "{bytes}");
        }
        for (bytes, count, k) in [
            ((16 << 10) + 1, 1, 17),
            (64 << 10, 1, 64),
            (1 << 20, 1, 64),
            (2 << 20, 1, 128),
            ((2 << 20) + 1, 2, 128),
            (10 << 20, 5, 128),
            (64 << 20, 32, 128),
        ] {
            let generations = cut(bytes, 1, &config).expect("it can be cut");
            let shape = first_shape(generations);
            assert_eq!((generations.count(), shape.fragments()), (count, k), "{bytes}");
            assert!(u64::from(shape.fragment_bytes()) <= config.fragment_bytes_max);
        }
        assert_eq!(cut(1 << 20, 1, &config), cut(1 << 20, 1, &config));
        let scaled = cut(16 << 10, 64, &config).expect("it can be cut");
        assert_eq!(first_shape(scaled).fragments(), 64, "as the payload that it stands for");
    }

    #[test]
    fn a_fragment_is_taken_once_and_a_false_one_is_told() {
        let payload = payload(1000);
        let generations = Generations::new(1000, 7, 500).expect("it can be cut");
        let (own, mut other) = pair(&payload, generations);
        assert_eq!(pass(&own, &mut other, 1, 3), Taken::New);
        assert_eq!(pass(&own, &mut other, 1, 3), Taken::Held);
        assert_eq!(other.path(1, 3), own.path(1, 3));
        let wrong = own.fragment(1, 2).expect("held");
        for (generation, index, bytes) in [
            (1, 4, wrong.clone()),
            (1, 7, wrong.clone()),
            (2, 0, wrong.clone()),
            (1, 2, wrong.slice(1..)),
        ] {
            let path = own.path(generation, index);
            assert!(matches!(other.take(generation, index, &path, bytes), Taken::False(_)));
        }
        let path = own.path(1, 2);
        assert!(matches!(other.take(1, 2, &path[1..], wrong), Taken::False(_)));
        assert_eq!(other.held_count(), 1);
    }

    #[test]
    fn a_whole_message_has_no_path() {
        let bytes = payload(10);
        let mut whole = Holding::empty(Generations::new(10, 1, 10).expect("one fragment"), None);
        let path = [Commitment([1; 20])];
        assert!(matches!(whole.take(0, 0, &path, bytes.clone()), Taken::False(_)));
        assert_eq!(whole.take(0, 0, &[], bytes), Taken::New);
    }

    /// Returns so many combinations of a generation.
    fn combinations(own: &Holding, generation: u16, count: u8) -> Vec<Shard> {
        let make = |seed: u8| {
            let vector = (0..own.fragments()).map(|place| (place as u8 + 1) ^ (seed * 37 + 1));
            let vector: Bytes = vector.collect::<Vec<_>>().into();
            let bytes = own.combine(generation, &vector).expect("a whole message");
            own.parse(generation, vector, bytes).expect("a sound shard")
        };
        (0..count).map(make).collect()
    }

    #[test]
    fn combinations_recover_what_is_missing_and_that_can_be_passed_on() {
        let payload = payload(1000);
        let generations = Generations::new(1000, 7, 500).expect("it can be cut");
        let (own, mut other) = pair(&payload, generations);
        let pool = Pool::new(usize::MAX);
        let coded = combinations(&own, 1, 2);
        assert_eq!(other.recover(1, coded.iter(), &pool), Recovered::TooFew);
        for index in [0, 1, 2, 4, 5] {
            assert_eq!(pass(&own, &mut other, 1, index), Taken::New);
        }
        let false_one = own.parse(1, coded[0].coefficients().clone(), vec![9; 72].into());
        let with_false = [false_one.expect("a sound shard"), coded[1].clone()];
        assert_eq!(other.recover(1, with_false.iter(), &pool), Recovered::False);
        assert_eq!(other.held_count(), 5);
        let missing: Bitmap = [3, 6].into_iter().collect();
        assert_eq!(other.recover(1, coded.iter(), &pool), Recovered::Fragments(missing));
        assert_eq!(other.held_count(), 7);
        let (_, mut third) = pair(&payload, generations);
        for index in 0..7 {
            assert_eq!(pass(&other, &mut third, 1, index), Taken::New);
        }
    }

    proptest! {
        #[test]
        fn fragments_in_any_order_make_the_message_and_are_the_same_after(
            bytes in 1usize..700,
            k in 2u16..20,
            generation_bytes_max in 20u64..700,
            order in any::<u64>(),
        ) {
            let payload = payload(bytes);
            let generations = Generations::new(bytes as u64, k, generation_bytes_max).expect("cut");
            let (own, mut other) = pair(&payload, generations);
            let mut places: Vec<(u16, u16)> = (0..own.generations() as u16)
                .flat_map(|generation| (0..k).map(move |index| (generation, index)))
                .collect();
            places.sort_by_key(|&(g, i)| (u64::from(g) * 1_000_003 + u64::from(i) * 7919) ^ order);
            for &(generation, index) in &places {
                prop_assert!(!other.is_full());
                prop_assert_eq!(pass(&own, &mut other, generation, index), Taken::New);
            }
            prop_assert!(other.is_full());
            prop_assert_eq!(other.pieces().concat(), payload.to_vec());
            let before: Vec<_> = places.iter().map(|&(g, i)| other.fragment(g, i)).collect();
            other.complete(payload);
            let after: Vec<_> = places.iter().map(|&(g, i)| other.fragment(g, i)).collect();
            prop_assert_eq!(before, after);
        }
    }
}
