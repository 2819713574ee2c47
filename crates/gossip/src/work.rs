//! Work above about a millisecond, done outside the state machine.

use std::sync::Arc;

use bytes::Bytes;
use rlnc::{Decoder, Pool};
use sha2::{Digest, Sha256};

use crate::MessageId;

/// Names a job; never used twice by one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Something to be computed. Pure: equal jobs have equal outcomes.
#[derive(Clone, Debug)]
pub enum Job {
    /// Hash a payload that is to be published.
    Hash {
        /// The payload.
        payload: Bytes,
    },
    /// Decode a generation and check the message id its header claims.
    Decode {
        /// At full rank; the state machine recodes from it meanwhile.
        decoder: Arc<Decoder>,
        /// Where the payload's buffer comes from.
        pool: Pool,
        /// Length of the payload.
        payload_bytes: u64,
        /// What SHA-256 of the payload must be.
        claimed: MessageId,
    },
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The id of the payload.
    Hashed(MessageId),
    /// The payload is what its header claims.
    Verified(Bytes),
    /// The payload is not what its header claims.
    Polluted,
    /// The job could not be run, for example because the pool is closing.
    Failed,
}

impl Job {
    /// Does the work.
    pub fn run(self) -> Outcome {
        match self {
            Self::Hash { payload } => Outcome::Hashed(message_id(&payload)),
            Self::Decode { decoder, pool, payload_bytes, claimed } => {
                let Ok(decoded) = decoder.decode(payload_bytes, &pool) else {
                    return Outcome::Failed;
                };
                match decoded.verify(|bytes| message_id(bytes) == claimed) {
                    Ok(message) => Outcome::Verified(message.into_bytes()),
                    Err(_) => Outcome::Polluted,
                }
            }
        }
    }

    /// Returns how many payload bytes the job reads: what it costs.
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Self::Hash { payload } => payload.len() as u64,
            Self::Decode { payload_bytes, .. } => *payload_bytes,
        }
    }
}

/// Returns the id of `payload`.
pub fn message_id(payload: &[u8]) -> MessageId {
    MessageId(Sha256::digest(payload).into())
}
