//! What clients and peers write in text: requests on a stream, the metadata of its call, queries,
//! handshakes. It is refused with a reason, or means what its own writing of it means again.

use std::fmt::Write as _;

use api::{
    Delivery, DeliveryHead, Notice, StreamOptions,
    command::Command,
    handshake::{Answer, Hello, check},
    rest::{Content, Publish, Subscribe, TOPIC_BYTES_MAX},
    sidecar::Request,
    stream_options::{HOLDER, LOSSES, PAYLOADS, TOPIC_BINARY, TOPICS, TRACES},
    topics_query,
};
use prost::Message as _;
use tonic::metadata::{KeyAndValueRef, MetadataMap, MetadataValue};

/// The longest reason; what was wrong is quoted in part only.
const REASON_BYTES_MAX: usize = 4096;

/// Reads a request as it comes from the wire.
pub fn request(bytes: &[u8]) {
    let Ok(request) = Request::decode(bytes) else { return };
    match Command::try_from(request.clone()) {
        Ok(Command::Publish(topic, payload)) => {
            assert_eq!((request.command, topic, payload), (1, request.topic, request.data));
        }
        Ok(Command::Subscribe(topics)) if request.command == 4 => {
            assert!(!topics.is_empty());
            assert!(topics.iter().all(|topic| !topic.is_empty() && topic.trim() == topic));
            // A JSON array says the same.
            let data = serde_json::to_vec(&topics).expect("texts").into();
            let again = Request { data, topic: String::new(), ..request };
            assert_eq!(Command::try_from(again), Ok(Command::Subscribe(topics)));
        }
        Ok(Command::Subscribe(topics)) => assert_eq!(topics, [request.topic]),
        Ok(Command::Unsubscribe(topic)) => assert_eq!(topic, request.topic),
        Err(error) => assert!(error.to_string().len() <= REASON_BYTES_MAX),
    }
}

/// Reads the metadata of a call: a line is a letter for the name and the value.
pub fn metadata(bytes: &[u8]) {
    let mut map = MetadataMap::new();
    for line in bytes.split(|&byte| byte == b'\n').take(64) {
        let Some((letter, value)) = line.split_first() else { continue };
        let name = match letter {
            b't' => TRACES,
            b'l' => LOSSES,
            b'p' => PAYLOADS,
            b'h' => HOLDER,
            b'n' => TOPICS,
            b'b' => {
                map.append_bin(TOPIC_BINARY, MetadataValue::from_bytes(value));
                continue;
            }
            _ => "x-other",
        };
        if let Ok(value) = MetadataValue::try_from(value) {
            map.append(name, value);
        }
    }
    let Ok(options) = StreamOptions::from_metadata(&map) else { return };
    let mut written = MetadataMap::new();
    options.write_to(&mut written).expect("what was read can be written");
    assert!(written.iter().all(|entry| match entry {
        KeyAndValueRef::Ascii(key, _) => key.as_str().starts_with("x-optimum-"),
        KeyAndValueRef::Binary(key, _) => key.as_str().starts_with("x-optimum-"),
    }));
    assert_eq!(StreamOptions::from_metadata(&written).expect("its own writing"), options);
}

/// Reads the bodies of a proxy's requests, and what a node sends it.
pub fn rest(bytes: &[u8]) {
    for is_named in [false, true] {
        match Subscribe::parse(bytes, is_named) {
            Ok(wanted) => {
                assert!(!wanted.topic.is_empty() && wanted.topic.len() <= TOPIC_BYTES_MAX);
                assert!(is_named || !wanted.client_id.is_empty());
                assert!(wanted.threshold.is_none_or(|share| share > 0.0 && share <= 1.0));
            }
            Err(error) => assert!(error.to_string().len() <= REASON_BYTES_MAX),
        }
        match Publish::parse(bytes, is_named) {
            Ok(asked) => {
                assert!(!asked.topic.is_empty() && asked.topic.len() <= TOPIC_BYTES_MAX);
                assert!(is_named || !asked.client_id.is_empty());
                match asked.content {
                    Content::Message(message) => {
                        assert!(!message.is_empty() && message.len() <= bytes.len());
                    }
                    Content::Random(length) => assert!(length > 0),
                }
            }
            Err(error) => assert!(error.to_string().len() <= REASON_BYTES_MAX),
        }
    }
    if let (Ok(whole), Ok(head)) = (Delivery::from_json(bytes), DeliveryHead::from_json(bytes)) {
        assert_eq!(head.topic, whole.topic);
        if let Some(length) = head.payload_bytes {
            assert_eq!(length, whole.message.len());
        }
    }
    if let Ok(notice) = Notice::from_json(bytes) {
        assert_eq!(Notice::from_json(&notice.to_json()).expect("own JSON"), notice);
    }
}

/// Reads the query of the topics page.
pub fn query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(wanted) = topics_query::parse(text) else { return };
    let mut written = format!("nodeinfo={}&topic=", wanted.nodeinfo);
    for byte in wanted.topic.iter().flat_map(|topic| topic.bytes()) {
        write!(written, "%{byte:02x}").expect("a text takes all");
    }
    assert_eq!(topics_query::parse(&written), Ok(wanted));
}

/// Reads a handshake and its answer, two in one input when a zero byte is between.
pub fn handshake(bytes: &[u8]) {
    let (one, other) = match bytes.iter().position(|&byte| byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    if let Ok(answer) = serde_json::from_slice::<Answer>(one) {
        let written = serde_json::to_vec(&answer).expect("flat");
        assert_eq!(serde_json::from_slice::<Answer>(&written).expect("its own writing"), answer);
    }
    let (Ok(one), Ok(other)) = (serde_json::from_slice(one), serde_json::from_slice(other)) else {
        return;
    };
    let (one, other): (Hello, Hello) = (one, other);
    assert_eq!(check(&one, &other).is_ok(), check(&other, &one).is_ok(), "both come to the same");
    if let Err(refusal) = check(&one, &one) {
        assert!(one.versions.is_empty(), "a node takes part with its like: {refusal}");
    }
}
