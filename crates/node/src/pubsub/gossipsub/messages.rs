//! The way of a message: published here, brought by a peer, handed to the application or rejected.

use std::time::Instant;

use bytes::Bytes;
use gossip::{Delivery, MessageId, PublishError, PublisherId, Topic, Trace, message_id};
use libp2p::{PeerId, gossipsub as library};
use tracing::{debug, warn};

use super::{
    Behaviour, Event, hash,
    settings::{HEARTBEAT, HISTORY_LENGTH, Seen},
};

impl Behaviour {
    /// Returns the id of a payload that may be published on `topic`.
    pub(super) fn check(
        &mut self,
        topic: &Topic,
        payload: &Bytes,
    ) -> Result<MessageId, PublishError> {
        let (bytes, max) = (payload.len() as u64, self.payload_bytes_max);
        if payload.is_empty() {
            return Err(PublishError::Empty);
        }
        if bytes > max {
            return Err(PublishError::TooLarge { bytes, max });
        }
        if !self.has_room_for(topic) {
            return Err(PublishError::TopicsFull { max: self.topics_max });
        }
        let message = message_id(payload);
        self.delivered.expire(Instant::now());
        if self.delivered.contains(&message) {
            return Err(PublishError::Duplicate { message });
        }
        Ok(message)
    }

    /// Gives a message to the library; keeps it if nobody wants it yet.
    pub(super) fn send(&mut self, topic: Topic, payload: &Bytes) {
        use library::PublishError as Refusal;
        let sent = self.inner.publish(hash(&topic), payload.to_vec());
        // Our own are no arrivals.
        self.seen.try_iter().for_each(drop);
        match sent {
            Ok(_) => {}
            Err(Refusal::NoPeersSubscribedToTopic) => {
                let time = HEARTBEAT * HISTORY_LENGTH as u32;
                self.kept.keep(Instant::now(), time, topic, payload.clone());
            }
            // The library keeps it, and peers can ask for it when they hear of it.
            Err(Refusal::AllQueuesFull(peers)) => {
                self.counted.published_to_nobody += 1;
                warn!(%topic, peers, "every peer reads too slowly: the message is only announced");
            }
            // Another brought it and it was not for us: it is on its way already.
            Err(Refusal::Duplicate) => debug!(%topic, "known to peers already"),
            Err(
                error @ (Refusal::SigningError(_)
                | Refusal::MessageTooLarge
                | Refusal::TransformFailed(_)),
            ) => warn!(%topic, %error, "not sent to peers"),
        }
    }

    /// Hands a message to the application, once.
    pub(super) fn deliver(
        &mut self,
        topic: Topic,
        message: MessageId,
        payload: Bytes,
        received_from: Option<PeerId>,
        publisher: PeerId,
        published_unix_ns: u64,
    ) {
        let Ok(publisher) = PublisherId::new(publisher.to_bytes().into()) else {
            debug!(%publisher, "a publisher with too long an id");
            return;
        };
        if !self.delivered.insert(Instant::now(), message) {
            if let Some(received_from) = received_from {
                self.trace(Trace::Duplicate { message, topic, received_from });
            }
            return;
        }
        self.trace(Trace::Deliver { message, topic: topic.clone(), received_from });
        self.counted.delivered(&topic, payload.len());
        self.tell(Event::Delivered(Delivery {
            topic,
            message,
            payload,
            received_from,
            publisher,
            published_unix_ns,
        }));
    }

    /// Takes the ids that the library looked at while it read a frame of `peer`.
    pub(super) fn note_arrivals(&mut self, peer: PeerId) {
        let seen: Vec<Seen> = self.seen.try_iter().collect();
        for Seen { topic, message, bytes } in seen {
            let Ok(topic) = Topic::new(topic.as_str()) else { continue };
            if !self.topics.contains(&topic) {
                continue;
            }
            self.counted.received(&topic, bytes);
            if self.arrivals.contains_key(&message) || self.delivered.contains(&message) {
                self.trace(Trace::Duplicate { message, topic, received_from: peer });
            } else {
                self.arrivals.insert(message, (peer, topic));
            }
        }
    }

    /// The library has told of everything it lets pass: what is left was not let.
    pub(super) fn reject_arrivals(&mut self) {
        for (message, (peer, topic)) in std::mem::take(&mut self.arrivals) {
            // Signatures were checked before: only one rule is left.
            self.reject(peer, topic, message, "own message from another");
        }
    }

    /// The peer sent a message that nobody may send. The library will say no more about it.
    pub(super) fn on_invalid(
        &mut self,
        peer: PeerId,
        message: &library::RawMessage,
        error: library::ValidationError,
    ) {
        self.counted.messages_invalid += 1;
        let score = self.misconduct.note(peer);
        // It is connected, so the library knows it.
        let _known = self.inner.set_application_score(&peer, score);
        let Ok(topic) = Topic::new(message.topic.as_str()) else { return };
        if self.tracing {
            self.reject(peer, topic, message_id(&message.data), reason(error));
        } else {
            // Without its id, which takes as long as the message is.
            self.counted.rejected(&topic);
        }
    }

    fn reject(&mut self, peer: PeerId, topic: Topic, message: MessageId, reason: &'static str) {
        self.counted.rejected(&topic);
        self.trace(Trace::Reject { message, topic, received_from: peer, reason });
    }

    pub(super) fn on_message(
        &mut self,
        from: PeerId,
        id: &library::MessageId,
        message: library::Message,
    ) -> Option<()> {
        let library::Message { source, data, topic, .. } = message;
        let mut hash = [0; 32];
        // Our own function made it, of a message that passed the filter of topics.
        hex::decode_to_slice(&id.0, &mut hash).ok()?;
        let (id, topic) = (MessageId(hash), Topic::new(topic.as_str()).ok()?);
        self.arrivals.remove(&id);
        if data.len() as u64 > self.payload_bytes_max {
            self.reject(from, topic, id, "too long");
        } else {
            self.deliver(topic, id, data.into(), Some(from), source.unwrap_or(from), 0);
        }
        Some(())
    }
}

/// Returns why a message is none, in the words of go-libp2p-pubsub where it has some.
fn reason(error: library::ValidationError) -> &'static str {
    use library::ValidationError as Why;
    match error {
        // The library does not tell a signature that is wrong from one that is not there.
        Why::InvalidSignature => "invalid signature",
        Why::EmptySequenceNumber | Why::InvalidSequenceNumber => "invalid sequence number",
        Why::InvalidPeerId => "invalid publisher",
        Why::MessageSizeTooLargeForTopic => "too long",
        Why::SignaturePresent
        | Why::SequenceNumberPresent
        | Why::MessageSourcePresent
        | Why::TransformFailed => "validation failed",
    }
}
