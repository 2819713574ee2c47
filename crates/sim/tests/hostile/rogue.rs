//! What hostile nodes do to the frames that leave them.

use std::collections::VecDeque;

use bytes::Bytes;
use gossip::{
    COMMITMENT_BYTES, GenerationId, HeaderHash, MessageId, Profile, Topic,
    wire::{Bitmap, Control, DataFrame, News, RefuseReason, decode_control, encode_control},
};
use rand::{
    Rng, RngExt,
    seq::{IndexedMutRandom, IndexedRandom},
};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use sim::{coded::TOPIC, protocol::Lane};

/// Entries of a flood in one control frame.
const FLOOD: usize = 20;

/// What a hostile node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Changes bytes of shards and fragments.
    CorruptPayload,
    /// Changes coefficient vectors.
    CorruptCoefficients,
    /// Gives shards other numbers of the publisher, and fragments other places.
    WrongIndex,
    /// Puts shards into a generation that there is not, or into another.
    WrongGeneration,
    /// Spoils signatures.
    BadSignature,
    /// Says that it has what it has not, and has not what it has.
    Lies,
    /// Asks for everything again and again.
    Leeches,
    /// Sends bytes that are no frame.
    Garbage,
    /// Receives and never sends data.
    Drops,
    /// Changes paths. Profile `adaptive`, as all that follow.
    CorruptPath,
    /// Says that what it passes on has come a short way or a long one.
    WrongHops,
    /// Comes as a data peer and goes, wants to be fed otherwise each time, and probes, all at once.
    Floods,
}

impl Mischief {
    pub(crate) fn random(profile: Profile, rng: &mut impl Rng) -> Self {
        let all = [
            Self::CorruptPayload,
            Self::CorruptCoefficients,
            Self::WrongIndex,
            Self::WrongGeneration,
            Self::BadSignature,
            Self::Lies,
            Self::Leeches,
            Self::Garbage,
            Self::Drops,
            Self::CorruptPath,
            Self::WrongHops,
            Self::Floods,
        ];
        let possible = match profile {
            Profile::Documented => &all[..9],
            Profile::Adaptive => &all[..],
        };
        *possible.choose(rng).unwrap_or(&Self::Drops)
    }

    /// Whether shards come of it that are not what they say.
    pub(crate) fn pollutes(self) -> bool {
        match self {
            Self::CorruptPayload | Self::CorruptCoefficients => true,
            Self::WrongIndex
            | Self::WrongGeneration
            | Self::BadSignature
            | Self::Lies
            | Self::Leeches
            | Self::Garbage
            | Self::Drops
            | Self::CorruptPath
            | Self::WrongHops
            | Self::Floods => false,
        }
    }
}

/// A hostile node: its mischief, its chance and what it has heard of.
pub(crate) struct Rogue {
    pub(crate) mischief: Mischief,
    profile: Profile,
    rng: ChaCha12Rng,
    /// Generations that it has heard of, the newest last.
    generations: VecDeque<GenerationId>,
}

impl Rogue {
    pub(crate) fn new(mischief: Mischief, profile: Profile, seed: u64) -> Self {
        let rng = ChaCha12Rng::seed_from_u64(seed);
        Self { mischief, profile, rng, generations: VecDeque::new() }
    }

    /// Remembers of what a frame brought something.
    pub(crate) fn hear(&mut self, lane: Lane, bytes: &Bytes) {
        if lane != Lane::Data {
            return;
        }
        let Ok(frame) = DataFrame::decode(bytes.clone()) else { return };
        let piece = frame.piece.map(|piece| piece.generation);
        let fragment = frame.fragment.map(|fragment| fragment.generation);
        if let Some(generation) = piece.or(fragment).filter(|new| !self.generations.contains(new)) {
            self.generations.push_back(generation);
        }
    }

    /// Returns what leaves instead of a frame; `None` if it leaves as it is.
    pub(crate) fn spoil(&mut self, lane: Lane, bytes: &Bytes) -> Option<Bytes> {
        match lane {
            Lane::Data => self.spoil_data(bytes),
            Lane::Control => self.spoil_control(bytes),
        }
    }

    fn spoil_data(&mut self, bytes: &Bytes) -> Option<Bytes> {
        let mut frame = DataFrame::decode(bytes.clone()).ok()?;
        let change = self.rng.random_bool(0.5);
        match self.mischief {
            Mischief::CorruptPayload if !change => return None,
            Mischief::CorruptPayload => {
                let piece = frame.piece.as_mut().map(|piece| &mut piece.bytes);
                let fragment = frame.fragment.as_mut().map(|fragment| &mut fragment.bytes);
                self.flip(piece.or(fragment)?)?;
            }
            Mischief::CorruptCoefficients => {
                let start = frame.piece.as_mut().filter(|_| change)?.start.as_mut()?;
                self.flip(&mut start.coefficients)?;
            }
            Mischief::WrongIndex => match (&mut frame.piece, &mut frame.fragment) {
                (Some(piece), _) => {
                    piece.start.as_mut()?.publisher_index = Some(self.rng.random_range(0..8));
                }
                (None, fragment) => fragment.as_mut()?.index = self.rng.random_range(0..80),
            },
            Mischief::WrongGeneration => match (&mut frame.piece, &mut frame.fragment) {
                (Some(piece), _) => Some(piece).filter(|_| change)?.generation.index = 1,
                (None, fragment) => fragment.as_mut().filter(|_| change)?.generation.index ^= 1,
            },
            Mischief::BadSignature => self.flip(&mut frame.header.as_mut()?.signature)?,
            Mischief::CorruptPath => {
                let hash = frame.fragment.as_mut()?.path.choose_mut(&mut self.rng)?;
                hash.0[self.rng.random_range(0..COMMITMENT_BYTES)] ^= 1;
            }
            Mischief::WrongHops => {
                frame.fragment.as_mut()?.hops = *[0, u8::MAX].choose(&mut self.rng)?;
            }
            Mischief::Garbage => {
                let mut garbage = bytes.to_vec();
                garbage.truncate(self.rng.random_range(1..=bytes.len()));
                garbage[0] ^= self.rng.random::<u8>();
                return Some(garbage.into());
            }
            Mischief::Lies | Mischief::Leeches | Mischief::Drops | Mischief::Floods => return None,
        }
        Some(frame.encode().to_bytes())
    }

