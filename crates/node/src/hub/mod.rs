//! From the event loop to every reader: deliveries and traces are encoded once and put into one
//! bounded queue per stream. Nobody here waits for a reader.

mod fanout;
mod queue;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::watch;
use tracing::{info, warn};

pub(crate) use fanout::{Fanout, News};
use queue::{Dropped, Lane, Queue};

/// Names one reader's stream; never used twice by one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(u64);

/// One response to a reader, encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// JSON of a delivered message.
    Message(Bytes),
    /// A trace event.
    Trace(Bytes),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Message(data) | Self::Trace(data) => data.len(),
        }
    }
}

/// What was given up since the start because readers were slow.
#[derive(Debug, Default)]
pub(crate) struct DropCounters {
    traces: AtomicU64,
    messages: AtomicU64,
    answers: AtomicU64,
}

impl DropCounters {
    fn add(&self, dropped: Dropped) {
        let add = |counter: &AtomicU64, count| {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(&self.traces, dropped.traces);
        add(&self.messages, dropped.messages);
        add(&self.answers, dropped.answers);
    }

    /// Returns the numbers of traces, messages and answers.
    pub(crate) fn snapshot(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.traces), load(&self.messages), load(&self.answers))
    }
}

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    open: BTreeMap<StreamId, Arc<StreamQueue>>,
    closed: bool,
}

#[derive(Debug)]
struct StreamQueue {
    queue: Queue<Item>,
    dropped: DropCounters,
}

/// The readers of a node.
#[derive(Debug)]
pub(crate) struct Hub {
    streams: Mutex<Streams>,
    queue_bytes_max: usize,
    streams_max: usize,
    dropped: DropCounters,
    readers: watch::Sender<usize>,
}

impl Hub {
    /// Makes a hub without readers. Each reader's queue holds `queue_bytes_max`.
    pub(crate) fn new(queue_bytes_max: usize, streams_max: usize) -> Self {
        Self {
            streams: Mutex::default(),
            queue_bytes_max,
            streams_max,
            dropped: DropCounters::default(),
            readers: watch::Sender::new(0),
        }
    }

