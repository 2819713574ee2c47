//! The lines that a client prints of a trace event.

use api::trace::{TraceEvent, trace_event::Type};
use prost::Message as _;

/// Bytes of an event that cannot be read which are shown.
const HEAD_BYTES_MAX: usize = 64;

/// Returns the lines of an encoded trace event of the coded protocol.
pub fn optimum(encoded: &[u8]) -> Vec<String> {
    match TraceEvent::decode(encoded) {
        Ok(event) => lines("OptimumP2P", &event, encoded.len()),
        Err(error) => vec![format!("[TRACE] OptimumP2P decode error: {error}")],
    }
}

/// Returns the lines of an encoded trace event of GossipSub.
pub fn gossipsub(encoded: &[u8]) -> Vec<String> {
    match api::gossipsub_trace_event(encoded) {
        Ok(event) => lines("GossipSub", &event, encoded.len()),
        Err(error) => {
            let bytes = encoded.len();
            let head = hex::encode(&encoded[..bytes.min(HEAD_BYTES_MAX)]);
            vec![format!("[TRACE] GossipSub decode error: {error} raw={bytes}B head={head}")]
        }
    }
}

fn lines(protocol: &str, event: &TraceEvent, encoded_bytes: usize) -> Vec<String> {
    let name = event.r#type().as_str_name();
    let time = time(event.timestamp.unwrap_or(0));
    let first = format!("[TRACE] {protocol} type={name} ts={time} size={encoded_bytes}B");
    let json = api::trace_event_json(event);
    let last = format!("[TRACE] {protocol} JSON ({}B): {json}", json.len());
    [Some(first), shard(event), Some(last)].into_iter().flatten().collect()
}

/// Returns the six fields that a file of trace events has: type, peer, who a message or shard came
/// from, message, topic, Unix nanoseconds. Ids are in base58; what an event does not have is empty.
pub fn fields(event: &TraceEvent) -> [String; 6] {
    let base58 = |bytes: Option<&bytes::Bytes>| {
        bytes.map(|bytes| bs58::encode(bytes).into_string()).unwrap_or_default()
    };
    let (deliver, publish) = (event.deliver_message.as_ref(), event.publish_message.as_ref());
    let new_shard = event.new_shard.as_ref();
    let received_from = deliver.map(|it| &it.received_from);
    let received_from = received_from.or(new_shard.map(|it| &it.received_from));
    let message_id = deliver.map(|it| &it.message_id).or(publish.map(|it| &it.message_id));
    let message_id = message_id.or(new_shard.map(|it| &it.message_id));
    let topic = deliver.map(|it| &it.topic).or(publish.map(|it| &it.topic));
    [
        event.r#type().as_str_name().to_owned(),
        base58(event.peer_id.as_ref()),
        base58(received_from.and_then(Option::as_ref)),
        base58(message_id.and_then(Option::as_ref)),
        topic.and_then(Clone::clone).unwrap_or_default(),
        event.timestamp.unwrap_or(0).to_string(),
    ]
}

/// Returns the second line that events about a shard have.
fn shard(event: &TraceEvent) -> Option<String> {
    let (shard, with_coefficients) = match event.r#type() {
        Type::NewShard => (event.new_shard.as_ref()?, true),
        Type::DuplicateShard => (event.duplicate_shard.as_ref()?, false),
        Type::UnhelpfulShard => (event.unhelpful_shard.as_ref()?, false),
        Type::UnnecessaryShard => (event.unnecessary_shard.as_ref()?, false),
        Type::PublishMessage
        | Type::RejectMessage
        | Type::DuplicateMessage
        | Type::DeliverMessage
        | Type::AddPeer
        | Type::RemovePeer
        | Type::RecvRpc
        | Type::SendRpc
        | Type::DropRpc
        | Type::Join
        | Type::Leave
        | Type::Graft
        | Type::Prune => return None,
    };
    let id = hex::encode(shard.message_id.as_deref().unwrap_or_default());
    let name = event.r#type().as_str_name();
    if !with_coefficients {
        return Some(format!("  {name} id={id}"));
    }
    let coefficients = hex::encode(shard.coefficients.as_deref().unwrap_or_default());
    Some(format!("  {name} id={id} coeff={coefficients}"))
}

