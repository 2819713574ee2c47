//! The messages that the peers of a fuzzed state bring: sound ones, and each way to be unsound.

use std::sync::LazyLock;

use bytes::Bytes;
use gossip::{
    GenerationId, Header, HeaderHash, Keys, MessageId, PublisherId, SignedHeader, message_id,
    wire::{self, DataFrame, PIECE_BYTES_MAX, ShardStart},
};
use rlnc::{Encoder, Shape};
use sha2::{Digest, Sha256};

use super::{Piece, stage::Stage, topic_of};

/// Signs by a keyed hash; cheap, so that the fuzzer spends its time on the state.
pub(super) struct TestKeys(pub(super) u8);

impl TestKeys {
    fn signature(publisher: &[u8], text: &[u8]) -> Bytes {
        let hash = Sha256::new().chain_update(publisher).chain_update(text);
        Bytes::copy_from_slice(&hash.finalize())
    }
}

impl Keys for TestKeys {
    fn publisher(&self) -> PublisherId {
        PublisherId::new(Bytes::copy_from_slice(&[self.0])).expect("one byte")
    }

    fn public_key(&self) -> Option<Bytes> {
        None
    }

    fn sign(&self, text: &[u8]) -> Bytes {
        Self::signature(&[self.0], text)
    }

    fn verify(&self, publisher: &PublisherId, _: Option<&[u8]>, text: &[u8], sig: &[u8]) -> bool {
        Self::signature(publisher.as_bytes(), text) == sig
    }
}

/// A message that peers bring.
#[derive(Debug)]
pub(super) struct Crafted {
    pub(super) signed: SignedHeader,
    hash: HeaderHash,
    encoder: Encoder,
    fragments: u16,
    fragment_bytes: usize,
}

/// All of them, made once.
pub(super) struct Pool {
    crafted: &'static [Crafted],
}

/// Payloads: of one byte, of less bytes than fragments, of one piece a shard, of several.
const PAYLOAD_BYTES: [usize; 6] = [1, 3, 100, 1000, 5000, 80_000];

static CRAFTED: LazyLock<Vec<Crafted>> = LazyLock::new(|| {
    let plain = (0..8).map(|n| Crafted::new(n, n, |_| {}));
    let equivocal = |header: &mut Header| {
        header.publisher = TestKeys(99).publisher();
        header.sequence = 1000;
    };
    let unsound = [
        // Two headers under one number of one publisher.
        Crafted::new(8, 8, equivocal),
        Crafted::new(9, 9, equivocal),
        // Claims the id of another message.
        Crafted::new(10, 10, |header| header.message = message_id(&payload(3))),
        // Another header for the payload of another message.
        Crafted::new(11, 3, |header| header.publisher = TestKeys(77).publisher()),
        // Of another cluster, too large, and of a shape that the profile does not make.
        Crafted::new(12, 12, |header| header.cluster = Bytes::from_static(b"other")),
        Crafted::new(13, 13, |header| header.payload_bytes = 1 << 40),
        Crafted::new(14, 14, |header| header.fragment_bytes += 1),
    ];
    let mut forged = Crafted::new(15, 15, |_| {});
    forged.signed.signature = Bytes::from_static(b"forged");
    plain.chain(unsound).chain([forged]).collect()
});

/// A sound message that no operation brings, of a publisher that no operation knows.
static FRESH: LazyLock<Crafted> =
    LazyLock::new(|| Crafted::new(2, 200, |header| header.publisher = TestKeys(200).publisher()));

fn payload(number: u8) -> Bytes {
    let bytes = PAYLOAD_BYTES[usize::from(number) % PAYLOAD_BYTES.len()];
    (0..bytes).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ number).collect()
}

/// Returns a payload to be published; some are those of crafted messages, some are refused.
pub(super) fn published(number: u8) -> Bytes {
    match number % 40 {
        39 => Bytes::new(),
        38 => vec![0; 200_000].into(),
        number => payload(number),
    }
}

