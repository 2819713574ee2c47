//! `POST /api/v1/publish`

use api::rest;
use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::{Face, authorization};
use crate::{
    error::RequestError,
    proxy::{Identity, Publish},
};

/// What to publish: `message` or `message_length`.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the body is read by `api`; this describes it")]
pub(super) struct PublishBody {
    /// Not needed with authentication on: the token says who the client is.
    client_id: String,
    topic: String,
    message: Option<String>,
    /// So many random bytes instead.
    message_length: Option<u64>,
    /// Unix time in milliseconds; tells equal messages apart.
    timestamp: Option<i64>,
}

/// A message was published, now or a short while ago.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublishedPage {
    /// SHA-256 of topic, message and timestamp, 64 lower-case hexadecimal digits.
    message_id: String,
    /// `published`, or `deduplicated` when an equal message was published in the last 5 minutes.
    status: &'static str,
    topic: String,
}

/// Publish a message on a topic that anybody subscribed.
#[utoipa::path(post, path = "/api/v1/publish", request_body = PublishBody, responses(
    (status = 200, body = PublishedPage),
    (status = 400, description = "The body is wrong, or nobody subscribed the topic", body = Failure),
    (status = 401, description = "No valid token", body = Failure),
    (status = 403, description = "The account is inactive", body = Failure),
    (status = 413, description = "The message is too long", body = Failure),
    (status = 429, description = "Beyond a limit of the account; see Retry-After", body = Failure),
    (status = 503, description = "No node takes it now; see Retry-After", body = Failure),
))]
pub(super) async fn publish(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, RequestError> {
    let token = face.proxy.token(authorization(&headers)).await?;
    let read = async {
        let body = face.proxy.budget.receive(body).await?;
        let asked = rest::Publish::parse(&body.bytes, face.proxy.has_auth())?;
        Ok((Identity::new(token, &asked.client_id)?, asked, body))
    };
    let (client, asked, _room) = read.await.inspect_err(|error: &RequestError| {
        face.proxy.traffic().failed("", "", error.kind());
    })?;
    let rest::Publish { topic, content, timestamp, .. } = asked;
    let publish = Publish { topic: topic.clone(), content, timestamp };
    let published = face.proxy.publish(&client, publish).await?;
    let status = if published.deduplicated { "deduplicated" } else { "published" };
    Ok(answer::json(&PublishedPage { message_id: hex::encode(published.id), status, topic }))
}
