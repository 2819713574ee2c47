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
}

/// What the HTTP face counts.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    requests: AtomicU64,
    refused: AtomicU64,
}

impl HttpCounters {
    /// A request was understood.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was no HTTP, too long or too slow.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> (u64, u64) {
        (self.requests.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}