/// Returns the frames that bring a sound message of the first topic, and its id.
pub(super) fn fresh() -> (Vec<DataFrame>, MessageId) {
    let message = &*FRESH;
    let frames = (0..4).map(|shard| DataFrame {
        header: (shard == 0).then(|| message.signed.clone()),
        piece: Some(message.piece(&Piece {
            number: 0,
            coefficients: (0..4).map(|place| u8::from(place == shard)).collect(),
            publisher_index: Some(shard),
            index: 0,
            corrupt: false,
            cut: None,
        })),
        ..DataFrame::default()
    });
    (frames.collect(), message.signed.header.message)
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { crafted: &CRAFTED }
    }

    pub(super) fn crafted(&self, number: u8) -> &Crafted {
        &self.crafted[usize::from(number) % self.crafted.len()]
    }

    /// Returns the hash of a crafted header, of one that the state sent, or of none.
    pub(super) fn hash(&self, stage: &Stage, number: u8) -> HeaderHash {
        match number {
            0..128 => self.crafted(number).hash,
            128..240 => stage.sent_header(number - 128).unwrap_or(self.crafted(number).hash),
            240.. => HeaderHash([number; 32]),
        }
    }

    pub(super) fn message_id(&self, number: u8) -> MessageId {
        self.crafted(number).signed.header.message
    }
}

impl Crafted {
    /// A sound message of payload `content` with what `change` does to its header.
    fn new(number: u8, content: u8, change: impl FnOnce(&mut Header)) -> Self {
        let payload = payload(content);
        let payload_bytes = payload.len() as u64;
        let fragments = 4;
        let shape = Shape::for_payload(payload_bytes, fragments).expect("a sound shape");
        let keys = TestKeys(100 + number % 3);
        let mut header = Header {
            cluster: Bytes::new(),
            topic: topic_of(number % 2),
            payload_bytes,
            fragments,
            fragment_bytes: shape.fragment_bytes(),
            publisher: keys.publisher(),
            public_key: None,
            sequence: u64::from(number),
            published_unix_ns: 0,
            message: message_id(&payload),
            root: Bytes::new(),
        };
        change(&mut header);
        let signer = TestKeys(header.publisher.as_bytes()[0]);
        Self {
            hash: header.hash(),
            signed: header.sign(&signer),
            encoder: Encoder::new(shape, payload).expect("a sound message"),
            fragments,
            fragment_bytes: shape.fragment_bytes() as usize,
        }
    }

    /// Returns how many pieces a shard has.
    pub(super) fn pieces(&self) -> u8 {
        self.fragment_bytes.div_ceil(PIECE_BYTES_MAX) as u8
    }

    /// Returns a piece of the shard that `piece` describes.
    pub(super) fn piece(&self, piece: &Piece) -> wire::Piece {
        let mut coefficients = piece.vector(self.fragments);
        let offset = usize::from(piece.number % self.pieces()) * PIECE_BYTES_MAX;
        let end = self.fragment_bytes.min(offset + PIECE_BYTES_MAX);
        let mut bytes = vec![0; end - offset];
        self.encoder.write_range(&coefficients, offset..end, &mut bytes);
        if piece.corrupt {
            bytes[0] ^= 1;
        }
        if let Some(cut) = piece.cut {
            bytes.truncate(usize::from(cut) % bytes.len() + 1);
            // Sometimes the vector is short as well.
            coefficients.truncate(usize::from(cut % 8).max(1));
        }
        let start = ShardStart { publisher_index: piece.publisher_index, coefficients };
        wire::Piece {
            generation: GenerationId {
                header: self.hash,
                // Mostly the only generation there is.
                index: u16::from(piece.index.saturating_sub(240)),
            },
            offset: offset as u32,
            start: (offset == 0).then_some(start),
            bytes: bytes.into(),
        }
    }
}
