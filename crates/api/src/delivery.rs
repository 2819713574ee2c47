//! The JSON of a delivered message.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Visitor};
use thiserror::Error;

/// Length of the JSON beside topic and payload, roughly.
const FIXED_BYTES: usize = 320;

/// A delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The peer it came from, base58.
    pub source_node_id: String,
    /// The node that hands it over, base58; empty when unknown.
    pub upstream_peer_id: String,
    /// Where it was published.
    pub topic: String,
    /// SHA-256 of the payload, 64 lower-case hexadecimal digits.
    pub message_id: String,
    /// The payload.
    pub message: Bytes,
}

/// Why bytes are no delivered message.
#[derive(Debug, Error)]
pub enum DeliveryError {
    /// Not the JSON object that is expected.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The payload is not standard padded base64.
    #[error("the message is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The message id is not 64 hexadecimal digits.
    #[error("the message id is none: {0}")]
    MessageId(#[from] hex::FromHexError),
}

/// As it is written; fields may be missing, and others are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written<'a> {
    source_node_id: String,
    upstream_peer_id: String,
    topic: String,
    message_id: String,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// What tells a delivered message from others, read without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryHead<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// SHA-256 of the payload.
    pub message_id: [u8; 32],
    /// How long the payload is in bytes; none if it is not there.
    pub payload_bytes: Option<usize>,
}

#[derive(Deserialize)]
struct WrittenHead<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    message: Option<PayloadBytes>,
}

/// The length of a payload, by its base64, which is not copied for it.
struct PayloadBytes(usize);

impl<'de> Deserialize<'de> for PayloadBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whether it is UTF-8 is not looked at: base64 is, and whoever passes it on as text checks.
        deserializer.deserialize_bytes(PayloadVisitor)
    }
}

struct PayloadVisitor;

impl Visitor<'_> for PayloadVisitor {
    type Value = PayloadBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_bytes<E>(self, base64: &[u8]) -> Result<PayloadBytes, E> {
        let padding = base64.iter().rev().take_while(|byte| **byte == b'=').count();
        Ok(PayloadBytes((base64.len() / 4 * 3).saturating_sub(padding)))
    }
}

impl<'a> DeliveryHead<'a> {
    /// Reads the head of what [`Delivery::to_json`] or [`Delivery::to_json_without_payload`] writes.
    ///
    /// # Errors
    ///
    /// Returns [`DeliveryError`] if `json` is no such object, or its message id is none.
    pub fn from_json(json: &'a [u8]) -> Result<Self, DeliveryError> {
        let WrittenHead { topic, message_id: hex, message } = serde_json::from_slice(json)?;
        let mut message_id = [0; 32];
        hex::decode_to_slice(&*hex, &mut message_id)?;
        let payload_bytes = message.map(|PayloadBytes(bytes)| bytes);
        Ok(Self { topic, message_id, payload_bytes })
    }
}

