//! A trace event as the JSON that Go's encoder makes of it, which is what readers of the traces
//! are used to: keys in field order, the enum as a number, bytes as base64, absent fields left out.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::trace::{TraceEvent, trace_event as pb};

/// Builds an object in the order of the calls; the values are JSON already.
#[derive(Default)]
struct Object(Vec<String>);

impl Object {
    fn put(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| format!("\"{key}\":{}", value.to_string())));
        self
    }

    fn bytes(self, key: &'static str, bytes: Option<&bytes::Bytes>) -> Self {
        self.put(key, bytes.map(|bytes| Value::from(STANDARD.encode(bytes))))
    }

    fn text(self, key: &'static str, text: Option<&String>) -> Self {
        self.put(key, text.map(|text| Value::from(text.as_str())))
    }

    fn list<T>(self, key: &'static str, items: &[T], each: impl Fn(&T) -> String) -> Self {
        let list = items.iter().map(each).collect::<Vec<_>>().join(",");
        self.put(key, (!items.is_empty()).then(|| format!("[{list}]")))
    }

    fn ids(self, key: &'static str, ids: &[bytes::Bytes]) -> Self {
        self.list(key, ids, |id| Value::from(STANDARD.encode(id)).to_string())
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.join(","))
    }
}

/// Returns the compact JSON of a trace event.
pub fn trace_event_json(event: &TraceEvent) -> String {
    let object = Object::default()
        .put("type", event.r#type)
        .bytes("peerID", event.peer_id.as_ref())
        .put("timestamp", event.timestamp)
        .put("publishMessage", event.publish_message.as_ref().map(publish))
        .put("rejectMessage", event.reject_message.as_ref().map(reject))
        .put("duplicateMessage", event.duplicate_message.as_ref().map(duplicate))
        .put("deliverMessage", event.deliver_message.as_ref().map(deliver))
        .put("addPeer", event.add_peer.as_ref().map(add_peer))
        .put("removePeer", event.remove_peer.as_ref().map(remove_peer))
        .put("recvRPC", event.recv_rpc.as_ref().map(receive_rpc))
        .put("sendRPC", event.send_rpc.as_ref().map(send_rpc))
        .put("dropRPC", event.drop_rpc.as_ref().map(drop_rpc))
        .put("join", event.join.as_ref().map(|it| topic_only(it.topic.as_ref())))
        .put("leave", event.leave.as_ref().map(|it| topic_only(it.topic.as_ref())))
        .put("graft", event.graft.as_ref().map(|it| mesh(it.peer_id.as_ref(), it.topic.as_ref())))
        .put("prune", event.prune.as_ref().map(|it| mesh(it.peer_id.as_ref(), it.topic.as_ref())))
        .put("duplicateShard", event.duplicate_shard.as_ref().map(shard))
        .put("unhelpfulShard", event.unhelpful_shard.as_ref().map(shard))
        .put("unnecessaryShard", event.unnecessary_shard.as_ref().map(shard))
        .put("newShard", event.new_shard.as_ref().map(shard));
    object.to_string()
}

fn publish(it: &pb::PublishMessage) -> Object {
    let object = Object::default().bytes("messageID", it.message_id.as_ref());
    object.text("topic", it.topic.as_ref())
}

fn reject(it: &pb::RejectMessage) -> Object {
    Object::default()
        .bytes("messageID", it.message_id.as_ref())
        .bytes("receivedFrom", it.received_from.as_ref())
        .text("reason", it.reason.as_ref())
        .text("topic", it.topic.as_ref())
}

fn duplicate(it: &pb::DuplicateMessage) -> Object {
    Object::default()
        .bytes("messageID", it.message_id.as_ref())
        .bytes("receivedFrom", it.received_from.as_ref())
        .text("topic", it.topic.as_ref())
}

fn deliver(it: &pb::DeliverMessage) -> Object {
    Object::default()
        .bytes("messageID", it.message_id.as_ref())
        .text("topic", it.topic.as_ref())
        .bytes("receivedFrom", it.received_from.as_ref())
}

fn add_peer(it: &pb::AddPeer) -> Object {
    Object::default().bytes("peerID", it.peer_id.as_ref()).text("proto", it.proto.as_ref())
}

fn remove_peer(it: &pb::RemovePeer) -> Object {
    Object::default().bytes("peerID", it.peer_id.as_ref())
}

fn receive_rpc(it: &pb::RecvRpc) -> Object {
    Object::default()
        .bytes("receivedFrom", it.received_from.as_ref())
        .put("meta", it.meta.as_ref().map(meta))
        .put("length", it.length)
}

fn send_rpc(it: &pb::SendRpc) -> Object {
    Object::default()
        .bytes("sendTo", it.send_to.as_ref())
        .put("meta", it.meta.as_ref().map(meta))
        .put("length", it.length)
}

fn drop_rpc(it: &pb::DropRpc) -> Object {
    Object::default().bytes("sendTo", it.send_to.as_ref()).put("meta", it.meta.as_ref().map(meta))
}

fn topic_only(topic: Option<&String>) -> Object {
    Object::default().text("topic", topic)
}

fn mesh(peer: Option<&bytes::Bytes>, topic: Option<&String>) -> Object {
    Object::default().bytes("peerID", peer).text("topic", topic)
}

fn shard(it: &pb::ShardContainer) -> Object {
    Object::default()
        .bytes("messageID", it.message_id.as_ref())
        .bytes("receivedFrom", it.received_from.as_ref())
        .bytes("coefficients", it.coefficients.as_ref())
}

fn meta(it: &pb::RpcMeta) -> Object {
    Object::default()
        .list("messages", &it.messages, |message| {
            let object = Object::default().bytes("messageID", message.message_id.as_ref());
            object.text("topic", message.topic.as_ref()).to_string()
        })
        .list("shards", &it.shards, |shard| {
            Object::default().bytes("messageID", shard.message_id.as_ref()).to_string()
        })
        .list("subscription", &it.subscription, |subscription| {
            let object = Object::default().put("subscribe", subscription.subscribe);
            object.text("topic", subscription.topic.as_ref()).to_string()
        })
        .put("control", it.control.as_ref().map(control))
}

fn control(it: &pb::ControlMeta) -> Object {
    Object::default()
        .list("ihave", &it.ihave, |ihave| {
            let object = Object::default().text("topic", ihave.topic.as_ref());
            object.ids("messageIDs", &ihave.message_i_ds).to_string()
        })
        .list("iwant", &it.iwant, |iwant| {
            Object::default().ids("messageIDs", &iwant.message_i_ds).to_string()
        })
        .list("graft", &it.graft, |graft| topic_only(graft.topic.as_ref()).to_string())
        .list("prune", &it.prune, |prune| {
            topic_only(prune.topic.as_ref()).ids("peers", &prune.peers).to_string()
        })
        .list("idontwant", &it.idontwant, |idontwant| {
            Object::default().ids("messageIDs", &idontwant.message_i_ds).to_string()
        })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message as _;

    use super::*;

    /// 38 bytes, as a binary Ed25519 peer id has.
    const PEER: Option<Bytes> = Some(Bytes::from_static(&[7; 38]));

    const TOPIC: &str = "ten bytes!";

    fn event(kind: pb::Type) -> TraceEvent {
        TraceEvent {
            r#type: Some(kind.into()),
            peer_id: PEER,
            timestamp: Some(1_764_000_000_000_000_000),
            ..TraceEvent::default()
        }
    }

    #[test]
    fn join_graft_and_send_rpc_have_the_sizes_of_the_known_samples() {
        let mut join = event(pb::Type::Join);
        join.join = Some(pb::Join { topic: Some(TOPIC.to_owned()) });
        assert_eq!(join.encoded_len(), 66);

        let mut graft = event(pb::Type::Graft);
        graft.graft = Some(pb::Graft { peer_id: PEER, topic: Some(TOPIC.to_owned()) });
        assert_eq!(graft.encoded_len(), 106);

        let mut send = event(pb::Type::SendRpc);
        let subscription =
            vec![pb::SubMeta { subscribe: Some(true), topic: Some(TOPIC.to_owned()) }];
        let meta = Some(pb::RpcMeta { subscription, ..pb::RpcMeta::default() });
        send.send_rpc = Some(pb::SendRpc { send_to: PEER, meta, length: Some(16) });
        assert_eq!(send.encoded_len(), 114);
    }

    #[test]
    fn the_first_type_is_written_although_it_is_zero() {
        assert_eq!(event(pb::Type::PublishMessage).encode_to_vec()[..2], [8, 0]);
    }

    #[test]
    fn the_json_has_go_s_keys_in_field_order_and_leaves_out_what_is_absent() {
        let mut join = event(pb::Type::Join);
        join.peer_id = Some(Bytes::from_static(&[0, 36]));
        join.join = Some(pb::Join { topic: Some(TOPIC.to_owned()) });
        let expected = concat!(
            r#"{"type":9,"peerID":"ACQ=","timestamp":1764000000000000000,"#,
            r#""join":{"topic":"ten bytes!"}}"#
        );
        assert_eq!(trace_event_json(&join), expected);
    }

    #[test]
    fn the_json_of_an_rpc_nests_its_meta() {
        let mut send = event(pb::Type::SendRpc);
        send.peer_id = None;
        send.timestamp = None;
        let subscription =
            vec![pb::SubMeta { subscribe: Some(true), topic: Some(TOPIC.to_owned()) }];
        let idontwant =
            vec![pb::ControlIDontWantMeta { message_i_ds: vec![Bytes::from_static(b"id")] }];
        let control = Some(pb::ControlMeta { idontwant, ..pb::ControlMeta::default() });
        let meta = Some(pb::RpcMeta { subscription, control, ..pb::RpcMeta::default() });
        send.send_rpc = Some(pb::SendRpc { send_to: None, meta, length: Some(16) });
        let expected = concat!(
            r#"{"type":7,"sendRPC":{"meta":{"subscription":[{"subscribe":true,"#,
            r#""topic":"ten bytes!"}],"control":{"idontwant":[{"messageIDs":["aWQ="]}]}},"#,
            r#""length":16}}"#
        );
        assert_eq!(trace_event_json(&send), expected);
    }
}
