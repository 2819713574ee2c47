//! What clients of the sidecar asked for and were not given, counted since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// Commands without a valid ticket.
    pub(crate) tickets: Counter,
    /// Requests that could not be read; each ended its stream.
    pub(crate) unreadable: Counter,
    /// Commands that mean nothing; their stream lives.
    pub(crate) commands: Counter,
    /// Streams beyond the bound.
    pub(crate) streams: Counter,
}