impl Delivery {
    /// Returns the compact JSON object, keys in the order of the fields, the payload in standard
    /// padded base64; `upstream_peer_id` is left out when empty.
    ///
    /// Written piece by piece into one buffer: payloads are long, and of the rest only the topic
    /// can need escaping.
    pub fn to_json(&self) -> Bytes {
        let mut json = self.start_of_json(self.message.len().div_ceil(3) * 4);
        json.push_str(r#"","message":""#);
        STANDARD.encode_string(&self.message, &mut json);
        json.push_str(r#""}"#);
        json.into()
    }

    /// Returns the same for readers that want no payloads: instead of the key `message` there is
    /// `message_bytes`, how long the payload is.
    pub fn to_json_without_payload(&self) -> Bytes {
        let mut json = self.start_of_json(0);
        json.push_str(r#"","message_bytes":"#);
        json.push_str(&self.message.len().to_string());
        json.push('}');
        json.into()
    }

    /// Everything before the payload, with room for it.
    fn start_of_json(&self, payload_bytes: usize) -> String {
        let topic = serde_json::Value::from(self.topic.as_str()).to_string();
        let mut json = String::with_capacity(FIXED_BYTES + topic.len() + payload_bytes);
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| json.push_str(part));
        put(&[r#"{"source_node_id":""#, &self.source_node_id]);
        if !self.upstream_peer_id.is_empty() {
            put(&[r#"","upstream_peer_id":""#, &self.upstream_peer_id]);
        }
        put(&[r#"","topic":"#, &topic, r#","message_id":""#, &self.message_id]);
        json
    }

    /// Reads what [`Delivery::to_json`] writes.
    ///
    /// # Errors
    ///
    /// Returns [`DeliveryError`] if `json` is no JSON object or its `message` no base64.
    pub fn from_json(json: &[u8]) -> Result<Self, DeliveryError> {
        Ok(Self::try_from(serde_json::from_slice::<Written<'_>>(json)?)?)
    }

    /// Returns what a frame of a proxy, or a message of a node, delivers. Servers before the JSON sent
    /// the payload bare: a frame without topic, id and payload, a payload that happens to be JSON
    /// among them, is the payload, and nothing else is known.
    pub fn of_frame(frame: Bytes) -> Self {
        let wrapped = serde_json::from_slice::<Written<'_>>(&frame).ok().filter(|written| {
            let names = [&written.topic, &written.message_id];
            written.message.is_some() && names.iter().all(|name| !name.is_empty())
        });
        let delivery = wrapped.and_then(|written| Self::try_from(written).ok());
        delivery.unwrap_or_else(|| Self {
            source_node_id: String::new(),
            upstream_peer_id: String::new(),
            topic: String::new(),
            message_id: String::new(),
            message: frame,
        })
    }
}

impl TryFrom<Written<'_>> for Delivery {
    type Error = base64::DecodeError;

    fn try_from(written: Written<'_>) -> Result<Self, base64::DecodeError> {
        let Written { source_node_id, upstream_peer_id, topic, message_id, message } = written;
        let message = STANDARD.decode(message.unwrap_or_default().as_bytes())?.into();
        Ok(Self { source_node_id, upstream_peer_id, topic, message_id, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Delivery {
        Delivery {
            source_node_id: "12D3KooWA".to_owned(),
            upstream_peer_id: "12D3KooWB".to_owned(),
            topic: "a \"topic\"".to_owned(),
            message_id: "00ff".to_owned(),
            message: Bytes::from_static(b"Hello, world!"),
        }
    }

    #[test]
    fn the_json_is_compact_and_its_keys_are_in_the_agreed_order() {
        let expected = concat!(
            r#"{"source_node_id":"12D3KooWA","upstream_peer_id":"12D3KooWB","#,
            r#""topic":"a \"topic\"","message_id":"00ff","message":"SGVsbG8sIHdvcmxkIQ=="}"#
        );
        assert_eq!(sample().to_json(), expected);
    }

    #[test]
    fn an_empty_upstream_peer_is_left_out() {
        let json = Delivery { upstream_peer_id: String::new(), ..sample() }.to_json();
        assert!(!String::from_utf8_lossy(&json).contains("upstream"));
    }

    #[test]
    fn without_its_payload_a_delivery_tells_how_long_it_is() {
        let expected = concat!(
            r#"{"source_node_id":"12D3KooWA","upstream_peer_id":"12D3KooWB","#,
            r#""topic":"a \"topic\"","message_id":"00ff","message_bytes":13}"#
        );
        assert_eq!(sample().to_json_without_payload(), expected);
    }

    #[test]
    fn the_head_tells_topic_id_and_length_with_the_payload_or_without() {
        let message_id = "00ff".repeat(16);
        for length in 0..5 {
            let message = Bytes::from(vec![7; length]);
            let delivery = Delivery { message, message_id: message_id.clone(), ..sample() };
            let (whole, bare) = (delivery.to_json(), delivery.to_json_without_payload());
            let head = DeliveryHead::from_json(&whole).expect("own JSON");
            assert_eq!((&*head.topic, head.payload_bytes), ("a \"topic\"", Some(length)));
            assert_eq!(hex::encode(head.message_id), message_id);
            let head = DeliveryHead::from_json(&bare).expect("own JSON");
            assert_eq!(head.payload_bytes, None);
        }
        let short = sample().to_json();
        assert!(matches!(DeliveryHead::from_json(&short), Err(DeliveryError::MessageId(_))));
        assert!(matches!(DeliveryHead::from_json(b"{}"), Err(DeliveryError::Json(_))));
    }

    #[test]
    fn what_is_written_is_read() {
        let read = Delivery::from_json(&sample().to_json()).expect("own JSON");
        assert_eq!(read, sample());
    }

    #[test]
    fn a_frame_that_wraps_no_payload_is_the_payload() {
        let empty = Delivery { message: Bytes::new(), ..sample() };
        for delivery in [sample(), empty] {
            assert_eq!(Delivery::of_frame(delivery.to_json()), delivery);
        }
        let head = sample().to_json_without_payload();
        for bare in [
            &b"plain"[..],
            b"",
            b"\xff",
            b"{}",
            br#"{"message":7}"#,
            br#"{"message":"aGk="}"#,
            br#"{"topic":"t","message":"aGk="}"#,
            br#"{"topic":"t","message_id":"00ff","message":"!"}"#,
            &head,
        ] {
            let delivery = Delivery::of_frame(Bytes::copy_from_slice(bare));
            assert_eq!((&delivery.topic[..], &delivery.message[..]), ("", bare));
        }
    }

    #[test]
    fn what_is_no_delivery_is_an_error() {
        assert!(matches!(Delivery::from_json(b"not json"), Err(DeliveryError::Json(_))));
        let bad = br#"{"message":"!"}"#;
        assert!(matches!(Delivery::from_json(bad), Err(DeliveryError::Base64(_))));
    }
}
