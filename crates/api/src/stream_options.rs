//! What a sidecar stream asks for beyond the default, in the metadata of its call.

use std::collections::BTreeSet;

use thiserror::Error;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// `on` (default) or `off`: trace events. The answer to a publish comes all the same.
pub const TRACES: &str = "x-optimum-traces";
/// A comma list of topics whose messages are wanted; may be repeated. Default: all topics.
pub const TOPICS: &str = "x-optimum-topics";
/// One more topic that is wanted, in UTF-8: for names with a comma or beyond ASCII. May be repeated.
pub const TOPIC_BINARY: &str = "x-optimum-topic-bin";
/// `on` (default) or `off`: payloads. Without them the JSON of a message has no key `message`.
pub const PAYLOADS: &str = "x-optimum-payloads";
/// A name that holds the topics subscribed on this stream; they are left a while after the last
/// stream of that name closed.
pub const HOLDER: &str = "x-optimum-holder";
/// `on` or `off` (default): responses of type `Unknown` that tell what this stream lost and which of
/// its messages were refused ([`crate::Notice`]).
pub const LOSSES: &str = "x-optimum-losses";

/// Topics that one stream may name.
pub const TOPICS_MAX: usize = 1024;

/// Longest name of a holder in bytes.
pub const HOLDER_BYTES_MAX: usize = 128;

/// What a stream asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whether trace events are wanted.
    pub traces: bool,
    /// The topics whose messages are wanted; none is all.
    pub topics: Option<BTreeSet<String>>,
    /// Whether messages come with their payloads.
    pub payloads: bool,
    /// Who holds the topics that this stream subscribes.
    pub holder: Option<String>,
    /// Whether the stream wants to be told what it lost.
    pub losses: bool,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { traces: true, topics: None, payloads: true, holder: None, losses: false }
    }
}

/// Metadata that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("metadata {key}: {problem}")]
pub struct StreamOptionsError {
    /// The key.
    pub key: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

impl StreamOptions {
    /// Reads the metadata of a call.
    ///
    /// # Errors
    ///
    /// Returns [`StreamOptionsError`] for the first value that means nothing.
    pub fn from_metadata(metadata: &MetadataMap) -> Result<Self, StreamOptionsError> {
        let default = Self::default();
        Ok(Self {
            traces: switch(metadata, TRACES, default.traces)?,
            topics: topics(metadata)?,
            payloads: switch(metadata, PAYLOADS, default.payloads)?,
            holder: holder(metadata)?,
            losses: switch(metadata, LOSSES, default.losses)?,
        })
    }

    /// Writes what differs from the default into the metadata of a call.
    ///
    /// # Errors
    ///
    /// Returns [`StreamOptionsError`] for what [`StreamOptions::from_metadata`] would refuse.
    pub fn write_to(&self, metadata: &mut MetadataMap) -> Result<(), StreamOptionsError> {
        let default = Self::default();
        for (key, value, default) in [
            (TRACES, self.traces, default.traces),
            (PAYLOADS, self.payloads, default.payloads),
            (LOSSES, self.losses, default.losses),
        ] {
            if value != default {
                let value = if value { "on" } else { "off" };
                metadata.insert(key, MetadataValue::from_static(value));
            }
        }
        for topic in self.topics.iter().flatten() {
            metadata.append_bin(TOPIC_BINARY, MetadataValue::from_bytes(topic.as_bytes()));
        }
        if let Some(holder) = &self.holder {
            let value = checked_holder(holder)?.parse();
            metadata.insert(HOLDER, value.map_err(|_| error(HOLDER, "not visible ASCII"))?);
        }
        Ok(())
    }
}

fn error(key: &'static str, problem: impl Into<String>) -> StreamOptionsError {
    StreamOptionsError { key, problem: problem.into() }
}

fn text<'a>(
    key: &'static str,
    value: &'a MetadataValue<Ascii>,
) -> Result<&'a str, StreamOptionsError> {
    value.to_str().map(str::trim).map_err(|_| error(key, "not visible ASCII"))
}

