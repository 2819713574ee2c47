//! `POST /api/v1/subscribe` and `GET /api/v1/topics`.

use api::rest::Subscribe;
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::{Deserialize, Serialize};
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::{Face, authorization, client_of_query};
use crate::{error::RequestError, proxy::Identity};

/// What to subscribe.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the body is read by `api`; this describes it")]
pub(super) struct SubscribeBody {
    /// Not needed with authentication on: the token says who the client is.
    client_id: String,
    topic: String,
    /// Share of the active nodes that must report a message, above 0 to 1; absent or 0 is the
    /// proxy's default.
    threshold: Option<f64>,
}

/// A subscription was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Subscribed {
    /// Who the client is.
    client: String,
    /// `subscribed`.
    status: &'static str,
}

/// Subscribe a topic; a second time only the threshold changes.
#[utoipa::path(post, path = "/api/v1/subscribe", request_body = SubscribeBody, responses(
    (status = 200, body = Subscribed),
    (status = 400, description = "The body is wrong", body = Failure),
    (status = 401, description = "No valid token", body = Failure),
    (status = 403, description = "The account is inactive", body = Failure),
    (status = 413, description = "The body is too long", body = Failure),
    (status = 429, description = "Too many topics or clients", body = Failure),
    (status = 503, description = "Not now; see Retry-After", body = Failure),
))]
pub(super) async fn subscribe(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, RequestError> {
    let token = face.proxy.token(authorization(&headers)).await?;
    let body = face.proxy.budget.receive(body).await?;
    let wanted = Subscribe::parse(&body.bytes, face.proxy.has_auth())?;
    let client = Identity::new(token, &wanted.client_id)?;
    face.proxy.subscribe(&client, &wanted.topic, wanted.threshold).await?;
    Ok(answer::json(&Subscribed { client: client.id.to_string(), status: "subscribed" }))
}

/// The topics of a client.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientPage {
    client_id: String,
    count: usize,
    topics: Vec<String>,
}

/// The topics of a client.
#[utoipa::path(get, path = "/api/v1/topics",
    params(("client_id" = String, Query, description = "Who; not needed with authentication on")),
    responses(
        (status = 200, body = ClientPage),
        (status = 400, description = "No client is named", body = Failure),
        (status = 401, description = "No valid token", body = Failure),
    ))]
pub(super) async fn topics(
    State(face): State<Face>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, RequestError> {
    let client = client_of_query(&face.proxy, &headers, query.as_deref()).await?;
    let here = face.proxy.deliveries.topics_of(client.id.clone()).await?;
    let shared = face.proxy.store.subscriptions(&client.id).await?;
    let mut topics: Vec<_> = here.into_iter().map(|(topic, _)| topic.to_string()).collect();
    topics.extend(shared.into_iter().map(|wanted| wanted.topic));
    topics.sort_unstable();
    topics.dedup();
    Ok(answer::json(&ClientPage { client_id: client.id.to_string(), count: topics.len(), topics }))
}
