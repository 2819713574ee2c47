//! All messages of this node, and what they may fill.

use std::collections::{BTreeMap, BTreeSet};

use super::{Message, Phase};
use crate::{Header, HeaderHash, Limits, MessageId, PeerName, holding::Holding};

/// What a message costs beside its payload, roughly; so that many small ones count.
const OVERHEAD_BYTES: u64 = 1 << 10;

/// What a fragment costs beside its bytes, roughly.
const FRAGMENT_OVERHEAD_BYTES: u64 = 96;

/// All messages, open and complete, and the accounts of what they fill.
#[derive(Debug)]
pub(crate) struct Messages<P> {
    all: BTreeMap<HeaderHash, Message<P>>,
    claims: BTreeMap<MessageId, BTreeSet<HeaderHash>>,
    open_count: usize,
    open_bytes: u64,
    open_bytes_by_peer: BTreeMap<P, u64>,
    /// Complete messages in the order they became so.
    retained: BTreeMap<u64, HeaderHash>,
    /// Where each of them is in that order.
    places: BTreeMap<HeaderHash, u64>,
    retained_bytes: u64,
    next_retained: u64,
}

/// Whether a new message has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It fits.
    Fits,
    /// It fits once this one is gone.
    Evict(HeaderHash),
    /// It does not, and nobody holds more than the peer that brings it.
    Full,
}

impl<P: PeerName> Messages<P> {
    pub(crate) fn new() -> Self {
        Self {
            all: BTreeMap::new(),
            claims: BTreeMap::new(),
            open_count: 0,
            open_bytes: 0,
            open_bytes_by_peer: BTreeMap::new(),
            retained: BTreeMap::new(),
            places: BTreeMap::new(),
            retained_bytes: 0,
            next_retained: 0,
        }
    }

    pub(crate) fn get(&self, hash: &HeaderHash) -> Option<&Message<P>> {
        self.all.get(hash)
    }

    pub(crate) fn get_mut(&mut self, hash: &HeaderHash) -> Option<&mut Message<P>> {
        self.all.get_mut(hash)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message<P>> {
        self.all.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Message<P>> {
        self.all.values_mut()
    }

    /// Returns the headers that claim `message`.
    pub(crate) fn claims(&self, message: &MessageId) -> impl Iterator<Item = HeaderHash> {
        self.claims.get(message).into_iter().flatten().copied()
    }

    /// Returns whether `bytes` more, brought by `peer`, fit; see [`Limits::open_messages_max`].
    pub(crate) fn admission(&self, limits: &Limits, peer: P, bytes: u64) -> Admission {
        if self.open_count < limits.open_messages_max
            && self.open_bytes + bytes <= limits.open_bytes_max
        {
            return Admission::Fits;
        }
        let own = self.open_bytes_by_peer.get(&peer).copied().unwrap_or(0);
        let heaviest = self.open_bytes_by_peer.iter().max_by_key(|&(_, bytes)| bytes);
        match heaviest {
            Some((&heaviest, &held)) if heaviest != peer && held > own + bytes => self
                .all
                .values()
                .filter(|message| message.brought_by == Some(heaviest) && !message.is_complete())
                .min_by_key(|message| message.progressed)
                .map_or(Admission::Full, |message| Admission::Evict(message.hash)),
            _ => Admission::Full,
        }
    }

    /// Adds an open message.
    pub(crate) fn open(&mut self, mut message: Message<P>) {
        self.open_count += 1;
        message.charged_bytes = open_bytes(&message.signed.header, message.holding());
        self.open_bytes += message.charged_bytes;
        if let Some(peer) = message.brought_by {
            *self.open_bytes_by_peer.entry(peer).or_default() += message.charged_bytes;
        }
        self.insert(message);
    }

    /// Adds a message of our own, complete from the start.
    pub(crate) fn publish(&mut self, message: Message<P>) {
        self.retain(message.hash, message.payload_bytes());
        self.insert(message);
    }

    /// Puts an open message among the complete ones; `complete` is its last phase.
    pub(crate) fn complete(&mut self, hash: HeaderHash, complete: Phase) {
        let Some(mut message) = self.all.remove(&hash) else { return };
        self.discharge(&message);
        message.phase = complete;
        self.retain(hash, message.payload_bytes());
        self.all.insert(hash, message);
    }

    /// Removes a message, open or complete.
    pub(crate) fn remove(&mut self, hash: &HeaderHash) -> Option<Message<P>> {
        let message = self.all.remove(hash)?;
        let claimed = message.signed.header.message;
        if let Some(claims) = self.claims.get_mut(&claimed) {
            claims.remove(hash);
            if claims.is_empty() {
                self.claims.remove(&claimed);
            }
        }
        if message.is_complete() {
            if let Some(place) = self.places.remove(hash) {
                self.retained.remove(&place);
            }
            self.retained_bytes -= message.payload_bytes() + OVERHEAD_BYTES;
        } else {
            self.discharge(&message);
        }
        Some(message)
    }

    /// Returns the oldest complete message while the complete ones fill more than `bytes_max`.
    pub(crate) fn over_retention(&self, bytes_max: u64) -> Option<HeaderHash> {
        if self.retained_bytes <= bytes_max || self.retained.len() <= 1 {
            return None;
        }
        self.retained.first_key_value().map(|(_, &hash)| hash)
    }

    fn insert(&mut self, message: Message<P>) {
        let (hash, claimed) = (message.hash, message.signed.header.message);
        self.claims.entry(claimed).or_default().insert(hash);
        self.all.insert(hash, message);
    }

    fn retain(&mut self, hash: HeaderHash, payload_bytes: u64) {
        self.retained.insert(self.next_retained, hash);
        self.places.insert(hash, self.next_retained);
        self.next_retained += 1;
        self.retained_bytes += payload_bytes + OVERHEAD_BYTES;
    }

    fn discharge(&mut self, message: &Message<P>) {
        let bytes = message.charged_bytes;
        self.open_count -= 1;
        self.open_bytes -= bytes;
        let Some(peer) = message.brought_by else { return };
        if let Some(held) = self.open_bytes_by_peer.get_mut(&peer) {
            *held -= bytes;
            if *held == 0 {
                self.open_bytes_by_peer.remove(&peer);
            }
        }
    }
}

/// Returns what an open message fills once it is complete.
pub(crate) fn open_bytes(header: &Header, holding: Option<&Holding>) -> u64 {
    let bytes = match holding {
        Some(holding) => {
            header.payload_bytes + u64::from(holding.total()) * FRAGMENT_OVERHEAD_BYTES
        }
        None => u64::from(header.fragments) * u64::from(header.fragment_bytes),
    };
    bytes + OVERHEAD_BYTES
}
