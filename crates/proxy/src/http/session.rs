//! `POST /api/v1/session`, and the keys that its tickets are checked with.

use std::time::SystemTime;

use api::rest;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use service::http::answer::{self, Failure};

use super::{Face, authorization};
use crate::{
    error::RequestError,
    proxy::Identity,
    sessions::{Session, Wish},
};

/// Nodes that a client may talk to itself, the best first, each with a ticket.
#[utoipa::path(post, path = "/api/v1/session", request_body = Wish, responses(
    (status = 200, body = Session),
    (status = 400, description = "The body is wrong", body = Failure),
    (status = 401, description = "No valid token", body = Failure),
    (status = 503, description = "No node is connected", body = Failure),
))]
pub(super) async fn create(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, RequestError> {
    let token = face.proxy.token(authorization(&headers)).await?;
    let body = face.proxy.budget.receive(body).await?;
    let wish: Wish = rest::object(&body.bytes)?;
    let client = Identity::new(token, &wish.client_id)?;
    let proxy = &face.proxy;
    let session = proxy.sessions.create(&proxy.upstream, &client.id, &wish, SystemTime::now())?;
    Ok(answer::json(&session))
}

/// The public keys that a node checks tickets with (`SIDECAR_JWKS`).
#[utoipa::path(get, path = "/.well-known/jwks.json", responses(
    (status = 200, description = "A JWKS (RFC 7517)", body = serde_json::Value),
))]
pub(super) async fn keys(State(face): State<Face>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, face.proxy.sessions.jwks().to_owned()).into_response()
}
