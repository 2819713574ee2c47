//! Signatures by libp2p keys.

use bytes::Bytes;
use gossip::{Keys, PublisherId};
use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey},
};
use thiserror::Error;

/// The multihash code of a peer id that is the public key itself.
const INLINED: u64 = 0;

/// Signs with a node's key pair. A publisher is named by its peer id in binary form; its key
/// travels with a header only where the id is a hash of it (RSA), not where the id contains it
/// (Ed25519, secp256k1).
#[derive(Clone, Debug)]
pub struct NodeKeys {
    keypair: Keypair,
    publisher: PublisherId,
    public_key: Option<Bytes>,
}

/// The key pair cannot name or sign.
#[derive(Debug, Error)]
pub enum KeysError {
    /// Its peer id is longer than a publisher's name may be.
    #[error(transparent)]
    Publisher(#[from] gossip::PublisherIdError),
    /// It does not sign.
    #[error("the key pair does not sign: {0}")]
    Sign(#[from] libp2p::identity::SigningError),
}

impl NodeKeys {
    /// Takes a key pair.
    ///
    /// # Errors
    ///
    /// Returns [`KeysError`] if it cannot name a publisher or does not sign.
    pub fn new(keypair: Keypair) -> Result<Self, KeysError> {
        drop(keypair.sign(b"may this key sign?")?);
        let public = keypair.public();
        let peer = public.to_peer_id();
        let publisher = PublisherId::new(peer.to_bytes().into())?;
        let inlined = peer.as_ref().code() == INLINED;
        let public_key = (!inlined).then(|| public.encode_protobuf().into());
        Ok(Self { keypair, publisher, public_key })
    }
}

impl Keys for NodeKeys {
    fn publisher(&self) -> PublisherId {
        self.publisher.clone()
    }

    fn public_key(&self) -> Option<Bytes> {
        self.public_key.clone()
    }

    fn sign(&self, text: &[u8]) -> Bytes {
        // It signed when it was taken. Were it ever to fail, nobody would accept the header.
        self.keypair.sign(text).unwrap_or_default().into()
    }

    fn verify(
        &self,
        publisher: &PublisherId,
        public_key: Option<&[u8]>,
        text: &[u8],
        signature: &[u8],
    ) -> bool {
        let Ok(peer) = PeerId::from_bytes(publisher.as_bytes()) else { return false };
        let inlined = peer.as_ref().code() == INLINED;
        let encoded = match public_key {
            Some(encoded) => encoded,
            None if inlined => peer.as_ref().digest(),
            None => return false,
        };
        PublicKey::try_decode_protobuf(encoded)
            .is_ok_and(|key| key.to_peer_id() == peer && key.verify(text, signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> NodeKeys {
        NodeKeys::new(Keypair::generate_ed25519()).expect("it signs")
    }

    #[test]
    fn a_signature_is_its_publishers_and_of_its_text_only() {
        let (ours, others) = (keys(), keys());
        let signature = ours.sign(b"text");
        let name = ours.publisher();
        assert!(others.verify(&name, None, b"text", &signature));
        assert!(!others.verify(&name, None, b"other text", &signature));
        assert!(!others.verify(&others.publisher(), None, b"text", &signature));
        assert!(!others.verify(&name, None, b"text", &signature[1..]));
    }

    #[test]
    fn a_key_that_an_id_contains_is_not_sent_along() {
        assert_eq!(keys().public_key(), None);
        let secp256k1 = NodeKeys::new(Keypair::generate_secp256k1()).expect("it signs");
        assert_eq!(secp256k1.public_key(), None);
        let signature = secp256k1.sign(b"text");
        assert!(signature.len() <= gossip::wire::SIGNATURE_BYTES_MAX);
        assert!(keys().verify(&secp256k1.publisher(), None, b"text", &signature));
    }

    #[test]
    fn a_key_that_is_sent_along_must_be_the_publishers() {
        let (ours, others) = (Keypair::generate_ed25519(), keys());
        let signature = ours.sign(b"text").expect("it signs");
        let encoded = ours.public().encode_protobuf();
        let own = PublisherId::new(ours.public().to_peer_id().to_bytes().into()).expect("an id");
        assert!(others.verify(&own, Some(&encoded), b"text", &signature));
        assert!(!others.verify(&others.publisher(), Some(&encoded), b"text", &signature));
        assert!(!others.verify(&own, Some(b"no key"), b"text", &signature));
    }

    #[test]
    fn names_that_are_no_peer_ids_and_hashed_ids_without_a_key_verify_nothing() {
        let keys = keys();
        let garbage = PublisherId::new(Bytes::from_static(b"garbage")).expect("short enough");
        assert!(!keys.verify(&garbage, None, b"text", &keys.sign(b"text")));
        let hashed = [&[0x12, 0x20][..], &[7; 32]].concat();
        let hashed = PublisherId::new(hashed.into()).expect("short enough");
        assert!(!keys.verify(&hashed, None, b"text", &keys.sign(b"text")));
    }
}
