//! The HTTP face of a daemon: HTTP/1.1 with a bound on everything that a client can make it hold,
//! and bodies as scripts expect them.

pub mod answer;
mod serve;

pub use serve::{HttpCounters, serve};

use axum::{
    http::{Method, StatusCode, Uri},
    response::{Html, IntoResponse, Response},
};

/// Answers a path or a method that nobody serves.
#[expect(clippy::unused_async, reason = "a handler of axum is async")]
pub async fn not_found(method: Method, uri: Uri) -> Response {
    (StatusCode::NOT_FOUND, format!("Cannot {method} {}", uri.path())).into_response()
}

/// Returns a page that shows people the description at `openapi.json` beside it.
pub fn docs_page() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}
