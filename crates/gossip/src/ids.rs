//! Names of peers, topics, messages and generations.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use thiserror::Error;

/// What the driver calls a peer: libp2p's `PeerId` in the node, an integer in tests and simulation.
pub trait PeerName: Copy + Ord + fmt::Debug + Send + 'static {}

impl<T: Copy + Ord + fmt::Debug + Send + 'static> PeerName for T {}

/// The longest topic name in bytes. A guess: the longest name seen in use has about 60.
pub const TOPIC_BYTES_MAX: usize = 1024;

/// The longest publisher id in bytes; the longest libp2p peer id (a SHA-256 multihash) has 34,
/// an inlined key at most 44.
pub const PUBLISHER_BYTES_MAX: usize = 64;

/// The name of a topic: 1 to [`TOPIC_BYTES_MAX`] bytes of UTF-8. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TopicError {
    /// The text is empty.
    #[error("the topic is empty; a topic has 1 to {TOPIC_BYTES_MAX} bytes")]
    Empty,
    /// The text is too long.
    #[error("the topic has {bytes} bytes; at most {TOPIC_BYTES_MAX} are allowed")]
    TooLong {
        /// Length of the text.
        bytes: usize,
    },
}

impl Topic {
    /// Checks `name`.
    ///
    /// # Errors
    ///
    /// Returns [`TopicError`] if `name` is empty or longer than [`TOPIC_BYTES_MAX`].
    pub fn new(name: &str) -> Result<Self, TopicError> {
        match name.len() {
            0 => Err(TopicError::Empty),
            1..=TOPIC_BYTES_MAX => Ok(Self(name.into())),
            bytes => Err(TopicError::TooLong { bytes }),
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        /// The first four bytes only: enough to follow one in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

hash_id!(
    /// The id of a message: SHA-256 of its payload. Displayed as 64 lower-case hex digits.
    MessageId
);
hash_id!(
    /// The hash of a signed header without its signature; see [`crate::Header::hash`].
    HeaderHash
);

/// Names one generation: the header it belongs to and its index in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId {
    /// Hash of the message's header.
    pub header: HeaderHash,
    /// Index of the generation in the message, from 0.
    pub index: u16,
}

/// The publisher's public name, 1 to [`PUBLISHER_BYTES_MAX`] bytes (a libp2p peer id in binary
/// form). Opaque here: only [`crate::Keys`] knows what it means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublisherId(Bytes);

/// The bytes are no publisher id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the publisher id has {bytes} bytes; 1 to {PUBLISHER_BYTES_MAX} are allowed")]
pub struct PublisherIdError {
    /// Length of what was given.
    pub bytes: usize,
}

impl PublisherId {
    /// Checks the length of `bytes`.
    ///
    /// # Errors
    ///
    /// Returns [`PublisherIdError`] if `bytes` is empty or longer than [`PUBLISHER_BYTES_MAX`].
    pub fn new(bytes: Bytes) -> Result<Self, PublisherIdError> {
        match bytes.len() {
            1..=PUBLISHER_BYTES_MAX => Ok(Self(bytes)),
            bytes => Err(PublisherIdError { bytes }),
        }
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for PublisherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
