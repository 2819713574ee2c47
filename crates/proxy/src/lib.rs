//! The daemon proxy: REST, WebSocket and gRPC in front of the nodes of a cluster.
//!
//! [`start`] binds everything and returns a [`Running`] proxy; several can run in one process. One
//! task owns the broker, which decides who is given which message and when; a task for each node
//! keeps a connection to it; each client's connection has a bounded queue. Data goes one way: node,
//! broker, queue, client.
//!
//! Knows nothing of libp2p and of coding: it talks to the nodes' sidecars.
#![forbid(unsafe_code)]

mod budget;
mod config;
mod connection;
mod deliveries;
mod error;
mod grpc;
mod http;
mod metrics;
mod proxy;
mod running;
mod sessions;
mod tracer;
mod traffic;
mod upstream;

/// Waits until a time, or for ever without one.
async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

pub use config::{Config, Face, NodeAddress, variables};
pub use running::{Running, check, start};
pub use service::env::ConfigError;
