//! The files of the page.

use axum::{Router, http::header, routing::get};

use super::Face;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and content.
const FILES: [(&str, &str, &str); 8] = [
    ("/", HTML, include_str!("assets/page.html")),
    ("/page.css", CSS, include_str!("assets/page.css")),
    ("/page.js", JAVASCRIPT, include_str!("assets/page.js")),
    ("/spread.js", JAVASCRIPT, include_str!("assets/spread.js")),
    ("/mesh.js", JAVASCRIPT, include_str!("assets/mesh.js")),
    ("/lists.js", JAVASCRIPT, include_str!("assets/lists.js")),
    ("/text.js", JAVASCRIPT, include_str!("assets/text.js")),
    ("/icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

pub(super) fn routes() -> Router<Face> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        // A page that was left open takes the files of the devnet that runs.
        let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
        router.route(path, get(async move || (head, content)))
    })
}
