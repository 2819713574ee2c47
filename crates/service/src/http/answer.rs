//! How every page is written.

use std::{collections::BTreeMap, fmt::Display};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Why a request was not answered as asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    /// The reason, for people.
    pub error: String,
}

/// Answers with compact JSON, keys in alphabetical order.
pub fn json(page: &impl Serialize) -> Response {
    with_status(StatusCode::OK, page)
}

/// Answers with a reason.
pub fn failure(status: StatusCode, error: impl Display) -> Response {
    with_status(status, &Failure { error: error.to_string() })
}

/// Who could answer does not, or not any more.
pub fn unavailable(error: impl Display) -> Response {
    failure(StatusCode::SERVICE_UNAVAILABLE, error)
}

fn with_status(status: StatusCode, page: &impl Serialize) -> Response {
    match serde_json::to_value(page) {
        Ok(value) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (status, json, sorted(value).to_string()).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether an object keeps the order of its keys depends on what else is built in.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let object: BTreeMap<String, Value> =
                object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(object.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
