//! What passes between us and one peer about one message.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use rlnc::Recipe;

use super::Exchange;
use crate::wire::{RefuseReason, ShardStart};

/// What passes between us and one peer about one message on one connection.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about the peer, independent of each other"
)]
pub(crate) struct Link {
    /// The header was sent one way or the other on this connection.
    pub(crate) exchanged: bool,
    /// The peer is known to hold the header.
    pub(crate) has_header: bool,
    /// The peer said that it has the message.
    pub(crate) done: bool,
    /// The peer does not take it, for this reason.
    pub(crate) refused: Option<RefuseReason>,
    /// Publisher shards that the peer holds or that are on the way to it.
    pub(crate) known: BTreeSet<u16>,
    /// Publisher shards that it is to get.
    pub(crate) due: BTreeSet<u16>,
    /// How many shards, coded anew, it is to get.
    pub(crate) coded_due: u16,
    /// How many shards its pulls were promised.
    pub(crate) pulled: u16,
    /// Whether the message waits in the peer's queue.
    pub(crate) queued: bool,
    /// The shard of which the peer has got the first pieces.
    pub(crate) sending: Option<Sending>,
    /// The shard of which we have got the first pieces.
    pub(crate) receiving: Option<Receiving>,
    /// What is on the way of shards begun before the message started over is passed over.
    pub(crate) skips: bool,
    /// What passes about fragments; nothing in profile `documented`.
    pub(crate) exchange: Exchange,
}

/// A shard on its way out.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) start: ShardStart,
    pub(crate) source: Source,
    /// Where the next piece begins.
    pub(crate) offset: usize,
}

/// Where the bytes of a shard come from while its message is not complete. Once it is, the
/// coefficient vector says it all.
#[derive(Debug)]
pub(crate) enum Source {
    /// A shard held, by its place in the decoder.
    Held(usize),
    /// A combination of shards held.
    Recoded(Recipe),
    /// The fragments.
    Fragments,
}

/// A shard on its way in.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) start: ShardStart,
    pub(crate) bytes: BytesMut,
}

impl Link {
    /// Returns whether there is something to send now.
    pub(crate) fn wants(&self) -> bool {
        self.takes() && self.owes()
    }

    /// Returns whether there is something to send, now or when the peer takes it again.
    pub(crate) fn owes(&self) -> bool {
        let due = self.sending.is_some()
            || !self.due.is_empty()
            || self.coded_due > 0
            || self.exchange.owes();
        due && !self.done && self.refused.is_none_or(RefuseReason::is_later)
    }

    /// Returns whether the peer has told of a part of the message and not of all of it.
    pub(crate) fn is_gathering(&self) -> bool {
        !self.done && self.refused.is_none() && self.exchange.has_told()
    }

    /// Returns whether the peer takes shards of the message at all.
    pub(crate) fn takes(&self) -> bool {
        !self.done && self.refused.is_none()
    }

    /// Forgets what is to be sent: the peer needs nothing more.
    pub(crate) fn stop(&mut self) {
        self.due.clear();
        self.coded_due = 0;
        self.sending = None;
        self.exchange.stop();
    }

    /// The peer may have lost the header, or never had it: it goes again.
    pub(crate) fn forget_header(&mut self) {
        self.has_header = false;
    }

    /// Our stream to the peer was lost: what was on the way may not have come, so the header goes
    /// again and the shard begun starts over.
    pub(crate) fn restart_sending(&mut self) {
        self.has_header = false;
        self.refused = None;
        self.queued = false;
        self.exchange.restart();
        if let Some(sending) = self.sending.take() {
            match sending.start.publisher_index {
                Some(index) => drop(self.due.insert(index)),
                None => self.coded_due += 1,
            }
        }
    }
}

/// Why a piece does not continue a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceError {
    /// No first piece came before, or not the one that it continues.
    Gap,
    /// It reaches beyond the fragment.
    TooLong,
}

impl PieceError {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Gap => "a piece does not continue the shard",
            Self::TooLong => "a piece reaches beyond the fragment",
        }
    }
}

impl Link {
    /// Takes a piece; returns the start and the bytes of a shard that it completes. A first piece
    /// puts an unfinished shard away: its sender gave it up.
    ///
    /// A shard in one piece is not copied.
    pub(crate) fn receive(
        &mut self,
        start: Option<ShardStart>,
        offset: usize,
        bytes: Bytes,
        fragment_bytes: usize,
    ) -> Result<Option<(ShardStart, Bytes)>, PieceError> {
        if offset + bytes.len() > fragment_bytes {
            return Err(PieceError::TooLong);
        }
        if let Some(start) = start {
            self.skips = false;
            if bytes.len() == fragment_bytes {
                self.receiving = None;
                return Ok(Some((start, bytes)));
            }
            let mut buffer = BytesMut::with_capacity(fragment_bytes);
            buffer.extend_from_slice(&bytes);
            self.receiving = Some(Receiving { start, bytes: buffer });
            return Ok(None);
        }
        if self.skips {
            return Ok(None);
        }
        let receiving = self.receiving.as_mut().ok_or(PieceError::Gap)?;
        if receiving.bytes.len() != offset {
            return Err(PieceError::Gap);
        }
        receiving.bytes.extend_from_slice(&bytes);
        if receiving.bytes.len() < fragment_bytes {
            return Ok(None);
        }
        Ok(self.receiving.take().map(|done| (done.start, done.bytes.freeze())))
    }
}
