//! What every daemon needs around its work: settings, logs, listeners with TLS, an HTTP server with
//! bounds, queues for slow readers, where and on what machine it runs.
#![forbid(unsafe_code)]

pub mod env;
pub mod geo;
pub mod grpc_meter;
pub mod host;
pub mod http;
pub mod jwks;
pub mod listener;
pub mod log;
mod manual;
pub mod metrics;
pub mod process;
pub mod program;
pub mod queue;
pub mod tls;
pub mod version;
