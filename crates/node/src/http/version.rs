//! `GET /api/v1/version`

use axum::response::Response;
use serde::Serialize;
use service::{http::answer, version};
use utoipa::ToSchema;

/// What the node was built from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Version {
    commit_hash: &'static str,
    version: &'static str,
}

/// What the node was built from.
#[utoipa::path(get, path = "/api/v1/version", responses((status = 200, body = Version)))]
pub(super) async fn page() -> Response {
    answer::json(&Version { commit_hash: version::COMMIT, version: version::VERSION })
}
