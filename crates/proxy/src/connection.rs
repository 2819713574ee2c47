//! The queue of one connection: bounded, filled without waiting, read by its task.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::extract::ws::Utf8Bytes;
use broker::{ConnectionId, MessageId, Topic};
use bytes::Bytes;
use futures::Stream;
use service::queue::{Lane, Queue};
use tokio::sync::mpsc;

/// A message as all connections share it, in the forms that somebody wants it in.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) topic: Topic,
    pub(crate) json: Utf8Bytes,
    pub(crate) id: MessageId,
    /// As gRPC writes it, without what differs from client to client.
    pub(crate) encoded: OnceLock<Bytes>,
}

impl Delivery {
    /// Returns none if the JSON is no text.
    pub(crate) fn new(id: MessageId, topic: Topic, json: Bytes) -> Option<Self> {
        let json = Utf8Bytes::try_from(json).ok()?;
        Some(Self { topic, json, id, encoded: OnceLock::new() })
    }
}

/// What a connection is given.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A message.
    Message(Arc<Delivery>),
    /// So many messages were given up because the connection reads too slowly.
    Lost(u64),
}

/// The filling end.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Queue<Arc<Delivery>>,
    lost: AtomicU64,
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { queue: Queue::new(bytes_max, false), lost: AtomicU64::new(0) }
    }

    /// Adds a message; returns how many were given up for it, the oldest first.
    pub(crate) fn push(&self, delivery: Arc<Delivery>) -> u64 {
        let bytes = delivery.json.len();
        let lost = self.queue.push(Lane::Message, bytes, delivery).messages;
        if lost > 0 {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        lost
    }

    /// Returns how many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Lets the reader come to its end after what is queued.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

/// The reading end. Dropping it ends the connection's place among the deliveries.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) id: ConnectionId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) gone: mpsc::UnboundedSender<ConnectionId>,
}

impl Stream for Inbox {
    type Item = Item;

    /// What was lost is told when nothing waits, so that the count is whole.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match self.outbox.queue.poll_pop(cx) {
            Poll::Ready(Some(delivery)) => Poll::Ready(Some(Item::Message(delivery))),
            drained @ (Poll::Ready(None) | Poll::Pending) => {
                match self.outbox.lost.swap(0, Ordering::Relaxed) {
                    0 => drained.map(|_| None),
                    lost => Poll::Ready(Some(Item::Lost(lost))),
                }
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.outbox.close();
        // At the end nobody counts connections any more.
        let _closed = self.gone.send(self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    #[test]
    fn the_oldest_are_given_up_and_told_of_when_the_rest_was_read() {
        let outbox = Arc::new(Outbox::new(400));
        let (gone, mut left) = mpsc::unbounded_channel();
        let mut inbox = Inbox { id: ConnectionId(7), outbox: Arc::clone(&outbox), gone };
        let delivery = |number: u8| {
            Delivery::new(MessageId([number; 32]), "t".into(), Bytes::from(vec![b'x'; 100]))
        };
        let push = |number| outbox.push(Arc::new(delivery(number).expect("text")));
        let lost: u64 = (0..5).map(push).sum();
        assert_eq!(lost, 3, "two of 164 bytes fit");
        let mut next = || inbox.next().now_or_never().expect("something is there");
        for number in [3, 4] {
            let item = next().expect("open");
            let Item::Message(delivery) = item else { panic!("{item:?}") };
            assert_eq!(delivery.id, MessageId([number; 32]));
        }
        assert!(matches!(next(), Some(Item::Lost(3))));
        outbox.close();
        assert!(next().is_none());
        drop(inbox);
        assert_eq!(left.try_recv(), Ok(ConnectionId(7)));
    }
}
