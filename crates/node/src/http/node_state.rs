//! `GET /api/v1/node-state`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::Pages;

/// Who the node is and whom it is connected to. Keys in alphabetical order.
#[derive(Debug, Serialize)]
struct NodeState {
    addresses: Vec<String>,
    country: String,
    country_iso: String,
    peers: Vec<String>,
    /// The peer id; the name is historical.
    pub_key: String,
    topics: Vec<String>,
}

pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let Ok(status) = pages.handle.status().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    Json(NodeState {
        addresses: status.addresses.iter().map(ToString::to_string).collect(),
        country: pages.health.place().country.clone(),
        country_iso: pages.health.place().country_iso.clone(),
        peers: status.peers.iter().map(|peer| peer.peer.to_string()).collect(),
        pub_key: pages.own.to_string(),
        topics: status.topics,
    })
    .into_response()
}
