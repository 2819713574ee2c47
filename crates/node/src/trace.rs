//! What readers are sent: messages as JSON, trace events as protobuf.

use api::trace::{TraceEvent, trace_event as pb};
use bytes::Bytes;
use gossip::{Delivery, MessageId, RpcMeta, ShardTrace, Topic, Trace};
use libp2p::PeerId;
use prost::Message as _;

/// Returns a delivered message as readers are sent it.
pub(crate) fn delivery(own: PeerId, delivery: Delivery<PeerId>) -> api::Delivery {
    let source = delivery.received_from.unwrap_or(own);
    api::Delivery {
        source_node_id: source.to_base58(),
        upstream_peer_id: own.to_base58(),
        topic: text(&delivery.topic),
        message_id: delivery.message.to_string(),
        message: delivery.payload,
    }
}

/// Returns the number of the event's type in the trace schema.
pub(crate) fn number(event: &TraceEvent) -> i32 {
    event.r#type.unwrap_or_default()
}

/// Returns an encoded trace event.
pub(crate) fn encode(event: &TraceEvent) -> Bytes {
    event.encode_to_vec().into()
}

/// Returns the trace event of what node `own` saw at `unix_ns`; `protocol` is that of an added peer.
///
/// In mode gossipsub readers expect the schema of go-libp2p-pubsub. It differs only in what events
/// of frames hold and in events of shards, and neither occurs there, so both modes are served.
pub(crate) fn event(own: PeerId, unix_ns: i64, trace: Trace<PeerId>, protocol: &str) -> TraceEvent {
    let mut event = TraceEvent {
        // Written although the first type is 0: the field has presence.
        r#type: Some(kind(&trace).into()),
        peer_id: Some(peer(own)),
        timestamp: Some(unix_ns),
        ..TraceEvent::default()
    };
    match trace {
        Trace::Publish { message, topic } => {
            let (message_id, topic) = (Some(id(message)), Some(text(&topic)));
            event.publish_message = Some(pb::PublishMessage { message_id, topic });
        }
        Trace::Deliver { message, topic, received_from } => {
            let (message_id, topic) = (Some(id(message)), Some(text(&topic)));
            let received_from = Some(peer(received_from.unwrap_or(own)));
            event.deliver_message = Some(pb::DeliverMessage { message_id, topic, received_from });
        }
        Trace::Duplicate { message, topic, received_from: from } => {
            let (message_id, topic) = (Some(id(message)), Some(text(&topic)));
            let received_from = Some(peer(from));
            event.duplicate_message =
                Some(pb::DuplicateMessage { message_id, received_from, topic });
        }
        Trace::Reject { message, topic, received_from: from, reason } => {
            let (message_id, topic) = (Some(id(message)), Some(text(&topic)));
            let (received_from, reason) = (Some(peer(from)), Some(reason.to_owned()));
            event.reject_message =
                Some(pb::RejectMessage { message_id, received_from, reason, topic });
        }
        Trace::AddPeer { peer: added } => {
            let proto = Some(protocol.to_owned());
            event.add_peer = Some(pb::AddPeer { peer_id: Some(peer(added)), proto });
        }
        Trace::RemovePeer { peer: removed } => {
            event.remove_peer = Some(pb::RemovePeer { peer_id: Some(peer(removed)) });
        }
        Trace::ReceiveRpc { from, meta: frame, bytes } => {
            let (received_from, meta, length) = (Some(peer(from)), Some(meta(frame)), Some(bytes));
            event.recv_rpc = Some(pb::RecvRpc { received_from, meta, length });
        }
        Trace::SendRpc { to, meta: frame, bytes } => {
            let (send_to, meta, length) = (Some(peer(to)), Some(meta(frame)), Some(bytes));
            event.send_rpc = Some(pb::SendRpc { send_to, meta, length });
        }
        Trace::DropRpc { to, meta: frame } => {
            let (send_to, meta) = (Some(peer(to)), Some(meta(frame)));
            event.drop_rpc = Some(pb::DropRpc { send_to, meta });
        }
        Trace::Join { topic } => event.join = Some(pb::Join { topic: Some(text(&topic)) }),
        Trace::Leave { topic } => event.leave = Some(pb::Leave { topic: Some(text(&topic)) }),
        Trace::Graft { peer: grafted, topic } => {
            let (peer_id, topic) = (Some(peer(grafted)), Some(text(&topic)));
            event.graft = Some(pb::Graft { peer_id, topic });
        }
        Trace::Prune { peer: pruned, topic } => {
            let (peer_id, topic) = (Some(peer(pruned)), Some(text(&topic)));
            event.prune = Some(pb::Prune { peer_id, topic });
        }
        Trace::NewShard(shard) => event.new_shard = Some(container(shard)),
        Trace::DuplicateShard(shard) => event.duplicate_shard = Some(container(shard)),
        Trace::UnhelpfulShard(shard) => event.unhelpful_shard = Some(container(shard)),
        Trace::UnnecessaryShard(shard) => event.unnecessary_shard = Some(container(shard)),
    }
    event
}

