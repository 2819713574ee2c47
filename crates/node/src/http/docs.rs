//! `GET /api/v1/openapi.json` and `GET /api/v1/docs`: the API described by itself.

use axum::response::{Html, Response};
use service::http::{answer, docs_page};
use utoipa::OpenApi;

use super::{config, health, node_state, probes, snapshot, topics, version};

/// Made from the handlers, so that it says what they do.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "p2pnode",
        description = "Status pages of a node. Unknown paths and methods are answered 404 with a line of text.",
        version = "1",
    ),
    paths(
        config::page,
        document,
        page,
        health::page,
        node_state::page,
        snapshot::page,
        topics::page,
        version::page,
        probes::alive,
        probes::ready,
        super::metrics_page,
    )
)]
struct Api;

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
pub(super) async fn document() -> Response {
    answer::json(&Api::openapi())
}

/// This description for people.
#[utoipa::path(get, path = "/api/v1/docs", responses((status = 200, description = "HTML", body = String, content_type = "text/html")))]
pub(super) async fn page() -> Html<&'static str> {
    docs_page()
}
