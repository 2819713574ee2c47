//! `GET /api/v1/health`

use axum::{extract::State, response::Response};
use serde::Serialize;
use service::geo::UNKNOWN;
use utoipa::ToSchema;

use super::{Pages, answer};

/// How the node and its machine are; percentages as text with two decimals.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthPage {
    country: &'static str,
    country_iso: &'static str,
    cpu_used: String,
    disk_used: String,
    memory_used: String,
    mode: &'static str,
    status: &'static str,
}

/// How the node and its machine are.
#[utoipa::path(get, path = "/api/v1/health", responses((status = 200, body = HealthPage)))]
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    let usage = pages.health.usage();
    let percent = |value: f32| format!("{value:.2}");
    answer::json(&HealthPage {
        country: UNKNOWN,
        country_iso: UNKNOWN,
        cpu_used: percent(usage.cpu),
        disk_used: percent(usage.disk),
        memory_used: percent(usage.memory),
        mode: pages.health.mode(),
        status: "ok",
    })
}
