//! A message of profile `adaptive` as its publisher would send it.

use bytes::Bytes;
use gossip::{
    Commitment, Commitments, GenerationId, Header, SignedHeader, message_id,
    wire::{DataFrame, Fragment, Piece, ShardStart},
};
use rlnc::{Encoder, Generations, Shape};

use super::{TestKeys, payload, topic};

/// A message of one generation.
pub struct Cut {
    pub signed: SignedHeader,
    pub commitments: Option<Commitments>,
    pub payload: Bytes,
    pub shape: Shape,
}

impl Cut {
    pub fn new(bytes: usize, fragments: u16) -> Self {
        Self::by(1, bytes, fragments)
    }

    pub fn by(publisher: u32, bytes: usize, fragments: u16) -> Self {
        let payload = payload(publisher.into(), bytes);
        let cut = Generations::new(bytes as u64, fragments, bytes as u64).expect("it can be cut");
        let (_, shape) = cut.iter().next().expect("one generation");
        let commitments = (fragments > 1).then(|| Commitments::new(&payload, cut));
        let root = commitments.as_ref().map_or_else(Bytes::new, |all| all.root().0.to_vec().into());
        let header = Header {
            cluster: Bytes::new(),
            topic: topic("t"),
            payload_bytes: bytes as u64,
            fragments,
            fragment_bytes: shape.fragment_bytes(),
            publisher: TestKeys::publisher_of(publisher),
            public_key: None,
            sequence: 1_000_000,
            published_unix_ns: 1,
            message: message_id(&payload),
            root,
        };
        Self { signed: header.sign(&TestKeys(publisher)), commitments, payload, shape }
    }

    pub fn generation(&self) -> GenerationId {
        GenerationId { header: self.signed.header.hash(), index: 0 }
    }

    pub fn path(&self, index: u16) -> Vec<Commitment> {
        self.commitments.as_ref().and_then(|all| all.path(0, index)).unwrap_or_default()
    }

    /// A fragment with everything that the receiver may lack.
    pub fn frame(&self, index: u16) -> DataFrame {
        let length = self.shape.fragment_bytes() as usize;
        let start = usize::from(index) * length;
        let mut bytes = self.payload[start..self.payload.len().min(start + length)].to_vec();
        bytes.resize(length, 0);
        let (generation, path) = (self.generation(), self.path(index));
        let fragment = Fragment { generation, index, hops: 9, path, bytes: bytes.into() };
        DataFrame {
            header: Some(self.signed.clone()),
            fragment: Some(fragment),
            ..DataFrame::default()
        }
    }

    pub fn combination(&self, coefficients: &[u8]) -> DataFrame {
        let encoder = Encoder::new(self.shape, self.payload.clone()).expect("an encoder");
        let coefficients = Bytes::copy_from_slice(coefficients);
        let shard = encoder.shard(coefficients.clone()).expect("a shard");
        let start = Some(ShardStart { publisher_index: None, coefficients });
        let bytes = shard.payload().clone();
        let piece = Piece { generation: self.generation(), offset: 0, start, bytes };
        DataFrame { header: Some(self.signed.clone()), piece: Some(piece), ..DataFrame::default() }
    }
}
