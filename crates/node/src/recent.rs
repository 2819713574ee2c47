//! Messages delivered of late, for readers that were told of them without their payloads.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use gossip::{Delivery, MessageId, Topic};
use libp2p::PeerId;

/// What all kept messages may fill; less when `OPTIMUM_RETAIN_BYTES` is less.
pub(crate) const KEPT_BYTES_MAX: u64 = 64 << 20;

/// What a message costs beside its payload: bookkeeping, its topic, what its buffer is longer.
const ENTRY_BYTES: u64 = 2560;

/// A message that is kept. Its payload is shared with whoever else holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    /// The peer it came from; none for one of this node.
    pub(crate) received_from: Option<PeerId>,
}

#[derive(Debug, Default)]
struct Inner {
    messages: BTreeMap<MessageId, Kept>,
    /// Oldest first.
    order: VecDeque<MessageId>,
    bytes: u64,
}

/// The messages of late: the oldest go first when they fill more than allowed; the newest is kept
/// however long it is, unless nothing is allowed at all.
#[derive(Debug)]
pub(crate) struct Recent {
    inner: Mutex<Inner>,
    bytes_max: u64,
}

impl Recent {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { inner: Mutex::default(), bytes_max }
    }

    /// Keeps a message.
    pub(crate) fn keep(&self, delivery: &Delivery<PeerId>) {
        if self.bytes_max == 0 {
            return;
        }
        let kept = Kept {
            topic: delivery.topic.clone(),
            payload: delivery.payload.clone(),
            received_from: delivery.received_from,
        };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = cost(&kept);
        if inner.messages.insert(delivery.message, kept).is_some() {
            return; // Equal ids are equal payloads: the old place will do.
        }
        inner.order.push_back(delivery.message);
        inner.bytes += bytes;
        while inner.bytes > self.bytes_max && inner.order.len() > 1 {
            let Some(oldest) = inner.order.pop_front() else { break };
            let given_up = inner.messages.remove(&oldest);
            inner.bytes -= given_up.as_ref().map_or(0, cost);
        }
    }

    /// Returns a message that is still kept.
    pub(crate) fn get(&self, message: MessageId) -> Option<Kept> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.messages.get(&message).cloned()
    }
}

/// Decoded messages lie in buffers that may be an eighth longer.
fn cost(kept: &Kept) -> u64 {
    let payload = kept.payload.len() as u64;
    payload + payload / 8 + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use gossip::{PublisherId, message_id};

    use super::*;

    fn delivery(payload: &[u8]) -> Delivery<PeerId> {
        Delivery {
            topic: Topic::new("t").expect("a topic"),
            message: message_id(payload),
            payload: payload.to_vec().into(),
            received_from: None,
            publisher: PublisherId::new(Bytes::from_static(b"p")).expect("short"),
            published_unix_ns: 0,
        }
    }

    fn has(recent: &Recent, payload: &[u8]) -> bool {
        recent.get(message_id(payload)).is_some_and(|kept| kept.payload == payload)
    }

    #[test]
    fn a_message_is_found_until_newer_ones_need_its_room() {
        let recent = Recent::new(2 * ENTRY_BYTES + 10);
        for payload in [b"a", b"b", b"b", b"c"] {
            recent.keep(&delivery(payload));
        }
        assert!(!has(&recent, b"a") && has(&recent, b"b") && has(&recent, b"c"));
        assert_eq!(recent.get(message_id(b"never")), None);
    }

    #[test]
    fn the_newest_is_kept_however_long_it_is() {
        let recent = Recent::new(1);
        let long = vec![7; 100_000];
        recent.keep(&delivery(b"short"));
        recent.keep(&delivery(&long));
        assert!(has(&recent, &long) && !has(&recent, b"short"));
    }

    #[test]
    fn where_nothing_is_allowed_nothing_is_kept() {
        let recent = Recent::new(0);
        recent.keep(&delivery(b"a"));
        assert!(!has(&recent, b"a"));
    }
}
