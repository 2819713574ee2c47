//! `GET /livez` and `GET /readyz`: for what restarts and routes.

use std::time::Duration;

use axum::{extract::State, response::Response};
use serde::Serialize;
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::Pages;

/// How long the event loop may take to answer a node that is ready.
const ANSWER_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Probe {
    /// `ok`.
    status: &'static str,
}

/// Whether the process serves requests at all.
#[utoipa::path(get, path = "/livez", responses((status = 200, body = Probe)))]
pub(super) async fn alive() -> Response {
    answer::json(&Probe { status: "ok" })
}

/// Whether the node listens for peers and its event loop answers.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = Probe),
    (status = 503, description = "Not ready, with the reason", body = Failure),
))]
pub(super) async fn ready(State(pages): State<Pages>) -> Response {
    match tokio::time::timeout(ANSWER_MAX, pages.handle.status()).await {
        Err(_) => answer::unavailable("the event loop does not answer"),
        Ok(Err(closed)) => answer::unavailable(closed),
        Ok(Ok(status)) if status.addresses.is_empty() => {
            answer::unavailable("the node does not listen for peers")
        }
        Ok(Ok(_)) => answer::json(&Probe { status: "ok" }),
    }
}
