//! Trace events in the schema of go-libp2p-pubsub, package `pubsub.pb`: that of the coded protocol but
//! for what events of frames hold.

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::trace::{
    TraceEvent,
    trace_event::{
        AddPeer, ControlMeta, DeliverMessage, DropRpc, DuplicateMessage, Graft, Join, Leave,
        MessageMeta, Prune, PublishMessage, RecvRpc, RejectMessage, RemovePeer, RpcMeta, SendRpc,
        SubMeta, Type,
    },
};

/// Reads an event of GossipSub as one of the coded protocol.
///
/// # Errors
///
/// Returns an error if `encoded` is no such event.
pub fn gossipsub_trace_event(encoded: &[u8]) -> Result<TraceEvent, DecodeError> {
    Event::decode(encoded).map(TraceEvent::from)
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(enumeration = "Type", optional, tag = "1")]
    kind: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    peer_id: Option<Bytes>,
    #[prost(int64, optional, tag = "3")]
    timestamp: Option<i64>,
    #[prost(message, optional, tag = "4")]
    publish_message: Option<PublishMessage>,
    #[prost(message, optional, tag = "5")]
    reject_message: Option<RejectMessage>,
    #[prost(message, optional, tag = "6")]
    duplicate_message: Option<DuplicateMessage>,
    #[prost(message, optional, tag = "7")]
    deliver_message: Option<DeliverMessage>,
    #[prost(message, optional, tag = "8")]
    add_peer: Option<AddPeer>,
    #[prost(message, optional, tag = "9")]
    remove_peer: Option<RemovePeer>,
    #[prost(message, optional, tag = "10")]
    recv_rpc: Option<Rpc>,
    #[prost(message, optional, tag = "11")]
    send_rpc: Option<Rpc>,
    #[prost(message, optional, tag = "12")]
    drop_rpc: Option<Rpc>,
    #[prost(message, optional, tag = "13")]
    join: Option<Join>,
    #[prost(message, optional, tag = "14")]
    leave: Option<Leave>,
    #[prost(message, optional, tag = "15")]
    graft: Option<Graft>,
    #[prost(message, optional, tag = "16")]
    prune: Option<Prune>,
}

/// A frame that came, went or was dropped.
#[derive(Clone, PartialEq, Message)]
struct Rpc {
    #[prost(bytes = "bytes", optional, tag = "1")]
    peer: Option<Bytes>,
    #[prost(message, optional, tag = "2")]
    meta: Option<Meta>,
}

/// Without shards, and so numbered differently.
#[derive(Clone, PartialEq, Message)]
struct Meta {
    #[prost(message, repeated, tag = "1")]
    messages: Vec<MessageMeta>,
    #[prost(message, repeated, tag = "2")]
    subscription: Vec<SubMeta>,
    #[prost(message, optional, tag = "3")]
    control: Option<ControlMeta>,
}

impl From<Meta> for RpcMeta {
    fn from(Meta { messages, subscription, control }: Meta) -> Self {
        Self { messages, shards: Vec::new(), subscription, control }
    }
}

impl From<Event> for TraceEvent {
    fn from(event: Event) -> Self {
        let meta = |rpc: Option<Meta>| rpc.map(RpcMeta::from);
        Self {
            r#type: event.kind,
            peer_id: event.peer_id,
            timestamp: event.timestamp,
            publish_message: event.publish_message,
            reject_message: event.reject_message,
            duplicate_message: event.duplicate_message,
            deliver_message: event.deliver_message,
            add_peer: event.add_peer,
            remove_peer: event.remove_peer,
            recv_rpc: event.recv_rpc.map(|rpc| RecvRpc {
                received_from: rpc.peer,
                meta: meta(rpc.meta),
                length: None,
            }),
            send_rpc: event.send_rpc.map(|rpc| SendRpc {
                send_to: rpc.peer,
                meta: meta(rpc.meta),
                length: None,
            }),
            drop_rpc: event.drop_rpc.map(|rpc| DropRpc { send_to: rpc.peer, meta: meta(rpc.meta) }),
            join: event.join,
            leave: event.leave,
            graft: event.graft,
            prune: event.prune,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_schemas_share_is_read_alike() {
        let event = TraceEvent {
            r#type: Some(Type::Leave.into()),
            peer_id: Some(Bytes::from_static(&[0, 36])),
            timestamp: Some(7),
            leave: Some(Leave { topic: Some("t".to_owned()) }),
            ..TraceEvent::default()
        };
        let read = gossipsub_trace_event(&event.encode_to_vec());
        assert_eq!(read.expect("shared"), event);
    }

    #[test]
    fn frames_are_read_with_the_numbers_of_gossipsub() {
        // Put together by hand: type 7; sendRPC (field 11) to "p" with meta of one subscription
        // (field 2: subscribe, topic "t") and control (field 3) of one graft (field 3: topic "t").
        let subscription = [0x12, 5, 8, 1, 0x12, 1, b't'];
        let control = [0x1a, 5, 0x1a, 3, 0x0a, 1, b't'];
        let meta = [&[0x12, 14][..], &subscription, &control].concat();
        let encoded = [&[8, 7, 0x5a, 19, 0x0a, 1, b'p'][..], &meta].concat();
        let event = gossipsub_trace_event(&encoded).expect("an event");
        let json = crate::trace_event_json(&event);
        let expected = concat!(
            r#"{"type":7,"sendRPC":{"sendTo":"cA==","meta":{"#,
            r#""subscription":[{"subscribe":true,"topic":"t"}],"#,
            r#""control":{"graft":[{"topic":"t"}]}}}}"#
        );
        assert_eq!(json, expected);
        assert!(TraceEvent::decode(&encoded[..]).is_err(), "the other schema does not fit");
    }
}
