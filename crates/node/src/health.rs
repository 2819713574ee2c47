//! How the node and its machine are, for the status answers of both faces.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use api::sidecar::HealthResponse;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use service::{
    geo::UNKNOWN,
    host::{Host, Usage},
};

use crate::config::Mode;

/// How old a measurement may be before it is taken anew.
const USAGE_AGE_MAX: Duration = Duration::from_secs(1);

/// Measures the machine at most once a second, whoever asks.
#[derive(Debug)]
pub(crate) struct Health {
    mode: Mode,
    address: String,
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    host: Host,
    usage: Usage,
    at: Instant,
}

impl Health {
    pub(crate) fn new(mode: Mode, own: PeerId, addresses: &[Multiaddr]) -> Self {
        let address = addresses.first().cloned().map(|address| address.with(Protocol::P2p(own)));
        let mut host = Host::new();
        let usage = host.usage();
        let measured = Mutex::new(Measured { host, usage, at: Instant::now() });
        Self { mode, address: address.map(|a| a.to_string()).unwrap_or_default(), measured }
    }

    pub(crate) fn mode(&self) -> &'static str {
        self.mode.name()
    }

    /// Returns how much of the machine is used, in percent.
    pub(crate) fn usage(&self) -> Usage {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if measured.at.elapsed() > USAGE_AGE_MAX {
            measured.usage = measured.host.usage();
            measured.at = Instant::now();
        }
        measured.usage
    }

    /// Returns the answer of the sidecar.
    pub(crate) fn grpc(&self) -> HealthResponse {
        let usage = self.usage();
        HealthResponse {
            status: true,
            node_mode: self.mode().to_owned(),
            memory_used: usage.memory,
            cpu_used: usage.cpu,
            disk_used: usage.disk,
            p2p_address: self.address.clone(),
            country: UNKNOWN.to_owned(),
            country_iso: UNKNOWN.to_owned(),
        }
    }
}
