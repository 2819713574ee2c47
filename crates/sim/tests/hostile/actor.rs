//! A node that may do mischief: it runs the real state machine, and changes what leaves.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::{
    GenerationId, HeaderHash, MessageId, Topic,
    wire::{Control, DataFrame, News, RefuseReason, decode_control, encode_control},
};
use rand::{
    Rng, RngExt,
    seq::{IndexedMutRandom, IndexedRandom},
};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use sim::{
    coded::{Coded, CodedFrame, TOPIC},
    protocol::{Direction, Event, Lane, NodeId, Outgoing, Protocol, Received},
};

/// What a hostile node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mischief {
    /// Changes bytes of shards.
    CorruptPayload,
    /// Changes coefficient vectors.
    CorruptCoefficients,
    /// Gives shards other numbers of the publisher.
    WrongIndex,
    /// Puts shards into a generation that there is not.
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
}

impl Mischief {
    pub(crate) fn random(rng: &mut impl Rng) -> Self {
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
        ];
        *all.choose(rng).unwrap_or(&Self::Drops)
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
            | Self::Drops => false,
        }
    }
}

/// An honest node, or one with some mischief.
pub(crate) struct Actor {
    node: Coded,
    mischief: Option<Mischief>,
    rng: ChaCha12Rng,
    /// Generations that it has heard of, the newest last.
    generations: VecDeque<GenerationId>,
}

impl Actor {
    pub(crate) fn new(node: Coded, mischief: Option<Mischief>, seed: u64) -> Self {
        let rng = ChaCha12Rng::seed_from_u64(seed);
        Self { node, mischief, rng, generations: VecDeque::new() }
    }

    pub(crate) fn node(&self) -> &Coded {
        &self.node
    }

    fn spoil_data(&mut self, mischief: Mischief, bytes: &Bytes) -> Option<Bytes> {
        let mut frame = DataFrame::decode(bytes.clone()).ok()?;
        let change = self.rng.random_bool(0.5);
        match mischief {
            Mischief::CorruptPayload => {
                let piece = frame.piece.as_mut().filter(|_| change)?;
                let mut payload = piece.bytes.to_vec();
                *payload.choose_mut(&mut self.rng)? ^= 1;
                piece.bytes = payload.into();
            }
            Mischief::CorruptCoefficients => {
                let start = frame.piece.as_mut().filter(|_| change)?.start.as_mut()?;
                let mut coefficients = start.coefficients.to_vec();
                *coefficients.choose_mut(&mut self.rng)? ^= 1;
                start.coefficients = coefficients.into();
            }
            Mischief::WrongIndex => {
                let start = frame.piece.as_mut()?.start.as_mut()?;
                start.publisher_index = Some(self.rng.random_range(0..8));
            }
            Mischief::WrongGeneration => {
                frame.piece.as_mut().filter(|_| change)?.generation.index = 1;
            }
            Mischief::BadSignature => {
                let header = frame.header.as_mut()?;
                let mut signature = header.signature.to_vec();
                *signature.first_mut()? ^= 1;
                header.signature = signature.into();
            }
            Mischief::Garbage => {
                let mut garbage = bytes.to_vec();
                garbage.truncate(self.rng.random_range(1..=bytes.len()));
                garbage[0] ^= self.rng.random::<u8>();
                return Some(garbage.into());
            }
            Mischief::Lies | Mischief::Leeches | Mischief::Drops => return None,
        }
        Some(frame.encode().to_bytes())
    }

    fn spoil_control(&mut self, mischief: Mischief, bytes: &Bytes) -> Option<Bytes> {
        let mut entries = decode_control(bytes.clone()).ok()?;
        let generation = self.generations.back().copied();
        match mischief {
            Mischief::Lies => {
                entries.retain(|entry| !matches!(entry, Control::IDontWant(_)));
                entries.push(self.lie(generation));
            }
            Mischief::Leeches => {
                let generation = generation?;
                entries.extend((0..20).map(|_| Control::IWant { generation, shards: 4 }));
            }
            Mischief::CorruptPayload
            | Mischief::CorruptCoefficients
            | Mischief::WrongIndex
            | Mischief::WrongGeneration
            | Mischief::BadSignature
            | Mischief::Garbage
            | Mischief::Drops => return None,
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
                let topic = Topic::new(TOPIC).expect("a sound topic");
                Control::IHave { topic, news: vec![News { header, message }] }
            }
        }
    }

    fn hear(&mut self, lane: Lane, frame: &CodedFrame) {
        if lane == Lane::Data
            && let Ok(DataFrame { piece: Some(piece), .. }) = DataFrame::decode(frame.bytes.clone())
            && !self.generations.contains(&piece.generation)
        {
            self.generations.push_back(piece.generation);
        }
    }
}

impl Protocol for Actor {
    type Frame = CodedFrame;

    fn on_connected(&mut self, now: Instant, peer: NodeId, direction: Direction) {
        self.node.on_connected(now, peer, direction);
    }

    fn on_disconnected(&mut self, now: Instant, peer: NodeId) {
        self.node.on_disconnected(now, peer);
    }

    fn on_frame(&mut self, now: Instant, peer: NodeId, lane: Lane, frame: CodedFrame) {
        if self.mischief.is_some() {
            self.hear(lane, &frame);
        }
        self.node.on_frame(now, peer, lane, frame);
    }

    fn publish(&mut self, now: Instant, payload: Bytes) {
        self.node.publish(now, payload);
    }

    fn on_work_done(&mut self, now: Instant, id: u64) {
        self.node.on_work_done(now, id);
    }

    fn next_frame(
        &mut self,
        now: Instant,
        peer: NodeId,
        lane: Lane,
    ) -> Option<Outgoing<CodedFrame>> {
        let mut outgoing = match (self.mischief, lane) {
            (Some(Mischief::Drops), Lane::Data) => return None,
            _ => self.node.next_frame(now, peer, lane)?,
        };
        let bytes = outgoing.frame.bytes.clone();
        let spoiled = self.mischief.and_then(|mischief| match lane {
            Lane::Data => self.spoil_data(mischief, &bytes),
            Lane::Control => self.spoil_control(mischief, &bytes),
        });
        if let Some(bytes) = spoiled {
            outgoing.bytes = bytes.len() as u32;
            outgoing.frame = CodedFrame::new(bytes);
        }
        Some(outgoing)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.node.poll_event()
    }

    fn received(&self) -> Received {
        self.node.received()
    }

    fn cpu(&self) -> Duration {
        self.node.cpu()
    }
}
