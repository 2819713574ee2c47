//! Work above about a millisecond, done outside the state machine.

use std::sync::Arc;

use bytes::Bytes;
use rlnc::{Decoder, Generations, Pool};
use sha2::{Digest, Sha256};

use crate::{Commitments, MessageId};

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
        /// How it is cut, where its fragments are committed to.
        committed: Option<Generations>,
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
    /// Put fragments together and check the message id their header claims.
    Assemble {
        /// One after another they are the payload.
        pieces: Vec<Bytes>,
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
    /// The id of the payload, and the commitments to its fragments where they were asked for.
    Hashed(MessageId, Option<Box<Commitments>>),
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
            Self::Hash { payload, committed } => {
                let commitments = committed.map(|cut| Box::new(Commitments::new(&payload, cut)));
                Outcome::Hashed(message_id(&payload), commitments)
            }
            Self::Assemble { pieces, pool, payload_bytes, claimed } => {
                let mut buffer = pool.take(payload_bytes as usize);
                let mut rest: &mut [u8] = &mut buffer;
                for piece in pieces {
                    let Some((start, after)) = rest.split_at_mut_checked(piece.len()) else {
                        return Outcome::Failed;
                    };
                    start.copy_from_slice(&piece);
                    rest = after;
                }
                if rest.is_empty() && message_id(&buffer) == claimed {
                    Outcome::Verified(Bytes::from_owner(buffer))
                } else {
                    Outcome::Polluted
                }
            }
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
            Self::Hash { payload, .. } => payload.len() as u64,
            Self::Decode { payload_bytes, .. } | Self::Assemble { payload_bytes, .. } => {
                *payload_bytes
            }
        }
    }
}

/// Returns the id of `payload`.
pub fn message_id(payload: &[u8]) -> MessageId {
    MessageId(Sha256::digest(payload).into())
}
