//! The signed header that every message has exactly one of.

use bytes::Bytes;
use rlnc::{Shape, ShapeError};
use sha2::{Digest, Sha256};

use crate::{HeaderHash, Keys, MessageId, PublisherId, Topic, wire};

/// What is hashed and signed before the encoded header, so that a signature made for this
/// protocol and version means nothing elsewhere.
const DOMAIN: &[u8] = b"open-optimump2p/gossip/1/header\0";

/// What a publisher says of one message. The encoding is part of the wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster the message was published in; a header of another cluster is refused.
    pub cluster: Bytes,
    /// The topic it was published on.
    pub topic: Topic,
    /// Length of the payload; never 0.
    pub payload_bytes: u64,
    /// Fragments of a generation (k).
    pub fragments: u16,
    /// Bytes of a fragment.
    pub fragment_bytes: u32,
    /// Who published and signed.
    pub publisher: PublisherId,
    /// The publisher's public key when its id does not contain it.
    pub public_key: Option<Bytes>,
    /// Counts up by one a message, from the Unix time in nanoseconds at the publisher's start.
    pub sequence: u64,
    /// When it was published, Unix time in nanoseconds. Used for the delay histogram only.
    pub published_unix_ns: u64,
    /// SHA-256 of the payload: a claim until a decode has verified it.
    pub message: MessageId,
    /// Root over the commitments to the fragments; empty in profile `documented`, else 20 bytes.
    pub root: Bytes,
}

/// A header with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    /// What is signed.
    pub header: Header,
    /// The publisher's signature over [`Header::signed_text`].
    pub signature: Bytes,
}

impl Header {
    /// Returns the bytes that are hashed and signed: the domain, then the encoded header.
    pub fn signed_text(&self) -> Vec<u8> {
        let mut text = DOMAIN.to_vec();
        wire::encode_header(self, &mut text);
        text
    }

    /// Returns SHA-256 of [`Header::signed_text`]: what names the message on the wire.
    pub fn hash(&self) -> HeaderHash {
        HeaderHash(Sha256::digest(self.signed_text()).into())
    }

    /// Returns how many generations the payload is cut into.
    pub fn generations(&self) -> u64 {
        let generation_bytes = u64::from(self.fragments) * u64::from(self.fragment_bytes);
        self.payload_bytes.div_ceil(generation_bytes.max(1))
    }

    /// Returns the shape of every generation but the last.
    ///
    /// # Errors
    ///
    /// Returns [`ShapeError`] if no generation can have it.
    pub fn shape(&self) -> Result<Shape, ShapeError> {
        Shape::new(self.fragments, self.fragment_bytes)
    }

    /// Signs the header.
    pub fn sign(self, keys: &dyn Keys) -> SignedHeader {
        let signature = keys.sign(&self.signed_text());
        SignedHeader { header: self, signature }
    }
}

impl SignedHeader {
    /// Returns whether the publisher it names signed it.
    pub fn verify(&self, keys: &dyn Keys) -> bool {
        let Self { header, signature } = self;
        let key = header.public_key.as_deref();
        keys.verify(&header.publisher, key, &header.signed_text(), signature)
    }
}
