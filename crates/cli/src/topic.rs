//! The topic that a client is given.

use api::rest::TOPIC_BYTES_MAX;

use crate::flags::Parsed;

/// Returns the flag `-topic`.
///
/// # Errors
///
/// Returns a text if it is missing, or is no name that a node takes: nodes do not answer to that.
pub fn required_topic(parsed: &Parsed) -> Result<&str, String> {
    let topic = parsed.text("topic");
    match topic.len() {
        0 => Err("-topic is required".to_owned()),
        1..=TOPIC_BYTES_MAX => Ok(topic),
        bytes => Err(format!("-topic has {bytes} bytes; at most {TOPIC_BYTES_MAX} are allowed")),
    }
}