fn kind(trace: &Trace<PeerId>) -> pb::Type {
    match trace {
        Trace::Publish { .. } => pb::Type::PublishMessage,
        Trace::Deliver { .. } => pb::Type::DeliverMessage,
        Trace::Duplicate { .. } => pb::Type::DuplicateMessage,
        Trace::Reject { .. } => pb::Type::RejectMessage,
        Trace::AddPeer { .. } => pb::Type::AddPeer,
        Trace::RemovePeer { .. } => pb::Type::RemovePeer,
        Trace::ReceiveRpc { .. } => pb::Type::RecvRpc,
        Trace::SendRpc { .. } => pb::Type::SendRpc,
        Trace::DropRpc { .. } => pb::Type::DropRpc,
        Trace::Join { .. } => pb::Type::Join,
        Trace::Leave { .. } => pb::Type::Leave,
        Trace::Graft { .. } => pb::Type::Graft,
        Trace::Prune { .. } => pb::Type::Prune,
        Trace::NewShard(_) => pb::Type::NewShard,
        Trace::DuplicateShard(_) => pb::Type::DuplicateShard,
        Trace::UnhelpfulShard(_) => pb::Type::UnhelpfulShard,
        Trace::UnnecessaryShard(_) => pb::Type::UnnecessaryShard,
    }
}

/// Trace readers expect the 64 hex digits, not the 32 bytes.
fn id(message: MessageId) -> Bytes {
    message.to_string().into()
}

fn peer(peer: PeerId) -> Bytes {
    peer.to_bytes().into()
}

fn text(topic: &Topic) -> String {
    topic.as_str().to_owned()
}

fn container(shard: ShardTrace<PeerId>) -> pb::ShardContainer {
    let ShardTrace { message, received_from, coefficients } = shard;
    pb::ShardContainer {
        message_id: Some(id(message)),
        received_from: Some(peer(received_from)),
        coefficients: Some(coefficients),
    }
}

fn meta(frame: RpcMeta) -> pb::RpcMeta {
    let RpcMeta { shards, subscriptions, ihave, iwant, graft, prune, idontwant } = frame;
    let ids = |messages: Vec<MessageId>| messages.into_iter().map(id).collect::<Vec<_>>();
    let none = ihave.is_empty()
        && iwant.is_empty()
        && graft.is_empty()
        && prune.is_empty()
        && idontwant.is_empty();
    let at_most_one = |ids: &Vec<MessageId>| usize::from(!ids.is_empty());
    let (iwants, idontwants) = (at_most_one(&iwant), at_most_one(&idontwant));
    let control = pb::ControlMeta {
        ihave: ihave
            .into_iter()
            .map(|(topic, messages)| pb::ControlIHaveMeta {
                topic: Some(text(&topic)),
                message_i_ds: ids(messages),
            })
            .collect(),
        iwant: vec![pb::ControlIWantMeta { message_i_ds: ids(iwant) }; iwants],
        graft: graft.iter().map(|t| pb::ControlGraftMeta { topic: Some(text(t)) }).collect(),
        prune: prune
            .iter()
            .map(|t| pb::ControlPruneMeta { topic: Some(text(t)), peers: Vec::new() })
            .collect(),
        idontwant: vec![pb::ControlIDontWantMeta { message_i_ds: ids(idontwant) }; idontwants],
    };
    pb::RpcMeta {
        messages: Vec::new(),
        shards: shards
            .into_iter()
            .map(|message| pb::ShardMeta { message_id: Some(id(message)) })
            .collect(),
        subscription: subscriptions
            .iter()
            .map(|(on, topic)| pb::SubMeta { subscribe: Some(*on), topic: Some(text(topic)) })
            .collect(),
        control: (!none).then_some(control),
    }
}

#[cfg(test)]
mod tests {
    use gossip::{PublisherId, message_id};

    use super::*;

    fn topic() -> Topic {
        Topic::new("demo \"quoted\"").expect("a topic")
    }

    #[test]
    fn a_delivery_becomes_compact_json_with_its_keys_in_order() {
        let (own, from) = (PeerId::random(), PeerId::random());
        let payload = Bytes::from_static(b"hello");
        let mut delivery = Delivery {
            topic: topic(),
            message: message_id(&payload),
            payload,
            received_from: Some(from),
            publisher: PublisherId::new(own.to_bytes().into()).expect("short"),
            published_unix_ns: 0,
        };
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let wanted = |source: PeerId| {
            format!(
                r#"{{"source_node_id":"{source}","upstream_peer_id":"{own}","topic":"demo \"quoted\"","message_id":"{hash}","message":"aGVsbG8="}}"#
            )
        };
        assert_eq!(super::delivery(own, delivery.clone()).to_json(), wanted(from));
        delivery.received_from = None;
        assert_eq!(super::delivery(own, delivery).to_json(), wanted(own));
    }

