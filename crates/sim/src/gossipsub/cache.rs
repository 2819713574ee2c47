//! Messages that a node can still hand out, and ids that it has seen.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::frame::Message;
use crate::protocol::{MessageId, NodeId};

/// A message and how often each peer asked for it.
#[derive(Debug)]
struct Kept {
    message: Message,
    asked: BTreeMap<NodeId, u32>,
}

/// Both caches; they move on at each heartbeat.
#[derive(Debug)]
pub(super) struct Cache {
    kept: BTreeMap<MessageId, Kept>,
    /// Ids by the heartbeat they came in, the newest first; never empty.
    history: VecDeque<Vec<MessageId>>,
    seen: BTreeMap<MessageId, Instant>,
}

impl Cache {
    /// Keeps messages for `history` heartbeats.
    pub(super) fn new(history: usize) -> Self {
        let history = (0..history.max(1)).map(|_| Vec::new()).collect();
        Self { kept: BTreeMap::new(), history, seen: BTreeMap::new() }
    }

    /// Whether a message of this id came, or was published here.
    pub(super) fn has_seen(&self, id: &MessageId) -> bool {
        self.seen.contains_key(id)
    }

    /// Takes a message that was not seen.
    pub(super) fn insert(&mut self, now: Instant, message: Message) {
        self.seen.insert(message.id, now);
        self.kept.insert(message.id, Kept { message, asked: BTreeMap::new() });
        self.history[0].push(message.id);
    }

    /// The message, if `peer` has not asked for it more than `limit` times.
    pub(super) fn asked(&mut self, id: &MessageId, peer: NodeId, limit: u32) -> Option<Message> {
        let kept = self.kept.get_mut(id)?;
        let times = kept.asked.entry(peer).or_default();
        *times += 1;
        (*times <= limit).then_some(kept.message)
    }

    /// Ids of the last `heartbeats`.
    pub(super) fn recent(&self, heartbeats: usize) -> Vec<MessageId> {
        self.history.iter().take(heartbeats).flatten().copied().collect()
    }

    /// A heartbeat passed; ids are forgotten after `seen`.
    pub(super) fn shift(&mut self, now: Instant, seen: Duration) {
        for id in self.history.pop_back().unwrap_or_default() {
            self.kept.remove(&id);
        }
        self.history.push_front(Vec::new());
        self.seen.retain(|_, at| now.saturating_duration_since(*at) < seen);
    }
}
