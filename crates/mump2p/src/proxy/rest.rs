//! Publishing and subscribing by REST.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream;
use indicatif::ProgressBar;
use reqwest::{Body, Method, header};
use serde::Serialize;

use crate::{
    Error,
    http::{Answer, LONG_TIMEOUT, Service},
    progress,
};

/// Handed over at a time, so that a bar has something to show.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Serialize)]
struct Publish<'a> {
    client_id: &'a str,
    message: &'a str,
    /// Without it the proxy would take an equal message for a repetition.
    timestamp: u64,
    topic: &'a str,
}

#[derive(Serialize)]
struct PublishRandom<'a> {
    client_id: &'a str,
    message_length: u64,
    timestamp: u64,
    topic: &'a str,
}

#[derive(Serialize)]
struct Subscribe<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    topic: &'a str,
}

/// Publishes a text.
///
/// # Errors
///
/// Returns an error if the proxy does not answer.
pub(crate) async fn publish(
    service: &Service,
    client_id: &str,
    topic: &str,
    message: &str,
) -> Result<Answer, Error> {
    let publish = Publish { client_id, message, timestamp: unix_ms(), topic };
    let body = serde_json::to_vec(&publish).map_err(|error| Error::Failed(error.to_string()))?;
    let bar = progress::bytes(body.len(), "publishing");
    let path = "/api/v1/publish";
    let request = service
        .request(Method::POST, path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, body.len())
        .timeout(LONG_TIMEOUT)
        .body(shown(body.into(), bar.clone()));
    let answer = service.answer(path, request).await;
    bar.finish_and_clear();
    answer
}

/// Returns a body that moves a bar as it is sent.
fn shown(body: Bytes, bar: ProgressBar) -> Body {
    if bar.is_hidden() {
        return body.into();
    }
    let chunks = stream::unfold(body, move |mut rest| {
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        bar.inc(chunk.len() as u64);
        async move { (!chunk.is_empty()).then_some((Ok::<_, std::convert::Infallible>(chunk), rest)) }
    });
    Body::wrap_stream(chunks)
}

/// Publishes random bytes, which the proxy makes.
///
/// # Errors
///
/// Returns an error if the proxy does not answer.
pub(crate) async fn publish_random(
    service: &Service,
    client_id: &str,
    topic: &str,
    bytes: u64,
) -> Result<Answer, Error> {
    let publish = PublishRandom { client_id, message_length: bytes, timestamp: unix_ms(), topic };
    let path = "/api/v1/publish";
    let request = service.request(Method::POST, path).json(&publish).timeout(LONG_TIMEOUT);
    service.answer(path, request).await
}

/// Subscribes a topic. A threshold of 0 is the proxy's default.
///
/// # Errors
///
/// Returns an error if the proxy does not answer.
pub(crate) async fn subscribe(
    service: &Service,
    client_id: &str,
    topic: &str,
    threshold: f64,
) -> Result<Answer, Error> {
    let threshold = Some(threshold).filter(|threshold| *threshold > 0.0);
    service.post("/api/v1/subscribe", &Subscribe { client_id, threshold, topic }).await
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_have_the_keys_of_the_contract() {
        let publish = Publish { client_id: "c", message: "m", timestamp: 1, topic: "t" };
        let json = serde_json::to_string(&publish).expect("plain");
        assert_eq!(json, r#"{"client_id":"c","message":"m","timestamp":1,"topic":"t"}"#);
        let subscribe = Subscribe { client_id: "c", threshold: None, topic: "t" };
        let json = serde_json::to_string(&subscribe).expect("plain");
        assert_eq!(json, r#"{"client_id":"c","topic":"t"}"#);
    }
}
