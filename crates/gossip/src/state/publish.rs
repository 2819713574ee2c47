//! A message of our own: hashed, signed, delivered here and given to the mesh.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bytes::Bytes;
use rlnc::{CoefficientSource, Encoder, Shape};

use super::State;
use crate::{
    Delivery, Header, HeaderHash, Job, MessageId, Output, PeerName, Publish, PublishError, Topic,
    Trace,
    jobs::Purpose,
    message::{Message, Phase, PublisherShard},
    work::message_id,
};

impl<P: PeerName> State<P> {
    /// Returns whether a publish has room. When it turns true again [`Output::PublishRoom`] says
    /// so. A publish without room is refused as [`PublishError::Busy`].
    pub fn accepts_publish(&self) -> bool {
        self.publishing_bytes < self.config.limits.publish_bytes_max
    }

    pub(super) fn publish(&mut self, now: Instant, publish: Publish) {
        let Publish { ticket, topic, payload, published_unix_ns } = publish;
        let (bytes, max) = (payload.len() as u64, self.config.message_bytes_max);
        if payload.is_empty() {
            return self.refuse_publish(ticket, topic, PublishError::Empty);
        }
        if bytes > max {
            return self.refuse_publish(ticket, topic, PublishError::TooLarge { bytes, max });
        }
        if !self.topics.contains_key(&topic) && !self.has_room_for_topic() {
            let max = self.config.limits.topics_max;
            return self.refuse_publish(ticket, topic, PublishError::TopicsFull { max });
        }
        if !self.accepts_publish() {
            return self.refuse_publish(ticket, topic, PublishError::Busy);
        }
        self.publishing_bytes += bytes;
        if bytes < self.config.job_threshold_bytes {
            let message = message_id(&payload);
            self.publish_hashed(now, ticket, topic, payload, published_unix_ns, message);
        } else {
            let job = Job::Hash { payload: payload.clone() };
            self.jobs.add(Purpose::Publish { ticket, topic, payload, published_unix_ns }, job);
        }
    }

    /// Publishes a payload whose id is known. Its bytes are in `publishing_bytes` already.
    pub(super) fn publish_hashed(
        &mut self,
        now: Instant,
        ticket: u64,
        topic: Topic,
        payload: Bytes,
        published_unix_ns: u64,
        id: MessageId,
    ) {
        let bytes = payload.len() as u64;
        self.subscribe(now, &topic);
        if self.seen.contains(now, &id) {
            self.publishing_bytes -= bytes;
            let error = PublishError::Duplicate { message: id };
            return self.refuse_publish(ticket, topic, error);
        }
        if !self.topics.contains_key(&topic) {
            // Others took the room while this was being hashed.
            self.publishing_bytes -= bytes;
            let max = self.config.limits.topics_max;
            return self.refuse_publish(ticket, topic, PublishError::TopicsFull { max });
        }
        let Some(message) = self.own_message(now, &topic, &payload, published_unix_ns, id) else {
            self.publishing_bytes -= bytes;
            let max = self.config.message_bytes_max;
            return self.refuse_publish(ticket, topic, PublishError::TooLarge { bytes, max });
        };
        let hash = message.hash;
        self.messages.publish(message);
        self.leaving.insert(hash, bytes);
        self.remember_seen(now, id);
        self.stats.published += 1;
        self.outbox.push(Output::Published { ticket, message: id, topic: topic.clone() });
        self.outbox.trace(|| Trace::Publish { message: id, topic: topic.clone() });
        self.deliver(hash, payload, None);
        self.spread_own(hash, &topic);
        self.enforce_retention(now);
    }

