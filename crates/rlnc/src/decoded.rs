//! Decoded bytes, before and after somebody vouched for them.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::Buffer;

/// Bytes that came out of a decode and that nobody vouched for.
///
/// One polluted shard among those decoded changes any number of them, and nothing in them tells.
/// They can only be had through [`Decoded::verify`].
#[must_use]
pub struct Decoded(Buffer);

/// A payload that passed its check.
///
/// Dropping it, or the last of the [`Bytes`] made of it, gives its buffer back to its pool.
pub struct Message(Buffer);

/// The decoded bytes are not the message: at least one shard was not the combination it claimed
/// to be, or the check was for another message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the {payload_bytes} decoded bytes fail their check: at least one shard was polluted")]
pub struct Polluted {
    /// How many bytes were decoded.
    pub payload_bytes: u64,
}

impl Decoded {
    pub(crate) const fn new(bytes: Buffer) -> Self {
        Self(bytes)
    }

    /// Returns the message if the bytes pass the check, without copying them.
    ///
    /// The check must be one that an attacker cannot satisfy with other bytes, such as a
    /// comparison of their cryptographic hash with a signed one.
    ///
    /// # Errors
    ///
    /// When `check` returns false. The bytes are gone then.
    pub fn verify(self, check: impl FnOnce(&[u8]) -> bool) -> Result<Message, Polluted> {
        if check(&self.0) {
            Ok(Message(self.0))
        } else {
            Err(Polluted { payload_bytes: self.0.len() as u64 })
        }
    }
}

impl Message {
    /// Returns the payload, without copying it.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Decoded {
    /// Writes the length only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Decoded({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Message {
    /// Writes the length only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Message({} bytes)", self.0.len())
    }
}
