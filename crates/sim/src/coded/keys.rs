//! Signatures by a keyed hash: as long as those of Ed25519, and a thousand times faster.

use bytes::Bytes;
use gossip::{Keys, PublisherId};
use sha2::{Digest, Sha512};

use crate::protocol::NodeId;

/// The keys of a node. Whoever knows the name can sign for it, which is what hostile tests want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimKeys(pub NodeId);

impl SimKeys {
    /// Returns the publisher's name of a node; as long as a peer id of Ed25519.
    pub fn publisher_of(name: NodeId) -> PublisherId {
        let mut bytes = [0; 38];
        bytes[..4].copy_from_slice(&name.to_be_bytes());
        PublisherId::new(Bytes::copy_from_slice(&bytes)).expect("38 bytes")
    }

    fn signature(publisher: &[u8], text: &[u8]) -> Bytes {
        let hash = Sha512::new().chain_update(b"key of ").chain_update(publisher);
        Bytes::copy_from_slice(&hash.chain_update(text).finalize())
    }
}

impl Keys for SimKeys {
    fn publisher(&self) -> PublisherId {
        Self::publisher_of(self.0)
    }

    fn public_key(&self) -> Option<Bytes> {
        None
    }

    fn sign(&self, text: &[u8]) -> Bytes {
        Self::signature(self.publisher().as_bytes(), text)
    }

    fn verify(&self, publisher: &PublisherId, _: Option<&[u8]>, text: &[u8], sig: &[u8]) -> bool {
        Self::signature(publisher.as_bytes(), text) == sig
    }
}
