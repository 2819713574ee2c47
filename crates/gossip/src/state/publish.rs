//! A message of our own: hashed, signed, delivered here and given to the mesh.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use rlnc::{CoefficientSource, Encoder, Generations, Shape};

use super::State;
use crate::{
    Commitments, Delivery, Header, HeaderHash, Job, MessageId, Outcome, Output, PeerName, Profile,
    Publish, PublishError, Topic, Trace,
    holding::{Holding, cut},
    jobs::Purpose,
    message::{Message, Phase, PublisherShard},
};

/// What was computed of a payload before it is published.
pub(super) struct Hashed {
    pub(super) id: MessageId,
    pub(super) commitments: Option<Box<Commitments>>,
}

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
            let Outcome::Hashed(id, commitments) = self.hash_job(&payload).run() else { return };
            let hashed = Hashed { id, commitments };
            self.publish_hashed(now, ticket, topic, payload, published_unix_ns, &hashed);
        } else {
            let job = self.hash_job(&payload);
            self.jobs.add(Purpose::Publish { ticket, topic, payload, published_unix_ns }, job);
        }
    }

    /// Returns what is to be computed of a payload before it can be published.
    fn hash_job(&self, payload: &Bytes) -> Job {
        let committed = self.generations(payload.len() as u64).filter(|cut| {
            cut.count() > 1 || cut.iter().next().is_some_and(|(_, shape)| shape.fragments() > 1)
        });
        Job::Hash { payload: payload.clone(), committed }
    }

    /// Returns how a payload is cut in profile `adaptive`.
    fn generations(&self, payload_bytes: u64) -> Option<Generations> {
        match self.config.profile {
            Profile::Documented => None,
            Profile::Adaptive => {
                cut(payload_bytes, self.config.payload_scale, &self.config.adaptive)
            }
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
        hashed: &Hashed,
    ) {
        let id = hashed.id;
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
        let Some(message) = self.own_message(now, &topic, &payload, published_unix_ns, hashed)
        else {
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
        match self.config.profile {
            Profile::Documented => self.spread_own(hash, &topic),
            Profile::Adaptive => self.spread_own_fragments(hash, &topic),
        }
        self.enforce_retention(now);
    }

    /// Signs a header and makes what the publisher sends. `None` when the payload has no shape,
    /// which the configuration rules out.
    fn own_message(
        &mut self,
        now: Instant,
        topic: &Topic,
        payload: &Bytes,
        published_unix_ns: u64,
        hashed: &Hashed,
    ) -> Option<Message<P>> {
        let payload_bytes = payload.len() as u64;
        let generations = self.generations(payload_bytes);
        let shape = match generations {
            Some(generations) => generations.iter().next()?.1,
            None => Shape::for_payload(payload_bytes, self.config.shard_factor).ok()?,
        };
        let commitments = hashed.commitments.as_deref();
        let header = Header {
            cluster: self.config.cluster.clone(),
            topic: topic.clone(),
            payload_bytes,
            fragments: shape.fragments(),
            fragment_bytes: shape.fragment_bytes(),
            publisher: self.publisher.clone(),
            public_key: self.keys.public_key(),
            sequence: self.sequence,
            published_unix_ns,
            message: hashed.id,
            root: commitments.map_or_else(Bytes::new, |all| Bytes::copy_from_slice(&all.root().0)),
        };
        self.sequence += 1;
        let hash = header.hash();
        let phase = match generations {
            Some(cut) => Phase::Kept(Holding::own(cut, payload.clone(), commitments)),
            None => Phase::Complete(Encoder::new(shape, payload.clone()).ok()?),
        };
        let signed = Arc::new(header.sign(&*self.keys));
        let mut message = Message::new(hash, signed, shape, phase, None, now);
        if generations.is_none() {
            let source = CoefficientSource::new(hash.0);
            let shards = (0..self.config.publisher_shards()).map(|index| {
                let coefficients = source.coefficients(shape, u64::from(index)).into();
                (index, PublisherShard { coefficients, row: 0 })
            });
            message.publisher_shards = shards.collect();
        }
        message.heartbeats_left = self.config.retain_heartbeats;
        message.news_left = self.config.news_heartbeats;
        Some(message)
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
