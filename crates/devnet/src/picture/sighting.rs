//! What a node's sidecar stream tells, as far as it is shown.

use std::collections::BTreeMap;

use api::{
    Notice,
    sidecar::{Response, ResponseType},
    trace::{TraceEvent, trace_event as pb},
};
use prost::Message as _;
use serde::Deserialize;

/// The id of a message.
pub(crate) type Id = [u8; 32];

/// Numbers of the cluster's nodes by their binary peer ids.
pub(crate) type Names = BTreeMap<Vec<u8>, u16>;

/// Something that was seen at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// When, in nanoseconds since the Unix epoch; 0 where it does not matter.
    pub(crate) unix_ns: i64,
    pub(crate) what: What,
}

/// What was seen. `from` is the number of the node that it came from, 0 for one that is not of the
/// cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The node published a message.
    Published { message: Id, topic: String },
    /// A shard brought something. `fragments` is how many make the message.
    Innovative { message: Id, from: u16, fragments: u16 },
    /// A shard brought nothing: held before, dependent, or after the decode.
    Redundant { message: Id, from: u16, fragments: u16 },
    /// A whole shard of a message came and had so many bytes. Told before what it brought.
    ShardBytes { message: Id, bytes: u64 },
    /// The message was decoded and handed out.
    Delivered { message: Id, topic: String, from: u16 },
    /// The whole message came once more.
    Duplicate { message: Id, topic: String, from: u16 },
    /// How long a message is.
    Length { message: Id, topic: String, bytes: u64 },
    /// So much was not told, because whoever looks is slow.
    Lost { events: u64 },
}

/// A delivered message without its payload.
#[derive(Deserialize)]
struct Bare {
    topic: String,
    message_id: String,
    message_bytes: u64,
}

/// Reads what a stream without payloads and with losses sent; none if it is nothing that is shown.
pub(crate) fn read(response: &Response, names: &Names) -> Option<Sighting> {
    let at_once = |what| Sighting { unix_ns: 0, what };
    match response.command() {
        ResponseType::Message => {
            let Bare { topic, message_id, message_bytes: bytes } =
                serde_json::from_slice(&response.data).ok()?;
            let message = id(message_id.as_bytes())?;
            Some(at_once(What::Length { message, topic, bytes }))
        }
        // Both schemas number what they share alike.
        ResponseType::MessageTraceMumP2p | ResponseType::MessageTraceGossipSub => {
            let event = TraceEvent::decode(&response.data[..]).ok()?;
            let unix_ns = event.timestamp.unwrap_or_default();
            traced(event, names).map(|what| Sighting { unix_ns, what })
        }
        ResponseType::Unknown => match Notice::from_json(&response.data).ok()? {
            Notice::Lost { answers, messages, traces } => {
                Some(at_once(What::Lost { events: answers + messages + traces }))
            }
            Notice::Refused { .. } => None,
        },
    }
}

fn traced(event: TraceEvent, names: &Names) -> Option<What> {
    let from = |peer: Option<bytes::Bytes>| {
        peer.and_then(|peer| names.get(&peer[..]).copied()).unwrap_or_default()
    };
    let shard = |container: pb::ShardContainer| {
        let fragments = container.coefficients.unwrap_or_default().len() as u16;
        Some((id(&container.message_id?)?, from(container.received_from), fragments))
    };
    if let Some(published) = event.publish_message {
        let message = id(&published.message_id?)?;
        return Some(What::Published { message, topic: published.topic? });
    }
    if let Some(container) = event.new_shard {
        let (message, from, fragments) = shard(container)?;
        return Some(What::Innovative { message, from, fragments });
    }
    let redundant = event.duplicate_shard.or(event.unhelpful_shard).or(event.unnecessary_shard);
    if let Some(container) = redundant {
        let (message, from, fragments) = shard(container)?;
        return Some(What::Redundant { message, from, fragments });
    }
    if let Some(delivered) = event.deliver_message {
        let (message, topic) = (id(&delivered.message_id?)?, delivered.topic?);
        return Some(What::Delivered { message, topic, from: from(delivered.received_from) });
    }
    if let Some(duplicate) = event.duplicate_message {
        let (message, topic) = (id(&duplicate.message_id?)?, duplicate.topic?);
        return Some(What::Duplicate { message, topic, from: from(duplicate.received_from) });
    }
    if let Some(received) = event.recv_rpc {
        let shards = received.meta?.shards;
        let message = id(shards.first()?.message_id.as_ref()?)?;
        return Some(What::ShardBytes { message, bytes: received.length? });
    }
    None
}

