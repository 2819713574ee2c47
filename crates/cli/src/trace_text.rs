//! The lines that a client prints of a trace event.

use api::trace::{TraceEvent, trace_event::Type};
use prost::Message as _;

/// Returns the lines of an encoded trace event of the coded protocol.
pub fn optimum(encoded: &[u8]) -> Vec<String> {
    let event = match TraceEvent::decode(encoded) {
        Ok(event) => event,
        Err(error) => return vec![format!("[TRACE] OptimumP2P decode error: {error}")],
    };
    let name = event.r#type().as_str_name();
    let time = time(event.timestamp.unwrap_or(0));
    let size = encoded.len();
    let mut lines = vec![format!("[TRACE] OptimumP2P type={name} ts={time} size={size}B")];
    lines.extend(shard(&event));
    let json = api::trace_event_json(&event);
    lines.push(format!("[TRACE] OptimumP2P JSON ({}B): {json}", json.len()));
    lines
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
    use api::trace::trace_event::{Join, ShardContainer};

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
    }
}
