//! `GET /api/v1/openapi.json` and `GET /api/v1/docs`: the API described by itself.

use axum::response::{Html, Response};
use service::http::{answer, docs_page};
use utoipa::OpenApi;

use super::{pages, publish, session, socket, subscribe, tracer};

/// Made from the handlers, so that it says what they do.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "proxy",
        description = "REST and WebSocket in front of the nodes. Success is always 200. Unknown paths and methods are answered 404 with a line of text. With authentication on, requests need a header Authorization: Bearer and a token, except health, version and metrics.",
        version = "1",
    ),
    paths(
        subscribe::subscribe,
        publish::publish,
        socket::upgrade,
        subscribe::topics,
        session::create,
        pages::health,
        pages::node_countries,
        pages::version,
        tracer::stream,
        tracer::reset,
        document,
        page,
        session::keys,
        pages::alive,
        pages::ready,
        pages::metrics,
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
