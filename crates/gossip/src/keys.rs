//! Signatures, given by the driver: the node has a libp2p key pair, the simulator a keyed hash.

use bytes::Bytes;

use crate::PublisherId;

/// Signs our own headers and checks those of others. Both must be pure: equal arguments, equal
/// results.
pub trait Keys: Send + Sync {
    /// Returns our own name as a publisher.
    fn publisher(&self) -> PublisherId;

    /// Returns our public key if it cannot be derived from [`Keys::publisher`], else nothing.
    fn public_key(&self) -> Option<Bytes>;

    /// Signs `text`; at most [`crate::wire::SIGNATURE_BYTES_MAX`] bytes.
    fn sign(&self, text: &[u8]) -> Bytes;

    /// Returns whether `signature` is `publisher`'s over `text`. `public_key` is what the header
    /// carried; it must be checked against `publisher` before it is used.
    fn verify(
        &self,
        publisher: &PublisherId,
        public_key: Option<&[u8]>,
        text: &[u8],
        signature: &[u8],
    ) -> bool;
}
