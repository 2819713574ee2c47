//! Encodes what the event loop tells, once, beside it: a message of 10 MiB takes some milliseconds
//! to become JSON, and the event loop must not wait for that.

use std::sync::Arc;

use api::Notice;
use bytes::Bytes;
use gossip::{Delivery, MessageId, PublishError, Topic, Trace};
use libp2p::PeerId;
use service::queue::{Lane, Queue};
use sha2::{Digest as _, Sha256};

use super::{Encoded, Hub, Item, StreamId};
use crate::{config::TraceFilter, trace};

/// What readers are told of.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A message for every reader.
    Delivered(Delivery<PeerId>),
    /// A trace event for every reader.
    Traced { trace: Trace<PeerId>, protocol: &'static str, unix_ns: i64 },
    /// A message of this node is on its way: the answer for the stream that published it, a trace
    /// event for the others.
    Published { stream: Option<StreamId>, message: MessageId, topic: Topic, unix_ns: i64 },
    /// A message was published again: the answer for the stream that did.
    Repeated { stream: StreamId, message: MessageId, topic: Topic, unix_ns: i64 },
    /// A message was not published; told to its stream if that wants to know.
    Refused { stream: StreamId, payload: Bytes, error: PublishError },
}

impl News {
    fn lane(&self) -> Lane {
        match self {
            Self::Delivered(_) => Lane::Message,
            Self::Traced { .. } => Lane::Trace,
            Self::Published { .. } | Self::Repeated { .. } | Self::Refused { .. } => Lane::Answer,
        }
    }

    /// Returns about how much memory it holds.
    fn bytes(&self) -> usize {
        match self {
            Self::Delivered(delivery) => delivery.payload.len(),
            Self::Refused { payload, .. } => payload.len(),
            Self::Traced { .. } | Self::Published { .. } | Self::Repeated { .. } => 256,
        }
    }
}

/// The event loop's end: never waits.
#[derive(Clone, Debug)]
pub(crate) struct Fanout {
    queue: Arc<Queue<News>>,
    hub: Arc<Hub>,
    filter: TraceFilter,
}

impl Fanout {
    /// Makes both ends; [`Encoder::run`] is to be spawned.
    pub(crate) fn new(hub: Arc<Hub>, own: PeerId, filter: TraceFilter) -> (Self, Encoder) {
        let queue = Arc::new(Queue::new(hub.queue_bytes_max, false));
        let encoder = Encoder { queue: Arc::clone(&queue), hub: Arc::clone(&hub), own, filter };
        (Self { queue, hub, filter }, encoder)
    }

    /// Returns whether any trace event is sent but answers.
    pub(crate) fn wants_traces(&self) -> bool {
        self.filter != TraceFilter::NONE
    }

    /// Passes `news` on if somebody reads.
    pub(crate) fn send(&self, news: News) {
        if self.hub.has_readers() {
            self.hub.dropped.add(self.queue.push(news.lane(), news.bytes(), news));
        }
    }

    /// Lets the encoder end after what it was given.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}

/// Encodes and hands out.
#[derive(Debug)]
pub(crate) struct Encoder {
    queue: Arc<Queue<News>>,
    hub: Arc<Hub>,
    own: PeerId,
    filter: TraceFilter,
}

impl Encoder {
    /// Runs until the other end is closed.
    pub(crate) async fn run(self) {
        while let Some(news) = std::future::poll_fn(|cx| self.queue.poll_pop(cx)).await {
            self.hand_out(news);
            // Long encodings must not keep other tasks of this thread waiting for ever.
            tokio::task::consume_budget().await;
        }
    }

    fn hand_out(&self, news: News) {
        match news {
            News::Delivered(delivery) => {
                let demand = self.hub.demand(delivery.topic.as_str());
                let delivery = trace::delivery(self.own, delivery);
                let encoded = Encoded {
                    whole: demand.whole.then(|| delivery.to_json()),
                    bare: demand.bare.then(|| delivery.to_json_without_payload()),
                };
                self.hub.deliver(&delivery.topic, &encoded);
            }
            News::Traced { trace, protocol, unix_ns } => {
                // Told by `Published`, with the stream that it answers.
                if matches!(trace, Trace::Publish { .. }) {
                    return;
                }
                let event = trace::event(self.own, unix_ns, trace, protocol);
                if self.filter.allows(trace::number(&event)) {
                    self.hub.broadcast_trace(&Item::Trace(trace::encode(&event)), None);
                }
            }
            News::Published { stream, message, topic, unix_ns } => {
                let event = trace::event(self.own, unix_ns, Trace::Publish { message, topic }, "");
                let item = Item::Trace(trace::encode(&event));
                if let Some(stream) = stream {
                    self.hub.answer(stream, item.clone());
                }
                if self.filter.allows(trace::number(&event)) {
                    self.hub.broadcast_trace(&item, stream);
                }
            }
            News::Repeated { stream, message, topic, unix_ns } => {
                let event = trace::event(self.own, unix_ns, Trace::Publish { message, topic }, "");
                self.hub.answer(stream, Item::Trace(trace::encode(&event)));
            }
            News::Refused { stream, payload, error } => {
                if self.hub.wants_notices(stream) {
                    // Hashed here: what is refused may be long, and the event loop must not wait.
                    let message_id = hex::encode(Sha256::digest(payload));
                    let (reason, error) = (reason(&error).to_owned(), error.to_string());
                    let refused = Notice::Refused { error, message_id, reason };
                    self.hub.answer(stream, Item::Notice(refused.to_json()));
                }
            }
        }
    }
}

/// Returns the word for why a message is not published.
fn reason(error: &PublishError) -> &'static str {
    match error {
        PublishError::Empty => "empty",
        PublishError::TooLarge { .. } => "too_large",
        PublishError::Duplicate { .. } => "duplicate",
        PublishError::TopicsFull { .. } => "topics_full",
        PublishError::Busy => "busy",
    }
}