    #[test]
    fn the_first_type_is_written_and_ids_are_hex_digits() {
        let own = PeerId::random();
        let message = message_id(b"hello");
        let trace = Trace::Publish { message, topic: topic() };
        let encoded = encode(&event(own, 7, trace, ""));
        assert_eq!(encoded[..2], [0x08, 0x00], "type 0 is present");
        let event = TraceEvent::decode(encoded).expect("decodes");
        let published = event.publish_message.expect("set");
        assert_eq!(published.message_id.expect("set"), message.to_string());
        assert_eq!(published.topic.expect("set"), topic().as_str());
        assert_eq!(event.peer_id.expect("set"), own.to_bytes());
        assert_eq!(event.timestamp, Some(7));
    }

    #[test]
    fn events_about_a_topic_of_ten_characters_have_the_documented_lengths() {
        // The documented system's samples have these lengths: Ed25519 peer ids of 38 bytes, a
        // timestamp of today in 9, and the topic.
        let id = || libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
        let topic = Topic::new("0123456789").expect("a topic");
        let length = |trace| encode(&event(id(), 1_760_000_000_000_000_000, trace, "")).len();
        assert_eq!(length(Trace::Join { topic: topic.clone() }), 66);
        let meta = RpcMeta { subscriptions: vec![(true, topic.clone())], ..RpcMeta::default() };
        assert_eq!(length(Trace::SendRpc { to: id(), meta, bytes: 16 }), 114);
        assert_eq!(length(Trace::Graft { peer: id(), topic }), 106);
    }

    /// One of each type, in the order of the schema's numbers.
    fn one_of_each() -> [Trace<PeerId>; 17] {
        let (peer, message) = (PeerId::random(), message_id(b"m"));
        let shard = || ShardTrace {
            message,
            received_from: peer,
            coefficients: Bytes::from_static(&[1, 2]),
        };
        let meta = RpcMeta::default;
        [
            Trace::Publish { message, topic: topic() },
            Trace::Reject { message, topic: topic(), received_from: peer, reason: "why" },
            Trace::Duplicate { message, topic: topic(), received_from: peer },
            Trace::Deliver { message, topic: topic(), received_from: Some(peer) },
            Trace::AddPeer { peer },
            Trace::RemovePeer { peer },
            Trace::ReceiveRpc { from: peer, meta: meta(), bytes: 1 },
            Trace::SendRpc { to: peer, meta: meta(), bytes: 1 },
            Trace::DropRpc { to: peer, meta: meta() },
            Trace::Join { topic: topic() },
            Trace::Leave { topic: topic() },
            Trace::Graft { peer, topic: topic() },
            Trace::Prune { peer, topic: topic() },
            Trace::DuplicateShard(shard()),
            Trace::UnhelpfulShard(shard()),
            Trace::UnnecessaryShard(shard()),
            Trace::NewShard(shard()),
        ]
    }

    #[test]
    fn every_type_of_event_is_encoded_with_its_number_and_its_one_part() {
        for (number, trace) in (0..).zip(one_of_each()) {
            let made = event(PeerId::random(), 7, trace, "");
            assert_eq!(super::number(&made), number);
            let read = TraceEvent::decode(encode(&made)).expect("decodes");
            assert_eq!(read, made);
            // The part stands at the field whose number is 4 more than the type's.
            let bare = TraceEvent { r#type: made.r#type, ..TraceEvent::default() };
            let head =
                TraceEvent { peer_id: made.peer_id.clone(), timestamp: made.timestamp, ..bare };
            let rest = &encode(&made)[encode(&head).len()..];
            let key = u64::from(number.unsigned_abs() + 4) << 3 | 2;
            assert_eq!(prost::encoding::decode_varint(&mut &*rest).expect("a key"), key);
        }
    }

    #[test]
    fn what_a_frame_held_is_told_and_empty_parts_are_left_out() {
        let own = PeerId::random();
        let frame = RpcMeta {
            shards: vec![message_id(b"a")],
            iwant: vec![message_id(b"b"), message_id(b"c")],
            ..RpcMeta::default()
        };
        let event = event(own, 0, Trace::SendRpc { to: own, meta: frame, bytes: 99 }, "");
        assert_eq!(number(&event), 7);
        let sent = event.send_rpc.expect("set");
        assert_eq!(sent.length, Some(99));
        let meta = sent.meta.expect("set");
        assert_eq!(meta.shards.len(), 1);
        let control = meta.control.expect("set");
        assert_eq!(control.iwant.len(), 1);
        assert_eq!(control.iwant[0].message_i_ds.len(), 2);
        assert!(control.idontwant.is_empty());
        let empty = super::meta(RpcMeta::default());
        assert_eq!(empty.control, None);
    }
}