/// Returns a time in RFC 3339 with nanoseconds, in the local zone.
fn time(unix_ns: i64) -> String {
    let timestamp = jiff::Timestamp::from_nanosecond(unix_ns.into());
    let zoned = timestamp.map(|timestamp| timestamp.to_zoned(jiff::tz::TimeZone::system()));
    let text = zoned.map(|zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string());
    // Go writes the zone of no offset as Z.
    text.map_or_else(|_| unix_ns.to_string(), |text| text.replace("+00:00", "Z"))
}

#[cfg(test)]
mod tests {
    use api::trace::trace_event::{DeliverMessage, Join, ShardContainer};

    use super::*;

    #[test]
    fn an_event_is_two_lines_its_json_in_the_second() {
        let event = TraceEvent {
            r#type: Some(Type::Join.into()),
            timestamp: Some(1_764_000_000_123_456_789),
            join: Some(Join { topic: Some("t".to_owned()) }),
            ..TraceEvent::default()
        };
        let encoded = event.encode_to_vec();
        let lines = optimum(&encoded);
        let [first, second] = &lines[..] else { panic!("two lines: {lines:?}") };
        assert!(first.starts_with("[TRACE] OptimumP2P type=JOIN ts=2025-11-2"), "{first}");
        assert!(first.contains(".123456789"), "{first}");
        assert!(first.ends_with(&format!(" size={}B", encoded.len())), "{first}");
        let json = r#"{"type":9,"timestamp":1764000000123456789,"join":{"topic":"t"}}"#;
        assert_eq!(*second, format!("[TRACE] OptimumP2P JSON ({}B): {json}", json.len()));
    }

    #[test]
    fn a_shard_event_has_a_line_of_its_own_and_only_a_new_shard_tells_its_coefficients() {
        let container = Some(ShardContainer {
            message_id: Some("ab".into()),
            coefficients: Some(vec![1, 255].into()),
            ..ShardContainer::default()
        });
        let mut event = TraceEvent { r#type: Some(Type::NewShard.into()), ..TraceEvent::default() };
        event.new_shard.clone_from(&container);
        assert_eq!(optimum(&event.encode_to_vec())[1], "  NEW_SHARD id=6162 coeff=01ff");

        let mut event =
            TraceEvent { r#type: Some(Type::UnhelpfulShard.into()), ..TraceEvent::default() };
        event.unhelpful_shard = container;
        assert_eq!(optimum(&event.encode_to_vec())[1], "  UNHELPFUL_SHARD id=6162");
    }

    #[test]
    fn what_does_not_decode_is_said_in_one_line() {
        let lines = optimum(&[0xff]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("[TRACE] OptimumP2P decode error: "), "{lines:?}");
        let lines = gossipsub(&[0xff; 70]);
        assert!(lines[0].starts_with("[TRACE] GossipSub decode error: "), "{lines:?}");
        let end = format!(" raw=70B head={}", "ff".repeat(64));
        assert!(lines.len() == 1 && lines[0].ends_with(&end), "{lines:?}");
    }

    #[test]
    fn an_event_of_gossipsub_is_named_so() {
        let event = TraceEvent { r#type: Some(Type::Prune.into()), ..TraceEvent::default() };
        let lines = gossipsub(&event.encode_to_vec());
        assert!(lines[0].starts_with("[TRACE] GossipSub type=PRUNE ts="), "{lines:?}");
        assert_eq!(lines[1], r#"[TRACE] GossipSub JSON (11B): {"type":12}"#);
    }

    #[test]
    fn a_record_has_what_its_event_has_and_empty_fields_for_the_rest() {
        let deliver = TraceEvent {
            r#type: Some(Type::DeliverMessage.into()),
            peer_id: Some(vec![0, 1].into()),
            timestamp: Some(7),
            deliver_message: Some(DeliverMessage {
                message_id: Some("id".into()),
                topic: Some("t".to_owned()),
                received_from: Some(vec![2].into()),
            }),
            ..TraceEvent::default()
        };
        assert_eq!(fields(&deliver), ["DELIVER_MESSAGE", "12", "3", "92B", "t", "7"]);
        let shard = TraceEvent {
            r#type: Some(Type::NewShard.into()),
            new_shard: Some(ShardContainer {
                message_id: Some("id".into()),
                received_from: Some(vec![2].into()),
                ..ShardContainer::default()
            }),
            ..TraceEvent::default()
        };
        assert_eq!(fields(&shard), ["NEW_SHARD", "", "3", "92B", "", "0"]);
        let graft = TraceEvent { r#type: Some(Type::Graft.into()), ..TraceEvent::default() };
        assert_eq!(fields(&graft), ["GRAFT", "", "", "", "", "0"]);
    }
}
