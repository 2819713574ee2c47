//! From the event loop to every reader: deliveries and traces are encoded once and put into one
//! bounded queue per stream. Nobody here waits for a reader.

mod fanout;
mod refused;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use api::{Notice, StreamOptions};
use bytes::Bytes;
use futures::Stream;
use service::queue::{Dropped, Lane, Queue};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::subscriptions::Holders;
pub(crate) use fanout::{Fanout, News};
use refused::Refused;

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
    /// JSON that tells the reader what it lost, or what was not published.
    Notice(Bytes),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Message(data) | Self::Trace(data) | Self::Notice(data) => data.len(),
        }
    }
}

/// A message, in the forms that somebody wants it in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    /// With its payload.
    pub(crate) whole: Option<Bytes>,
    /// Without.
    pub(crate) bare: Option<Bytes>,
}

/// In which forms somebody wants a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) whole: bool,
    pub(crate) bare: bool,
}

/// Who reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readers {
    /// Streams that want trace events.
    pub(crate) traces: usize,
    /// Names that streams gave.
    pub(crate) holders: Holders,
    pub(crate) all: usize,
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
    wants: StreamOptions,
}

impl StreamQueue {
    fn wants_topic(&self, topic: &str) -> bool {
        self.wants.topics.as_ref().is_none_or(|topics| topics.contains(topic))
    }
}

impl Streams {
    fn readers(&self) -> Readers {
        let wants = || self.open.values().map(|stream| &stream.wants);
        let holders: BTreeSet<_> = wants().filter_map(|wants| wants.holder.clone()).collect();
        Readers {
            traces: wants().filter(|wants| wants.traces).count(),
            holders: holders.into(),
            all: self.open.len(),
        }
    }
}

/// The readers of a node.
#[derive(Debug)]
pub(crate) struct Hub {
    streams: Mutex<Streams>,
    queue_bytes_max: usize,
    streams_max: usize,
    dropped: DropCounters,
    refused: Refused,
    readers: watch::Sender<Readers>,
}

impl Hub {
    /// Makes a hub without readers. Each reader's queue holds `queue_bytes_max`.
    pub(crate) fn new(queue_bytes_max: usize, streams_max: usize) -> Self {
        Self {
            streams: Mutex::default(),
            queue_bytes_max,
            streams_max,
            dropped: DropCounters::default(),
            refused: Refused::default(),
            readers: watch::Sender::new(Readers::default()),
        }
    }

    /// Opens a stream. It is held: nothing is read from it before its first answer or
    /// [`Hub::release`]. None when there are as many as allowed, or the hub is closed.
    pub(crate) fn open(self: &Arc<Self>, wants: StreamOptions) -> Option<Reader> {
        let mut streams = self.lock();
        if streams.closed {
            return None;
        }
        if streams.open.len() >= self.streams_max {
            self.refused.streams.add_one();
            return None;
        }
        let id = StreamId(streams.next);
        streams.next += 1;
        let stream = Arc::new(StreamQueue {
            queue: Queue::new(self.queue_bytes_max, true),
            dropped: DropCounters::default(),
            wants,
        });
        streams.open.insert(id, Arc::clone(&stream));
        self.readers.send_replace(streams.readers());
        Some(Reader { id, stream, hub: Arc::clone(self), told: (0, 0, 0) })
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

    /// Returns in which forms a message of `topic` is wanted.
    pub(crate) fn demand(&self, topic: &str) -> Demand {
        let streams = self.lock();
        let wanting = streams.open.values().filter(|stream| stream.wants_topic(topic));
        wanting.fold(Demand::default(), |demand, stream| Demand {
            whole: demand.whole || stream.wants.payloads,
            bare: demand.bare || !stream.wants.payloads,
        })
    }

    /// Gives a message of `topic` to every stream that wants it.
    pub(crate) fn deliver(&self, topic: &str, encoded: &Encoded) {
        let streams = self.lock();
        for (id, stream) in streams.open.iter().filter(|(_, stream)| stream.wants_topic(topic)) {
            // A stream that opened since the demand was asked for may find nothing in its form.
            let form = if stream.wants.payloads { &encoded.whole } else { &encoded.bare };
            if let Some(data) = form {
                self.push(*id, stream, Lane::Message, Item::Message(data.clone()));
            }
        }
    }

    /// Gives a trace event to every stream but `except` that wants some.
    pub(crate) fn broadcast_trace(&self, item: &Item, except: Option<StreamId>) {
        let streams = self.lock();
        let wanting = |(id, stream): &(&StreamId, &Arc<StreamQueue>)| {
            stream.wants.traces && Some(**id) != except
        };
        for (id, stream) in streams.open.iter().filter(wanting) {
            self.push(*id, stream, Lane::Trace, item.clone());
        }
    }

    /// Returns whether a stream asked to be told of what it loses.
    pub(crate) fn wants_notices(&self, id: StreamId) -> bool {
        self.lock().open.get(&id).is_some_and(|stream| stream.wants.losses)
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

    /// Returns how many bytes wait for readers.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.lock().open.values().map(|stream| stream.queue.bytes()).sum()
    }

    /// Returns whether anybody reads.
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.borrow().all > 0
    }

    /// Returns the counters of what clients were not given.
    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Returns a receiver of who reads.
    pub(crate) fn watch_readers(&self) -> watch::Receiver<Readers> {
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
    /// The losses it was told of: traces, messages, answers.
    told: (u64, u64, u64),
}

impl Reader {
    pub(crate) fn id(&self) -> StreamId {
        self.id
    }

    /// Returns what was lost since the last time, if the reader wants to know and anything was.
    fn losses(&mut self) -> Option<Item> {
        let lost = self.stream.dropped.snapshot();
        if !self.stream.wants.losses || lost == self.told || self.stream.queue.is_held() {
            return None;
        }
        let (traces, messages, answers) =
            (lost.0 - self.told.0, lost.1 - self.told.1, lost.2 - self.told.2);
        self.told = lost;
        Some(Item::Notice(Notice::Lost { answers, messages, traces }.to_json()))
    }
}

impl Stream for Reader {
    type Item = Item;

    /// What is queued first; what was lost is told when nothing is.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        match self.stream.queue.poll_pop(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Some(item)),
            drained @ (Poll::Ready(None) | Poll::Pending) => {
                self.losses().map_or(drained, |lost| Poll::Ready(Some(lost)))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.queue.close();
        let mut streams = self.hub.lock();
        streams.open.remove(&self.id);
        self.hub.readers.send_replace(streams.readers());
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
