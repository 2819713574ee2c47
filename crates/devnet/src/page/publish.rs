//! `POST /publish`: the form of the page.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use bytes::Bytes;
use node::{Handle, PublishError, Topic};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use service::http::answer;
use tokio::sync::Semaphore;

use super::Face;
use crate::cluster::{self, Cluster};

/// Longest text in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Longest body of a request: the text may be written with escapes of six characters.
pub(super) const BODY_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + (16 << 10);

/// Messages that are published here at once.
const PUBLISHES_MAX: usize = 4;

/// How long the mesh of a new topic may take before the message goes out all the same.
const MESH_WAIT: Duration = Duration::from_secs(5);

/// Publishes for the page.
#[derive(Debug)]
pub(super) struct Publisher {
    handles: BTreeMap<u16, Handle>,
    message_bytes_max: u64,
    permits: Semaphore,
}

/// What is to be published where. Either a text or so many random bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    node: u16,
    topic: String,
    text: Option<String>,
    random_bytes: Option<u64>,
}

/// What was published.
#[derive(Debug, Serialize)]
struct Published {
    message_id: String,
    message_bytes: usize,
}

type Refusal = (StatusCode, String);

impl Publisher {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            handles: cluster.handles(),
            message_bytes_max: cluster.message_bytes_max(),
            permits: Semaphore::new(PUBLISHES_MAX),
        }
    }

    async fn publish(&self, asked: Asked) -> Result<Published, Refusal> {
        let _permit = self.permits.try_acquire().map_err(|_| {
            let why = format!("{PUBLISHES_MAX} messages are being published; try again");
            (StatusCode::TOO_MANY_REQUESTS, why)
        })?;
        let handle = self.handles.get(&asked.node).ok_or_else(|| {
            let nodes = self.handles.len();
            bad(format!("there is no node {}; choose one of 1 to {nodes}", asked.node))
        })?;
        let topic = Topic::new(&asked.topic).map_err(|error| bad(format!("topic: {error}")))?;
        let payload = payload(asked.text, asked.random_bytes, self.message_bytes_max)?;
        let message_bytes = payload.len();
        // Everybody is to have it.
        for handle in self.handles.values() {
            handle.subscribe(topic.clone()).await.map_err(ended)?;
        }
        // It goes out whether the mesh stands or not.
        let _late = cluster::until_meshed(&self.handles, topic.as_str(), MESH_WAIT).await;
        let published = handle.publish(topic, payload).await.map_err(ended)?;
        let message_id = published.map_err(|error| refused(&error))?.to_string();
        Ok(Published { message_id, message_bytes })
    }
}

/// Makes what is published.
fn payload(text: Option<String>, random: Option<u64>, max: u64) -> Result<Bytes, Refusal> {
    match (text, random) {
        (Some(text), None) if text.is_empty() => Err(bad("the text is empty; write something")),
        (Some(text), None) if text.len() > TEXT_BYTES_MAX => {
            let bytes = text.len();
            Err(bad(format!("the text has {bytes} bytes; at most {TEXT_BYTES_MAX} are taken")))
        }
        (Some(text), None) => Ok(text.into()),
        (None, Some(bytes)) if (1..=max).contains(&bytes) => {
            let mut payload = vec![0; usize::try_from(bytes).unwrap_or_default()];
            rand::rng().fill_bytes(&mut payload);
            Ok(payload.into())
        }
        (None, Some(bytes)) => {
            Err(bad(format!("{bytes} bytes; a message has 1 to {max} bytes in this cluster")))
        }
        (None, None) | (Some(_), Some(_)) => Err(bad("give either text or random_bytes")),
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, why.into())
}

fn ended(closed: node::Closed) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, closed.to_string())
}

fn refused(error: &PublishError) -> Refusal {
    let status = match error {
        PublishError::Empty | PublishError::TooLarge { .. } => StatusCode::BAD_REQUEST,
        PublishError::Duplicate { .. } => StatusCode::CONFLICT,
        PublishError::TopicsFull { .. } | PublishError::Busy => StatusCode::TOO_MANY_REQUESTS,
    };
    (status, error.to_string())
}

pub(super) async fn publish(
    State(face): State<Face>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Response {
    let published = match asked {
        Ok(Json(asked)) => face.publisher.publish(asked).await,
        Err(error) => Err((error.status(), error.body_text())),
    };
    match published {
        Ok(published) => answer::json(&published),
        Err((status, why)) => answer::failure(status, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_published_as_it_is_and_random_bytes_in_their_number() {
        let text = payload(Some("Hello".to_owned()), None, 100).expect("a text");
        assert_eq!(&text[..], b"Hello");
        assert_eq!(payload(None, Some(100), 100).expect("in bounds").len(), 100);
    }

    #[test]
    fn what_cannot_be_published_is_refused_with_what_could() {
        let long = Some("x".repeat(TEXT_BYTES_MAX + 1));
        for (text, random, says) in [
            (None, Some(0), "1 to 100 bytes"),
            (None, Some(101), "1 to 100 bytes"),
            (None, Some(u64::MAX), "1 to 100 bytes"),
            (Some(String::new()), None, "empty"),
            (long, None, "at most 65536"),
            (None, None, "either"),
            (Some("a".to_owned()), Some(1), "either"),
        ] {
            let (status, why) = payload(text, random, 100).expect_err(says);
            assert!(status == StatusCode::BAD_REQUEST && why.contains(says), "{why}");
        }
    }
}
