//! `GET /api/v1/tracer/stream` and `/api/v1/tracer/reset`.

use std::time::{Duration, Instant};

use api::{go_duration, tracer::Snapshot};
use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::{Face, authorization, query_value};
use crate::{
    error::RequestError,
    tracer::{Nodes, snapshot},
    traffic::WINDOW_MAX,
};

const WINDOW_DEFAULT: Duration = Duration::from_secs(10);

/// What passed in the last seconds; one picture a request.
#[utoipa::path(get, path = "/api/v1/tracer/stream",
    params(("window" = Option<String>, Query, description = "A duration such as 10s, at most 10m; 10s if none is given")),
    responses(
        (status = 200, body = Snapshot),
        (status = 400, description = "The window is no duration", body = Failure),
        (status = 401, description = "No valid token", body = Failure),
    ))]
pub(super) async fn stream(
    State(face): State<Face>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, RequestError> {
    face.proxy.token(authorization(&headers)).await?;
    let window = window(query_value(query.as_deref(), "window")?.as_deref())?;
    let upstream = &face.proxy.upstream;
    let up = upstream.ranked();
    let nodes = Nodes {
        addresses: upstream.nodes().iter().map(|node| node.address()).collect(),
        active: up.len(),
        algorithm: upstream.mode(),
    };
    let now = Instant::now();
    // Copied first: while it is looked at, what nodes report has to wait.
    let (recent, clock) = {
        let traffic = face.proxy.traffic();
        let recent = traffic.recent(now, window).map(|(id, seen)| (*id, seen.clone()));
        (recent.collect::<Vec<_>>(), traffic.clock())
    };
    Ok(answer::json(&snapshot(&recent, clock, &nodes, now, window)))
}

fn window(text: Option<&str>) -> Result<Duration, RequestError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(WINDOW_DEFAULT) };
    let window = go_duration::parse(text).filter(|window| !window.is_zero());
    let wrong =
        || RequestError::Query(format!("invalid window: {text:?} is no duration such as 10s"));
    Ok(window.ok_or_else(wrong)?.min(WINDOW_MAX))
}

/// Everything before is forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reset {
    /// `reset`.
    status: &'static str,
}

/// Forget what passed so far.
#[utoipa::path(get, path = "/api/v1/tracer/reset", responses(
    (status = 200, body = Reset),
    (status = 401, description = "No valid token", body = Failure),
))]
pub(super) async fn reset(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    face.proxy.token(authorization(&headers)).await?;
    face.proxy.traffic().reset();
    Ok(answer::json(&Reset { status: "reset" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_duration_within_bounds() {
        let seconds = |text| window(text).map(|window| window.as_secs()).ok();
        assert_eq!(seconds(None), Some(10));
        assert_eq!(seconds(Some("1m30s")), Some(90));
        assert_eq!(seconds(Some("100h")), Some(600));
        for wrong in ["10", "0s", "-1s", "ten"] {
            assert_eq!(seconds(Some(wrong)), None, "{wrong}");
        }
    }
}
