//! What a client of a proxy writes in the bodies of its requests, and the id of what it publishes.

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The longest name of a topic in bytes, as a node takes it.
pub const TOPIC_BYTES_MAX: usize = 1024;

/// Body of `POST /api/v1/subscribe`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// As it stands in the body; empty where the client is known from its token.
    pub client_id: String,
    /// Which topic.
    pub topic: String,
    /// Share of the active nodes, above 0 and at most 1; none is the proxy's default.
    pub threshold: Option<f64>,
}

/// Body of `POST /api/v1/publish`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// As it stands in the body; empty where the client is known from its token.
    pub client_id: String,
    /// Which topic.
    pub topic: String,
    /// What is published.
    pub content: Content,
    /// Unix time in milliseconds; tells equal messages apart.
    pub timestamp: Option<i64>,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Message(Bytes),
    /// So many random bytes, which the proxy makes; above 0.
    Random(u64),
}

/// Why a body is refused. The texts contain what clients of either generation look for (the
/// contract, section 2.2.2).
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BodyError {
    /// No JSON object with fields of these types.
    #[error("invalid JSON: {0}")]
    Json(String),
    /// No topic, or an empty one.
    #[error("missing topic: topic is missing")]
    NoTopic,
    /// A topic that no node takes.
    #[error("topic too long: {bytes} bytes, at most {TOPIC_BYTES_MAX} are allowed")]
    TopicTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No name of a client, or an empty one.
    #[error("missing client ID: client_id is missing")]
    NoClient,
    /// Nothing to publish.
    #[error("either message or message_length must be provided: message is missing")]
    NoMessage,
    /// No share of the nodes.
    #[error("invalid threshold: {0} is not between 0 and 1")]
    Threshold(f64),
}

/// Characters of a reason that a client is told: it may quote what was written, which may be long.
const REASON_CHARS_MAX: usize = 200;

impl BodyError {
    /// Makes the error of a body that is no JSON of the kind.
    pub fn json(error: &serde_json::Error) -> Self {
        let reason = error.to_string();
        let mut told: String = reason.chars().take(REASON_CHARS_MAX).collect();
        if told.len() < reason.len() {
            told.push('…');
        }
        Self::Json(told)
    }
}

#[derive(Deserialize)]
struct WrittenSubscribe {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    threshold: Option<f64>,
}

#[derive(Deserialize)]
struct WrittenPublish {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    message_length: Option<u64>,
    #[serde(default)]
    timestamp: Option<i64>,
}

impl Subscribe {
    /// Reads a body. Fields that are not known are ignored. With `is_named` the client is known
    /// from its token, and the body need not name it.
    ///
    /// # Errors
    ///
    /// Returns the first [`BodyError`] in the order JSON, topic, client, threshold.
    pub fn parse(body: &[u8], is_named: bool) -> Result<Self, BodyError> {
        let WrittenSubscribe { client_id, topic, threshold } = object(body)?;
        let topic = checked_topic(topic)?;
        let client_id = checked_client(client_id, is_named)?;
        match threshold {
            Some(threshold) if !(0.0..=1.0).contains(&threshold) => {
                Err(BodyError::Threshold(threshold))
            }
            // Clients leave it out, or write 0, for the default.
            threshold => {
                Ok(Self { client_id, topic, threshold: threshold.filter(|share| *share > 0.0) })
            }
        }
    }
}

impl Publish {
    /// Reads a body, as [`Subscribe::parse`]. A message wins over a length.
    ///
    /// # Errors
    ///
    /// Returns the first [`BodyError`] in the order JSON, topic, client, message.
    pub fn parse(body: &[u8], is_named: bool) -> Result<Self, BodyError> {
        let WrittenPublish { client_id, topic, message, message_length, timestamp } = object(body)?;
        let topic = checked_topic(topic)?;
        let client_id = checked_client(client_id, is_named)?;
        let content = match (message.filter(|message| !message.is_empty()), message_length) {
            (Some(message), _) => Content::Message(message.into()),
            (None, Some(bytes @ 1..)) => Content::Random(bytes),
            (None, Some(0) | None) => return Err(BodyError::NoMessage),
        };
        Ok(Self { client_id, topic, content, timestamp })
    }
}

/// Reads an object; fields without names, as in a list, mean nothing here.
///
/// # Errors
///
/// Returns [`BodyError::Json`] for anything else.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(BodyError::Json("a list, not an object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| BodyError::json(&error))
}

fn checked_topic(topic: Option<String>) -> Result<String, BodyError> {
    let topic = topic.filter(|topic| !topic.is_empty()).ok_or(BodyError::NoTopic)?;
    match topic.len() {
        ..=TOPIC_BYTES_MAX => Ok(topic),
        bytes => Err(BodyError::TopicTooLong { bytes }),
    }
}

fn checked_client(client_id: Option<String>, is_named: bool) -> Result<String, BodyError> {
    let client_id = client_id.unwrap_or_default();
    if client_id.is_empty() && !is_named { Err(BodyError::NoClient) } else { Ok(client_id) }
}

