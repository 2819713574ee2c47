//! The HTTP face: REST and WebSocket. Bodies are compact JSON with keys in alphabetical order,
//! because scripts compare text.

mod docs;
mod pages;
mod publish;
mod session;
mod socket;
mod subscribe;
mod tracer;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use service::http::{HttpCounters, answer, not_found};
use tokio_util::task::TaskTracker;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::{Instrument as _, info_span};

use crate::{
    error::RequestError,
    proxy::{Identity, Proxy},
};

/// How long a request may take, its body included.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Names a request in logs and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest name that is taken from a client.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What handlers need.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) counters: Arc<HttpCounters>,
    pub(crate) sockets: Arc<SocketCounters>,
    /// WebSockets, which outlive their requests.
    pub(crate) tasks: TaskTracker,
    pub(crate) metrics: Arc<crate::metrics::Metrics>,
}

/// What became of WebSockets.
#[derive(Debug, Default)]
pub(crate) struct SocketCounters {
    pub(crate) open: AtomicU64,
    /// Closed because their client sent what no client sends here.
    pub(crate) misused: AtomicU64,
    /// Closed because their client did not answer or did not read.
    pub(crate) stalled: AtomicU64,
    /// Closed because their token came to its end.
    pub(crate) expired: AtomicU64,
}

/// Returns the routes.
pub(crate) fn routes(face: Face) -> Router {
    let api = Router::new()
        .route("/docs", get(docs::page))
        .route("/health", get(pages::health))
        .route("/node-countries", get(pages::node_countries))
        .route("/openapi.json", get(docs::document))
        .route("/publish", post(publish::publish))
        .route("/session", post(session::create))
        .route("/subscribe", post(subscribe::subscribe))
        .route("/topics", get(subscribe::topics))
        .route("/tracer/reset", get(tracer::reset).post(tracer::reset))
        .route("/tracer/stream", get(tracer::stream))
        .route("/version", get(pages::version))
        .route("/ws", get(socket::upgrade));
    let router = Router::new()
        .route("/", get(pages::root))
        .nest("/api/v1", api.clone())
        // The path until August 2025.
        .nest("/api", api)
        .route("/.well-known/jwks.json", get(session::keys))
        .route("/livez", get(pages::alive))
        .route("/metrics", get(pages::metrics))
        .route("/readyz", get(pages::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(face.clone(), bounded));
    let router = match cors(&face.proxy.config.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.with_state(face)
}

/// Lets pages of these origins call.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        // Checked when the settings were read.
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let methods = [axum::http::Method::GET, axum::http::Method::POST];
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, REQUEST_ID];
    let told = [REQUEST_ID, header::RETRY_AFTER];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods(methods)
            .allow_headers(headers)
            .expose_headers(told),
    )
}

/// Counts and names a request, and answers in time whatever becomes of it.
async fn bounded(State(face): State<Face>, request: Request, next: Next) -> Response {
    face.counters.request();
    let id = request_id(request.headers());
    let span = info_span!("request", request_id = id);
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).instrument(span).await;
    let mut response = answered.unwrap_or_else(|_| refusal(&RequestError::Timeout));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Returns the name that a client gave, if it is one, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_name = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic())
    };
    given.filter(is_name).map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned)
}

/// Answers a request that is refused.
fn refusal(error: &RequestError) -> Response {
    let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer::failure(status, error);
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        refusal(&self)
    }
}

/// Returns what a request shows of its client.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

/// Returns who asks, by token or by the query's `client_id`.
async fn client_of_query(
    proxy: &Proxy,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Identity, RequestError> {
    let token = proxy.token(authorization(headers)).await?;
    let named = query_value(query, "client_id")?.unwrap_or_default();
    Identity::new(token, &named)
}

/// Returns a value of a query. Clients write ids as they are: a plus sign is one.
fn query_value(query: Option<&str>, wanted: &str) -> Result<Option<String>, RequestError> {
    let pairs = query.unwrap_or_default().split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted);
    let Some((_, value)) = value else { return Ok(None) };
    let decoded = percent_decode_str(value).decode_utf8();
    let decoded =
        decoded.map_err(|_| RequestError::Query(format!("invalid {wanted}: no UTF-8")))?;
    Ok(Some(decoded.into_owned()))
}

impl SocketCounters {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_queries_may_be_written_as_they_are_or_encoded() {
        for (query, id) in [
            ("client_id=auth0|u1", Some("auth0|u1")),
            ("client_id=auth0%7Cu1", Some("auth0|u1")),
            ("a=b&client_id=me+x@example.org&c", Some("me+x@example.org")),
            ("client_id=", Some("")),
            ("client=1", None),
            ("", None),
        ] {
            assert_eq!(query_value(Some(query), "client_id").expect("UTF-8").as_deref(), id);
        }
        assert!(query_value(Some("client_id=%ff"), "client_id").is_err());
    }

    #[test]
    fn a_request_is_called_what_its_client_calls_it_if_that_is_a_name() {
        let named = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("a value"));
            request_id(&headers)
        };
        assert_eq!(named("abc-1"), "abc-1");
        for wrong in ["", "a b", &"x".repeat(65)] {
            assert_eq!(named(wrong).len(), 16, "{wrong}");
        }
    }
}