fn switch(
    metadata: &MetadataMap,
    key: &'static str,
    default: bool,
) -> Result<bool, StreamOptionsError> {
    let Some(value) = metadata.get(key) else { return Ok(default) };
    match text(key, value)? {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(error(key, format!("{other:?} is neither on nor off"))),
    }
}

fn topics(metadata: &MetadataMap) -> Result<Option<BTreeSet<String>>, StreamOptionsError> {
    let mut topics = BTreeSet::new();
    for value in metadata.get_all(TOPICS) {
        let names = text(TOPICS, value)?.split(',').map(str::trim);
        topics.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    for value in metadata.get_all_bin(TOPIC_BINARY) {
        let bytes = value.to_bytes().map_err(|_| error(TOPIC_BINARY, "not base64"))?;
        let name = String::from_utf8(bytes.to_vec());
        topics.insert(name.map_err(|_| error(TOPIC_BINARY, "not UTF-8"))?);
    }
    if topics.len() > TOPICS_MAX {
        return Err(error(TOPICS, format!("more than {TOPICS_MAX} topics")));
    }
    if topics.is_empty() && metadata.contains_key(TOPICS) {
        return Err(error(TOPICS, "no topic is named"));
    }
    Ok((!topics.is_empty()).then_some(topics))
}

fn holder(metadata: &MetadataMap) -> Result<Option<String>, StreamOptionsError> {
    let Some(value) = metadata.get(HOLDER) else { return Ok(None) };
    checked_holder(text(HOLDER, value)?).map(|name| Some(name.to_owned()))
}

fn checked_holder(name: &str) -> Result<&str, StreamOptionsError> {
    match name.len() {
        0 => Err(error(HOLDER, "the name is empty")),
        1..=HOLDER_BYTES_MAX => Ok(name),
        long => Err(error(HOLDER, format!("{long} bytes; at most {HOLDER_BYTES_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &'static str, value: &'static str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(key, MetadataValue::from_static(value));
        metadata
    }

    #[test]
    fn without_metadata_a_stream_is_given_everything() {
        let options = StreamOptions::from_metadata(&MetadataMap::new());
        assert_eq!(options, Ok(StreamOptions::default()));
        let mut metadata = MetadataMap::new();
        StreamOptions::default().write_to(&mut metadata).expect("sound");
        assert!(metadata.is_empty());
    }

    #[test]
    fn what_is_written_is_read() {
        let options = StreamOptions {
            traces: false,
            topics: Some(["a", "b, \u{e4}"].map(str::to_owned).into()),
            payloads: false,
            holder: Some("proxy-1".to_owned()),
            losses: true,
        };
        let mut metadata = MetadataMap::new();
        options.write_to(&mut metadata).expect("sound");
        assert_eq!(StreamOptions::from_metadata(&metadata), Ok(options));
    }

    #[test]
    fn topics_are_a_comma_list_that_may_be_repeated() {
        let mut metadata = with(TOPICS, "a, b,");
        metadata.append(TOPICS, MetadataValue::from_static("c"));
        let options = StreamOptions::from_metadata(&metadata).expect("sound");
        assert_eq!(options.topics, Some(["a", "b", "c"].map(str::to_owned).into()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        for (key, value, says) in [
            (TRACES, "yes", "neither on nor off"),
            (PAYLOADS, "", "neither on nor off"),
            (LOSSES, "ON", "neither on nor off"),
            (TOPICS, " ,", "no topic"),
            (HOLDER, " ", "empty"),
        ] {
            let error = StreamOptions::from_metadata(&with(key, value)).expect_err(says);
            assert!(error.key == key && error.problem.contains(says), "{error}");
        }
        let options = StreamOptions { holder: Some("x".repeat(129)), ..StreamOptions::default() };
        options.write_to(&mut MetadataMap::new()).expect_err("too long");
    }
}