    /// Opens a stream. It is held: nothing is read from it before its first answer or
    /// [`Hub::release`]. None when there are as many as allowed, or the hub is closed.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Reader> {
        let mut streams = self.lock();
        if streams.closed || streams.open.len() >= self.streams_max {
            return None;
        }
        let id = StreamId(streams.next);
        streams.next += 1;
        let stream = Arc::new(StreamQueue {
            queue: Queue::new(self.queue_bytes_max, true),
            dropped: DropCounters::default(),
        });
        streams.open.insert(id, Arc::clone(&stream));
        self.readers.send_replace(streams.open.len());
        Some(Reader { id, stream, hub: Arc::clone(self) })
    }

    /// Lets a stream be read.
    pub(crate) fn release(&self, id: StreamId) {
        if let Some(stream) = self.lock().open.get(&id) {
            stream.queue.release();
        }
    }

    /// Lets a stream end after what it holds.
    pub(crate) fn finish(&self, id: StreamId) {
        if let Some(stream) = self.lock().open.get(&id) {
            stream.queue.close();
        }
    }

    /// Gives `item` to every stream but `except`.
    pub(crate) fn broadcast(&self, item: &Item, except: Option<StreamId>) {
        let lane = match item {
            Item::Message(_) => Lane::Message,
            Item::Trace(_) => Lane::Trace,
        };
        let streams = self.lock();
        for (id, stream) in streams.open.iter().filter(|(id, _)| Some(**id) != except) {
            self.push(*id, stream, lane, item.clone());
        }
    }

    /// Gives `item` to one stream, before everything held back.
    pub(crate) fn answer(&self, id: StreamId, item: Item) {
        if let Some(stream) = self.lock().open.get(&id) {
            self.push(id, stream, Lane::Answer, item);
        }
    }

    fn push(&self, id: StreamId, stream: &StreamQueue, lane: Lane, item: Item) {
        let dropped = stream.queue.push(lane, item.len(), item);
        if dropped.any() {
            if stream.dropped.snapshot() == (0, 0, 0) {
                warn!(
                    stream = id.0,
                    "a reader is too slow: its queue is full and gives up traces first, then the oldest messages"
                );
            }
            stream.dropped.add(dropped);
            self.dropped.add(dropped);
        }
    }

    /// Returns whether anybody reads.
    pub(crate) fn has_readers(&self) -> bool {
        *self.readers.borrow() > 0
    }

    /// Returns a receiver of the number of readers.
    pub(crate) fn watch_readers(&self) -> watch::Receiver<usize> {
        self.readers.subscribe()
    }

    /// Returns what was given up since the start.
    pub(crate) fn dropped(&self) -> &DropCounters {
        &self.dropped
    }

    /// Ends every stream after what it holds and opens no more.
    pub(crate) fn close(&self) {
        let mut streams = self.lock();
        streams.closed = true;
        for stream in streams.open.values() {
            stream.queue.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's end of its queue. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Reader {
    id: StreamId,
    stream: Arc<StreamQueue>,
    hub: Arc<Hub>,
}

impl Reader {
    pub(crate) fn id(&self) -> StreamId {
        self.id
    }
}

impl Stream for Reader {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.stream.queue.poll_pop(cx)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.queue.close();
        let mut streams = self.hub.lock();
        streams.open.remove(&self.id);
        self.hub.readers.send_replace(streams.open.len());
        drop(streams);
        let (traces, messages, answers) = self.stream.dropped.snapshot();
        if traces + messages + answers > 0 {
            info!(
                stream = self.id.0,
                traces, messages, answers, "a reader left that was too slow for so many"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _};

    use super::*;

    fn message(text: &'static str) -> Item {
        Item::Message(Bytes::from_static(text.as_bytes()))
    }

    fn read_all(reader: &mut Reader) -> Vec<Item> {
        std::iter::from_fn(|| reader.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_slow_reader_loses_messages_and_a_quick_one_none() {
        let hub = Arc::new(Hub::new(1000, 8));
        let (mut quick, mut slow) = (hub.open().expect("room"), hub.open().expect("room"));
        hub.release(quick.id());
        hub.release(slow.id());
        let mut read = 0;
        for _ in 0..100 {
            hub.broadcast(&message("0123456789"), None);
            read += read_all(&mut quick).len();
        }
        assert_eq!(read, 100);
        let kept = read_all(&mut slow).len() as u64;
        assert!((1..100).contains(&kept));
        assert_eq!(hub.dropped().snapshot(), (0, 100 - kept, 0));
    }

    #[test]
    fn readers_of_one_message_share_its_bytes() {
        let hub = Arc::new(Hub::new(1000, 8));
        let mut readers = [hub.open().expect("room"), hub.open().expect("room")];
        hub.release(readers[0].id());
        hub.release(readers[1].id());
        let data = Bytes::from(vec![7; 10]);
        hub.broadcast(&Item::Message(data.clone()), None);
        for reader in &mut readers {
            let Some(Item::Message(got)) = reader.next().now_or_never().flatten() else {
                panic!("a message");
            };
            assert_eq!(got.as_ptr(), data.as_ptr());
        }
    }

    #[test]
    fn an_answer_goes_to_its_stream_only_and_first() {
        let hub = Arc::new(Hub::new(1000, 8));
        let (mut publisher, mut other) = (hub.open().expect("room"), hub.open().expect("room"));
        hub.release(other.id());
        let trace = Item::Trace(Bytes::from_static(b"published"));
        hub.broadcast(&message("earlier"), None);
        hub.answer(publisher.id(), trace.clone());
        hub.broadcast(&trace, Some(publisher.id()));
        assert_eq!(read_all(&mut publisher), [trace.clone(), message("earlier")]);
        assert_eq!(read_all(&mut other), [message("earlier"), trace]);
    }

    #[test]
    fn a_reader_that_leaves_is_counted_out_and_makes_room_for_another() {
        let hub = Arc::new(Hub::new(1000, 1));
        let readers = hub.watch_readers();
        let reader = hub.open().expect("room");
        assert!(hub.open().is_none());
        assert!(hub.has_readers());
        drop(reader);
        assert_eq!(*readers.borrow(), 0);
        assert!(hub.open().is_some());
    }

    #[test]
    fn a_closed_hub_ends_its_readers_after_what_they_hold() {
        let hub = Arc::new(Hub::new(1000, 8));
        let mut reader = hub.open().expect("room");
        hub.broadcast(&message("last"), None);
        hub.close();
        assert_eq!(reader.next().now_or_never(), Some(Some(message("last"))));
        assert_eq!(reader.next().now_or_never(), Some(None));
        assert!(hub.open().is_none());
    }
}
