//! `GET /api/v1/node-state`

use axum::{extract::State, response::Response};
use serde::Serialize;
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::Pages;

/// Who the node is and whom it is connected to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeState {
    addresses: Vec<String>,
    country: String,
    country_iso: String,
    peers: Vec<String>,
    /// The peer id; the name is historical.
    pub_key: String,
    topics: Vec<String>,
}

/// Who the node is and whom it is connected to.
#[utoipa::path(get, path = "/api/v1/node-state", responses(
    (status = 200, body = NodeState),
    (status = 503, description = "The node is shutting down", body = Failure),
))]
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let status = match pages.handle.status().await {
        Ok(status) => status,
        Err(closed) => return answer::unavailable(closed),
    };
    answer::json(&NodeState {
        addresses: status.addresses.iter().map(ToString::to_string).collect(),
        country: pages.health.place().country.clone(),
        country_iso: pages.health.place().country_iso.clone(),
        peers: status.peers.iter().map(|peer| peer.peer.to_string()).collect(),
        pub_key: pages.own.to_string(),
        topics: status.topics,
    })
}