    /// Signs a header and makes the publisher's shards. `None` when the payload has no shape, which
    /// the configuration rules out.
    fn own_message(
        &mut self,
        now: Instant,
        topic: &Topic,
        payload: &Bytes,
        published_unix_ns: u64,
        id: MessageId,
    ) -> Option<Message<P>> {
        let shape = Shape::for_payload(payload.len() as u64, self.config.shard_factor).ok()?;
        let encoder = Encoder::new(shape, payload.clone()).ok()?;
        let header = Header {
            cluster: self.config.cluster.clone(),
            topic: topic.clone(),
            payload_bytes: payload.len() as u64,
            fragments: shape.fragments(),
            fragment_bytes: shape.fragment_bytes(),
            publisher: self.publisher.clone(),
            public_key: self.keys.public_key(),
            sequence: self.sequence,
            published_unix_ns,
            message: id,
            root: Bytes::new(),
        };
        self.sequence += 1;
        let hash = header.hash();
        let source = CoefficientSource::new(hash.0);
        let publisher_shards = (0..self.config.publisher_shards())
            .map(|index| {
                let coefficients = source.coefficients(shape, u64::from(index)).into();
                (index, PublisherShard { coefficients, row: 0 })
            })
            .collect();
        Some(Message {
            hash,
            signed: Arc::new(header.sign(&*self.keys)),
            shape,
            phase: Phase::Complete(encoder),
            brought_by: None,
            progressed: now,
            publisher_shards,
            links: BTreeMap::new(),
            completed_by: None,
            shards_sent: 0,
            failures: 0,
            is_leaving: false,
            leaving_heartbeats: 0,
            heartbeats_left: self.config.retain_heartbeats,
            news_left: self.config.news_heartbeats,
        })
    }

    /// Gives the publisher's shards to the mesh, round-robin, different ones to each peer.
    fn spread_own(&mut self, hash: HeaderHash, topic: &Topic) {
        let targets = self.targets(topic);
        if targets.is_empty() {
            return self.has_left(hash);
        }
        let Some(message) = self.messages.get_mut(&hash) else { return };
        let indices: Vec<u16> = message.publisher_shards.keys().copied().collect();
        for (&index, &peer) in indices.iter().zip(targets.iter().cycle()) {
            message.links.entry(peer).or_default().due.insert(index);
        }
        for peer in targets {
            self.queue_message(peer, hash);
        }
    }

    /// Hands a verified message to the application.
    pub(super) fn deliver(&mut self, hash: HeaderHash, payload: Bytes, received_from: Option<P>) {
        let Some(message) = self.messages.get(&hash) else { return };
        let header = &message.signed.header;
        if !self.topics.contains_key(&header.topic) {
            return;
        }
        let delivery = Delivery {
            topic: header.topic.clone(),
            message: header.message,
            payload,
            received_from,
            publisher: header.publisher.clone(),
            published_unix_ns: header.published_unix_ns,
        };
        self.stats.delivered += 1;
        self.stats.delivered_bytes += header.payload_bytes;
        let bytes = header.payload_bytes;
        self.count(&delivery.topic, |stats| {
            stats.received += 1;
            stats.received_bytes += bytes;
            stats.delivered += 1;
            stats.delivered_bytes += bytes;
        });
        self.outbox.trace(|| Trace::Deliver {
            message: delivery.message,
            topic: delivery.topic.clone(),
            received_from,
        });
        self.outbox.push(Output::Deliver(delivery));
    }

    pub(super) fn remember_seen(&mut self, now: Instant, id: MessageId) {
        self.stats.seen_evicted += u64::from(self.seen.insert(now, id));
    }

    /// A message of ours has left once, or has had its time: its room is free.
    pub(super) fn has_left(&mut self, hash: HeaderHash) {
        if let Some(bytes) = self.leaving.remove(&hash) {
            self.publishing_bytes -= bytes;
        }
    }

    pub(super) fn tell_publish_room(&mut self) {
        if self.publish_waits && self.accepts_publish() {
            self.publish_waits = false;
            self.outbox.push(Output::PublishRoom);
        } else if !self.accepts_publish() {
            self.publish_waits = true;
        }
    }

    pub(super) fn refuse_publish(&mut self, ticket: u64, topic: Topic, error: PublishError) {
        self.stats.publish_refused += 1;
        // Who is told to come again is told when.
        self.publish_waits |= error == PublishError::Busy;
        self.outbox.push(Output::PublishRefused { ticket, topic, error });
    }
}
