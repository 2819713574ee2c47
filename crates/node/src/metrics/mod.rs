//! What `/metrics` shows. Everything is counted where it happens; this puts names to it.

mod naming;
mod page;
mod sidecar;
mod streams;
mod traffic;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use page::page;
use service::listener::Refusals;
pub(crate) use sidecar::{MeteredService, SidecarMeter};
pub(crate) use streams::{Metered, StreamMeter};
pub(crate) use traffic::Traffic;

/// Where the parts of a node count.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) streams: Arc<StreamMeter>,
    pub(crate) sidecar: Arc<SidecarMeter>,
    pub(crate) http: Arc<HttpCounters>,
    /// What the listeners of the faces did not take, by the name of the face.
    pub(crate) faces: Vec<(&'static str, Arc<Refusals>)>,
}

/// What the HTTP face counts.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    requests: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
}

impl HttpCounters {
    /// A request was understood.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was no HTTP or too long.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was idle, or its next request too slow.
    pub(crate) fn timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers of requests, and of connections refused and timed out.
    fn snapshot(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.refused), load(&self.timed_out))
    }
}