/// Returns the id that a proxy gives a message: SHA-256 of topic, message and, if there is one, the
/// timestamp as 8 bytes, the most significant first. Equal ids are one message to a proxy; nodes
/// know a message by SHA-256 of its payload alone (the contract, section 2.2.4).
pub fn proxy_message_id(topic: &str, message: &[u8], timestamp: Option<i64>) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(topic).chain_update(message);
    if let Some(timestamp) = timestamp {
        hash.update(timestamp.to_be_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(body: &str) -> Result<Subscribe, BodyError> {
        Subscribe::parse(body.as_bytes(), false)
    }

    fn publish(body: &str) -> Result<Publish, BodyError> {
        Publish::parse(body.as_bytes(), false)
    }

    #[test]
    fn a_subscription_has_a_client_a_topic_and_perhaps_a_threshold() {
        let expected =
            |threshold| Subscribe { client_id: "c".to_owned(), topic: "t".to_owned(), threshold };
        for (written, threshold) in [
            (r#""threshold":0.7"#, Some(0.7)),
            (r#""threshold":1"#, Some(1.0)),
            (r#""threshold":0.05"#, Some(0.05)),
            (r#""threshold":0"#, None),
            (r#""threshold":null"#, None),
            (r#""other":[1]"#, None),
        ] {
            let body = format!(r#"{{"client_id":"c","topic":"t",{written}}}"#);
            assert_eq!(subscribe(&body), Ok(expected(threshold)), "{body}");
        }
    }

    #[test]
    fn a_publish_has_a_message_or_the_length_of_one() {
        let content = |body| publish(body).map(|publish| publish.content);
        let message = Content::Message((&b"hi"[..]).into());
        assert_eq!(content(r#"{"client_id":"c","topic":"t","message":"hi"}"#), Ok(message.clone()));
        let both = r#"{"client_id":"c","topic":"t","message":"hi","message_length":9}"#;
        assert_eq!(content(both), Ok(message));
        let length = r#"{"client_id":"c","topic":"t","message":"","message_length":102400}"#;
        assert_eq!(content(length), Ok(Content::Random(102_400)));
        let stamped = r#"{"client_id":"c","topic":"t","message":"x","timestamp":1755000000000}"#;
        assert_eq!(publish(stamped).expect("sound").timestamp, Some(1_755_000_000_000));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_both_generations_and_in_order() {
        for (body, says) in [
            ("", &["invalid JSON"][..]),
            ("{\"topic\":", &["invalid JSON"]),
            ("\u{fffd}", &["invalid JSON"]),
            ("7", &["invalid JSON"]),
            (r#"{"topic":7}"#, &["invalid JSON"]),
            (r#"{"topic":"t","client_id":"c","message_length":-1}"#, &["invalid JSON"]),
            (r#"{"topic":"t","client_id":"c","message_length":1.5}"#, &["invalid JSON"]),
            ("{}", &["missing topic", "topic is missing"]),
            (r#"{"topic":"","client_id":""}"#, &["missing topic", "topic is missing"]),
            (r#"{"topic":"t"}"#, &["missing client ID", "client_id is missing"]),
            (
                r#"{"topic":"t","client_id":"c","message_length":0}"#,
                &["either message or message_length must be provided", "message is missing"],
            ),
        ] {
            let text = publish(body).expect_err(body).to_string();
            assert!(says.iter().all(|part| text.contains(part)), "{body}: {text}");
        }
        for list in ["[]", r#" ["c","t",0.5]"#] {
            assert!(matches!(subscribe(list), Err(BodyError::Json(_))), "fields without names");
        }
        let quoting = format!(r#"{{"topic":"t","threshold":"{}"}}"#, "x".repeat(10_000));
        let text = subscribe(&quoting).expect_err("no number").to_string();
        assert!(text.starts_with("invalid JSON") && text.len() < 300, "{text}");
        let long = format!(r#"{{"topic":"{}","client_id":"c"}}"#, "x".repeat(1025));
        assert_eq!(subscribe(&long), Err(BodyError::TopicTooLong { bytes: 1025 }));
        for threshold in ["-0.1", "1.01", "1e300"] {
            let body = format!(r#"{{"topic":"t","client_id":"c","threshold":{threshold}}}"#);
            let text = subscribe(&body).expect_err("no share").to_string();
            assert!(text.starts_with("invalid threshold"), "{text}");
        }
        let bytes = [b'"', 0xff, b'"'];
        assert!(matches!(Subscribe::parse(&bytes, false), Err(BodyError::Json(_))));
    }

    #[test]
    fn a_client_that_its_token_names_need_not_be_in_the_body() {
        let body = br#"{"topic":"t","message":"x"}"#;
        assert_eq!(Publish::parse(body, true).expect("named").client_id, "");
        assert_eq!(Publish::parse(body, false), Err(BodyError::NoClient));
    }

    #[test]
    fn the_id_of_a_message_is_that_of_the_guides_sample_and_a_timestamp_changes_it() {
        let id = hex::encode(proxy_message_id("test-topic", b"Hello, world!", None));
        assert!(id.starts_with("630bae9b") && id.ends_with("15e7df"), "{id}");
        let stamped = proxy_message_id("test-topic", b"Hello, world!", Some(1));
        let spelled = Sha256::digest(b"test-topicHello, world!\0\0\0\0\0\0\0\x01");
        assert_eq!(stamped, <[u8; 32]>::from(spelled));
    }
}
