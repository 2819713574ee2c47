//! `GET /api/v1/version`

use axum::Json;
use serde::Serialize;

use crate::version;

/// What the node was built from. Keys in alphabetical order.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    commit_hash: &'static str,
    version: &'static str,
}

pub(super) async fn page() -> Json<Version> {
    Json(Version { commit_hash: version::COMMIT, version: version::VERSION })
}
