//! What became of connections that came to nothing, counted and shown.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::metrics::{Families, Labels};

/// What became of connections that came to nothing.
#[derive(Debug, Default)]
pub struct Refusals {
    pub(super) beyond_bound: AtomicU64,
    pub(super) without_tls: AtomicU64,
    pub(super) silent: AtomicU64,
    pub(super) without_http2: AtomicU64,
}

impl Refusals {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many connections were closed at once, since too many were open.
    pub fn beyond_bound(&self) -> u64 {
        self.beyond_bound.load(Ordering::Relaxed)
    }

    /// Returns how many connections were closed because their client did not agree on TLS in time.
    pub fn without_tls(&self) -> u64 {
        self.without_tls.load(Ordering::Relaxed)
    }

    /// Returns how many connections ended because HTTP/2 did not begin on them in time.
    pub fn silent(&self) -> u64 {
        self.silent.load(Ordering::Relaxed)
    }

    /// Returns how many connections began with something that is not HTTP/2 where only that is
    /// spoken.
    pub fn without_http2(&self) -> u64 {
        self.without_http2.load(Ordering::Relaxed)
    }
}

/// Adds the families of what listeners did not take. `daemon` is a part of the names; each face of
/// it has its name.
pub fn families(families: &mut Families, daemon: &str, faces: &[(&'static str, Arc<Refusals>)]) {
    for (name, help, count) in [
        (
            "connections_refused",
            "Connections of clients closed at once: too many were open.",
            Refusals::beyond_bound as fn(&Refusals) -> u64,
        ),
        (
            "tls_failures",
            "Connections of clients that did not agree on TLS in time.",
            Refusals::without_tls,
        ),
        (
            "connections_silent",
            "Connections of clients closed because HTTP/2 did not begin on them in time.",
            Refusals::silent,
        ),
        (
            "connections_without_http2",
            "Connections of clients that began with something that is not HTTP/2.",
            Refusals::without_http2,
        ),
    ] {
        let samples = faces.iter().map(|(face, counted)| {
            let labels: Labels = vec![("face", (*face).to_owned())];
            (labels, count(counted))
        });
        families.counters(format!("optimum_{daemon}_face_{name}_total"), help, samples);
    }
}
