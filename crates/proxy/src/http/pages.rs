//! Pages about the proxy itself, open to everybody.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use service::{
    http::answer::{self, Failure},
    version as built,
};
use utoipa::ToSchema;

use super::{Face, authorization};
use crate::error::RequestError;

/// How the proxy's machine is, and where; percentages as text with two decimals.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthPage {
    country: String,
    country_iso: String,
    cpu_used: String,
    disk_used: String,
    memory_used: String,
    /// `ok`.
    status: &'static str,
}

/// How the proxy's machine is, and where.
#[utoipa::path(get, path = "/api/v1/health", responses((status = 200, body = HealthPage)))]
pub(super) async fn health(State(face): State<Face>) -> Response {
    let usage = face.proxy.machine.usage();
    let percent = |value: f32| format!("{value:.2}");
    answer::json(&HealthPage {
        country: face.proxy.place.country.clone(),
        country_iso: face.proxy.place.country_iso.clone(),
        cpu_used: percent(usage.cpu),
        disk_used: percent(usage.disk),
        memory_used: percent(usage.memory),
        status: "ok",
    })
}

/// Where the connected nodes are, by their addresses.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodePlaces {
    count: usize,
    /// English names.
    countries: BTreeMap<String, String>,
    /// Two letters.
    country_isos: BTreeMap<String, String>,
}

/// Where the connected nodes are.
#[utoipa::path(get, path = "/api/v1/node-countries", responses(
    (status = 200, body = NodePlaces),
    (status = 401, description = "No valid token", body = Failure),
))]
pub(super) async fn node_countries(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    face.proxy.token(authorization(&headers)).await?;
    let (mut countries, mut country_isos) = (BTreeMap::new(), BTreeMap::new());
    for node in face.proxy.upstream.nodes().iter().filter(|node| node.is_up()) {
        let health = node.state().health.unwrap_or_default();
        countries.insert(node.address().to_owned(), health.country);
        country_isos.insert(node.address().to_owned(), health.country_iso);
    }
    Ok(answer::json(&NodePlaces { count: countries.len(), countries, country_isos }))
}

/// What the proxy was built from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionPage {
    commit_hash: &'static str,
    version: &'static str,
}

/// What the proxy was built from.
#[utoipa::path(get, path = "/api/v1/version", responses((status = 200, body = VersionPage)))]
pub(super) async fn version() -> Response {
    answer::json(&VersionPage { commit_hash: built::COMMIT, version: built::VERSION })
}

/// For what only looks whether somebody is there.
pub(super) async fn root() -> &'static str {
    "The API is described at /api/v1/docs.\n"
}

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

/// Whether any node is connected.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = Probe),
    (status = 503, description = "Not ready, with the reason", body = Failure),
))]
pub(super) async fn ready(State(face): State<Face>) -> Result<Response, RequestError> {
    if face.proxy.deliveries.picture().await?.nodes == 0 {
        return Err(RequestError::NoNode);
    }
    Ok(answer::json(&Probe { status: "ok" }))
}

/// Every metric, for Prometheus.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Prometheus' text format 0.0.4", body = String, content_type = "text/plain"),
    (status = 503, description = "The proxy is shutting down", body = Failure),
))]
pub(super) async fn metrics(State(face): State<Face>) -> Result<Response, RequestError> {
    let picture = face.proxy.deliveries.picture().await?;
    let text = crate::metrics::page(&face, &picture);
    Ok(([(header::CONTENT_TYPE, service::metrics::CONTENT_TYPE)], text).into_response())
}
