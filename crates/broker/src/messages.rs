//! Messages that are not yet decided for every client.

use std::{collections::BTreeSet, time::Instant};

use bytes::Bytes;

use crate::{
    ClientId, MessageId, NodeId, Topic,
    ids::{IdMap, Mixer},
};

/// A message, from the first node that told of it until every client is served.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: Topic,
    pub(crate) first_heard: Instant,
    /// Who told of it.
    pub(crate) nodes: BTreeSet<NodeId>,
    pub(crate) payload: Option<Bytes>,
    /// Who was given it.
    pub(crate) served: BTreeSet<ClientId>,
    /// Whether the time of the fallback is over and only the payload is waited for.
    pub(crate) is_late: bool,
    /// Nodes that were asked for the payload.
    pub(crate) asked: BTreeSet<NodeId>,
    /// Of those, the one whose answer is awaited.
    pub(crate) fetching: Option<NodeId>,
    deadline: Instant,
    fetch_at: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Messages {
    all: IdMap<Message>,
    payload_bytes: usize,
    deadlines: BTreeSet<(Instant, MessageId)>,
    fetches: BTreeSet<(Instant, MessageId)>,
}

impl Messages {
    pub(crate) fn new(secret: u64) -> Self {
        Self {
            all: IdMap::with_hasher(Mixer(secret)),
            payload_bytes: 0,
            deadlines: BTreeSet::new(),
            fetches: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Message> {
        self.all.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &MessageId) -> Option<&mut Message> {
        self.all.get_mut(id)
    }

    /// Returns all of them, the one whose time ends first at first.
    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.deadlines.iter().map(|(_, id)| *id).collect()
    }

    /// Returns all of them, in the same order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MessageId, &Message)> {
        self.deadlines.iter().filter_map(|(_, id)| Some((id, self.all.get(id)?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Adds a message that no node told of before, to be decided by `deadline`.
    pub(crate) fn add(&mut self, now: Instant, id: MessageId, topic: Topic, deadline: Instant) {
        let message = Message {
            topic,
            first_heard: now,
            nodes: BTreeSet::new(),
            payload: None,
            served: BTreeSet::new(),
            is_late: false,
            asked: BTreeSet::new(),
            fetching: None,
            deadline,
            fetch_at: None,
        };
        self.all.insert(id, message);
        self.deadlines.insert((deadline, id));
    }

    /// Keeps a payload, if there is none yet.
    pub(crate) fn keep_payload(&mut self, id: &MessageId, payload: Bytes) {
        let Some(message) = self.all.get_mut(id) else { return };
        if message.payload.is_some() {
            return;
        }
        self.payload_bytes += payload.len();
        message.payload = Some(payload);
        if let Some(at) = message.fetch_at.take() {
            self.fetches.remove(&(at, *id));
        }
    }

    /// Has the payload fetched at `at`, unless a time is set already.
    pub(crate) fn fetch_at(&mut self, id: &MessageId, at: Instant) {
        let Some(message) = self.all.get_mut(id) else { return };
        if message.fetch_at.is_none() {
            message.fetch_at = Some(at);
            self.fetches.insert((at, *id));
        }
    }

    /// Returns a message whose payload is to be fetched by now, and takes that off the list.
    pub(crate) fn due_fetch(&mut self, now: Instant) -> Option<MessageId> {
        let (at, id) = *self.fetches.first()?;
        if at > now {
            return None;
        }
        self.fetches.pop_first();
        self.all.entry(id).and_modify(|message| message.fetch_at = None);
        Some(id)
    }

    /// Gives a message until `deadline`; from now on it is late.
    pub(crate) fn make_late(&mut self, id: &MessageId, deadline: Instant) {
        let Some(message) = self.all.get_mut(id) else { return };
        self.deadlines.remove(&(message.deadline, *id));
        message.is_late = true;
        message.deadline = deadline;
        self.deadlines.insert((deadline, *id));
    }

    /// Returns the message whose time ends first, and when.
    pub(crate) fn first_deadline(&self) -> Option<(Instant, MessageId)> {
        self.deadlines.first().copied()
    }

    pub(crate) fn next_fetch(&self) -> Option<Instant> {
        self.fetches.first().map(|(at, _)| *at)
    }

    pub(crate) fn remove(&mut self, id: &MessageId) {
        let Some(message) = self.all.remove(id) else { return };
        self.payload_bytes -= message.payload.map_or(0, |payload| payload.len());
        self.deadlines.remove(&(message.deadline, *id));
        if let Some(at) = message.fetch_at {
            self.fetches.remove(&(at, *id));
        }
    }
}
