//! The HTTP face: status pages for scripts and dashboards. Bodies are compact JSON with keys in
//! alphabetical order, because scripts compare text.

mod health;
mod node_state;
mod version;

use std::{io, sync::Arc};

use axum::{
    Router,
    extract::FromRef,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use libp2p::PeerId;
use service::listener::Listener;
use tokio_util::sync::CancellationToken;

use crate::{handle::Handle, health::Health};

/// What the pages show.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) own: PeerId,
    pub(crate) handle: Handle,
    pub(crate) health: Arc<Health>,
}

impl FromRef<Pages> for Arc<Health> {
    fn from_ref(pages: &Pages) -> Self {
        Arc::clone(&pages.health)
    }
}

/// Serves until it is stopped.
///
/// # Errors
///
/// Returns an error if the server fails.
pub(crate) async fn serve(
    listener: Listener,
    pages: Pages,
    stop: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, routes(pages)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/api/v1/health", get(health::page))
        .route("/api/v1/node-state", get(node_state::page))
        .route("/api/v1/version", get(version::page))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(pages)
}

async fn not_found(method: Method, uri: Uri) -> Response {
    (StatusCode::NOT_FOUND, format!("Cannot {method} {}", uri.path())).into_response()
}
