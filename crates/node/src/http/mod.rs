//! The HTTP face: status pages for scripts and dashboards. Bodies are compact JSON with keys in
//! alphabetical order, because scripts compare text.

mod config;
mod docs;
mod health;
mod node_state;
mod probes;
mod snapshot;
mod topics;
mod version;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use libp2p::PeerId;
use service::http::{answer, not_found};

use crate::{
    config::Config,
    handle::Handle,
    health::Health,
    metrics::{self, Metrics},
};

/// How long a page may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the pages show.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) own: PeerId,
    pub(crate) handle: Handle,
    pub(crate) health: Arc<Health>,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/api/v1/config", get(config::page))
        .route("/api/v1/docs", get(docs::page))
        .route("/api/v1/health", get(health::page))
        .route("/api/v1/node-state", get(node_state::page))
        .route("/api/v1/openapi.json", get(docs::document))
        .route("/api/v1/p2p-snapshot", get(snapshot::page))
        .route("/api/v1/topics", get(topics::page))
        .route("/api/v1/version", get(version::page))
        .route("/livez", get(probes::alive))
        .route("/metrics", get(metrics_page))
        .route("/readyz", get(probes::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(pages.clone(), bounded))
        .with_state(pages)
}

/// Every metric, for Prometheus.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Prometheus' text format 0.0.4", body = String, content_type = "text/plain"),
    (status = 503, description = "The node is shutting down", body = answer::Failure),
))]
async fn metrics_page(State(pages): State<Pages>) -> Response {
    let picture = match pages.handle.picture().await {
        Ok(picture) => picture,
        Err(closed) => return answer::unavailable(closed),
    };
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let text = metrics::page(&pages.config, pages.health.place(), &pages.metrics, &picture, tasks);
    ([(header::CONTENT_TYPE, service::metrics::CONTENT_TYPE)], text).into_response()
}

/// Counts a request, and answers in time whatever becomes of it.
async fn bounded(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    pages.metrics.http.request();
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => answer::failure(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
        ),
    }
}