    /// Changes one byte.
    fn flip(&mut self, bytes: &mut Bytes) -> Option<()> {
        let mut flipped = bytes.to_vec();
        *flipped.choose_mut(&mut self.rng)? ^= 1;
        *bytes = flipped.into();
        Some(())
    }

    fn spoil_control(&mut self, bytes: &Bytes) -> Option<Bytes> {
        let mut entries = decode_control(bytes.clone()).ok()?;
        let generation = self.generations.back().copied();
        match (self.mischief, self.profile) {
            (Mischief::Lies, profile) => {
                entries.retain(|entry| !matches!(entry, Control::IDontWant(_)));
                match profile {
                    Profile::Documented => entries.push(self.lie(generation)),
                    Profile::Adaptive => self.lie_of_fragments(generation, &mut entries),
                }
            }
            (Mischief::Leeches, Profile::Documented) => {
                let generation = generation?;
                entries.extend((0..FLOOD).map(|_| Control::IWant { generation, shards: 4 }));
            }
            (Mischief::Leeches, Profile::Adaptive) => {
                let mut generation = generation?;
                let fragments = Bitmap::first(*[1, 64, 256].choose(&mut self.rng)?);
                entries.push(Control::Feed { topic: topic(), part: 0, parts: 1 });
                entries.extend((0..FLOOD).map(|_| Control::Want { generation, fragments }));
                generation.header = HeaderHash(self.rng.random());
                entries.push(Control::Want { generation, fragments });
            }
            // Not each time: two that flood each other would go on for ever.
            (Mischief::Floods, _) if self.rng.random_bool(0.5) => return None,
            (Mischief::Floods, _) => self.flood(&mut entries),
            (
                Mischief::CorruptPayload
                | Mischief::CorruptCoefficients
                | Mischief::WrongIndex
                | Mischief::WrongGeneration
                | Mischief::BadSignature
                | Mischief::Garbage
                | Mischief::Drops
                | Mischief::CorruptPath
                | Mischief::WrongHops,
                _,
            ) => return None,
        }
        Some(encode_control(&entries))
    }

    fn lie(&mut self, generation: Option<GenerationId>) -> Control {
        let header = generation.map_or(HeaderHash(self.rng.random()), |known| known.header);
        match self.rng.random_range(0..4) {
            0 => Control::IDontWant(vec![header]),
            1 => Control::Gone(header),
            2 => Control::Refuse { header, reason: RefuseReason::Busy },
            _ => {
                let header = HeaderHash(self.rng.random());
                let message = MessageId(self.rng.random());
                Control::IHave { topic: topic(), news: vec![News { header, message }] }
            }
        }
    }

    /// Lies of profile `adaptive`: of what it holds, how far away it is and what is to be sent to it.
    fn lie_of_fragments(&mut self, generation: Option<GenerationId>, entries: &mut Vec<Control>) {
        for entry in &mut *entries {
            if let Control::Echo(number) = entry {
                *number = number.wrapping_add(self.rng.random_range(0..2));
            }
        }
        let unknown = GenerationId { header: HeaderHash(self.rng.random()), index: 0 };
        let mut generation = generation.unwrap_or(unknown);
        let fragments = Bitmap::first(self.rng.random_range(1..=256));
        let lie = match self.rng.random_range(0..8) {
            0 => Control::Have { generation: unknown, fragments },
            1 => {
                generation.index = self.rng.random();
                Control::Have { generation, fragments }
            }
            2 => Control::Echo(self.rng.random()),
            3 => {
                let parts = self.rng.random_range(1..=255);
                Control::Feed { topic: topic(), part: self.rng.random_range(0..parts), parts }
            }
            4 | 5 => Control::Have { generation, fragments },
            _ => self.lie(Some(generation)),
        };
        entries.push(lie);
    }

    fn flood(&mut self, entries: &mut Vec<Control>) {
        for _ in 0..FLOOD {
            let parts = self.rng.random_range(1..=255);
            entries.extend([
                Control::DataPrune { topic: topic(), backoff: std::time::Duration::MAX },
                Control::DataGraft(topic()),
                Control::Feed { topic: topic(), part: self.rng.random_range(0..parts), parts },
                Control::Probe(self.rng.random()),
            ]);
        }
    }
}

fn topic() -> Topic {
    Topic::new(TOPIC).expect("a sound topic")
}
