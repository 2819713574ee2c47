//! `GET /api/v1/health`

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use crate::health::Health;

/// How the node and its machine are. Keys in alphabetical order; percentages as text with two
/// decimals.
#[derive(Debug, Serialize)]
pub(super) struct HealthPage {
    country: String,
    country_iso: String,
    cpu_used: String,
    disk_used: String,
    memory_used: String,
    mode: &'static str,
    status: &'static str,
}

pub(super) async fn page(State(health): State<Arc<Health>>) -> Json<HealthPage> {
    let usage = health.usage();
    let percent = |value: f32| format!("{value:.2}");
    Json(HealthPage {
        country: health.place().country.clone(),
        country_iso: health.place().country_iso.clone(),
        cpu_used: percent(usage.cpu),
        disk_used: percent(usage.disk),
        memory_used: percent(usage.memory),
        mode: health.mode(),
        status: "ok",
    })
}
