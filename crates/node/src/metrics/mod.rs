//! What `/metrics` shows. Everything is counted where it happens; this puts names to it.

mod naming;
mod own;
mod page;
mod streams;
mod traffic;

use std::sync::Arc;

pub(crate) use page::page;
use service::{grpc_meter::GrpcMeter, http::HttpCounters, listener::Refusals};
pub(crate) use streams::{Metered, StreamMeter};
pub(crate) use traffic::Traffic;

/// Where the parts of a node count.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) streams: Arc<StreamMeter>,
    pub(crate) sidecar: Arc<GrpcMeter>,
    pub(crate) http: Arc<HttpCounters>,
    /// What the listeners of the faces did not take, by the name of the face.
    pub(crate) faces: Vec<(&'static str, Arc<Refusals>)>,
}