/// Reads 64 hexadecimal digits.
fn id(hex: &[u8]) -> Option<Id> {
    let mut id = [0; 32];
    hex::decode_to_slice(hex, &mut id).ok()?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const HEX: &[u8] = b"0707070707070707070707070707070707070707070707070707070707070707";

    fn names() -> Names {
        Names::from([(b"peer one".to_vec(), 1)])
    }

    fn response(command: ResponseType, data: impl Into<Bytes>) -> Response {
        Response { command: command.into(), data: data.into(), ..Response::default() }
    }

    fn shard(from: &'static [u8]) -> pb::ShardContainer {
        pb::ShardContainer {
            message_id: Some(HEX.into()),
            received_from: Some(from.into()),
            coefficients: Some(Bytes::from_static(&[1, 2, 3, 4])),
        }
    }

    fn read_event(event: &TraceEvent) -> Option<Sighting> {
        read(&response(ResponseType::MessageTraceMumP2p, event.encode_to_vec()), &names())
    }

    #[test]
    fn a_shard_is_read_with_who_sent_it_and_how_many_make_the_message() {
        let timestamp = Some(77);
        let event =
            TraceEvent { timestamp, new_shard: Some(shard(b"peer one")), ..Default::default() };
        let what = What::Innovative { message: [7; 32], from: 1, fragments: 4 };
        assert_eq!(read_event(&event), Some(Sighting { unix_ns: 77, what }));
        for event in [
            TraceEvent { duplicate_shard: Some(shard(b"a stranger")), ..Default::default() },
            TraceEvent { unhelpful_shard: Some(shard(b"a stranger")), ..Default::default() },
            TraceEvent { unnecessary_shard: Some(shard(b"a stranger")), ..Default::default() },
        ] {
            let what = What::Redundant { message: [7; 32], from: 0, fragments: 4 };
            assert_eq!(read_event(&event), Some(Sighting { unix_ns: 0, what }));
        }
    }

    #[test]
    fn the_length_of_a_shard_is_that_of_the_frame_that_carried_it() {
        let mut received = pb::RecvRpc { length: Some(1004), ..Default::default() };
        let control = TraceEvent { recv_rpc: Some(received.clone()), ..Default::default() };
        assert_eq!(read_event(&control), None, "a frame of control");
        let shards = vec![pb::ShardMeta { message_id: Some(HEX.into()) }];
        received.meta = Some(pb::RpcMeta { shards, ..Default::default() });
        let event = TraceEvent { recv_rpc: Some(received), ..Default::default() };
        let what = What::ShardBytes { message: [7; 32], bytes: 1004 };
        assert_eq!(read_event(&event), Some(Sighting { unix_ns: 0, what }));
    }

    #[test]
    fn a_message_without_its_payload_tells_its_length_and_a_notice_what_is_lost() {
        let json = api::Delivery {
            source_node_id: "a".to_owned(),
            upstream_peer_id: "b".to_owned(),
            topic: "news".to_owned(),
            message_id: String::from_utf8_lossy(HEX).into_owned(),
            message: Bytes::from_static(b"12345"),
        }
        .to_json_without_payload();
        let read = |command, data| read(&response(command, data), &names()).map(|seen| seen.what);
        let (message, topic) = ([7; 32], "news".to_owned());
        let length = What::Length { message, topic, bytes: 5 };
        assert_eq!(read(ResponseType::Message, json), Some(length));
        let lost = Notice::Lost { answers: 0, messages: 1, traces: 20 }.to_json();
        assert_eq!(read(ResponseType::Unknown, lost), Some(What::Lost { events: 21 }));
    }

    #[test]
    fn what_is_no_event_is_passed_over() {
        let garbage = Bytes::from_static(b"\xff\xff\xff");
        for command in [
            ResponseType::Unknown,
            ResponseType::Message,
            ResponseType::MessageTraceMumP2p,
            ResponseType::MessageTraceGossipSub,
        ] {
            assert_eq!(read(&response(command, garbage.clone()), &names()), None);
        }
        let short = Some(pb::PublishMessage { message_id: Some("00".into()), topic: None });
        assert_eq!(read_event(&TraceEvent { publish_message: short, ..Default::default() }), None);
    }
}
