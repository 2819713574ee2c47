//! `GET /api/v1/health`

use axum::{extract::State, response::Response};
use serde::Serialize;
use service::http::answer;
use utoipa::ToSchema;

use super::Pages;

/// How the node and its machine are; percentages as text with two decimals.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthPage {
    country: String,
    country_iso: String,
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
        country: pages.health.place().country.clone(),
        country_iso: pages.health.place().country_iso.clone(),
        cpu_used: percent(usage.cpu),
        disk_used: percent(usage.disk),
        memory_used: percent(usage.memory),
        mode: pages.health.mode(),
        status: "ok",
    })
}
