//! How the node and its machine are, for the status answers of both faces.

use api::sidecar::HealthResponse;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use service::{
    geo::Place,
    host::{Machine, Usage},
};

use crate::config::Mode;

/// How the node is, and where.
#[derive(Debug)]
pub(crate) struct Health {
    mode: Mode,
    address: String,
    place: Place,
    machine: Machine,
}

impl Health {
    pub(crate) fn new(mode: Mode, own: PeerId, addresses: &[Multiaddr], place: Place) -> Self {
        let address = addresses.first().cloned().map(|address| address.with(Protocol::P2p(own)));
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        Self { mode, address, place, machine: Machine::default() }
    }

    pub(crate) fn mode(&self) -> &'static str {
        self.mode.name()
    }

    /// Returns where the machine is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Returns how much of the machine is used, in percent.
    pub(crate) fn usage(&self) -> Usage {
        self.machine.usage()
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
            country: self.place.country.clone(),
            country_iso: self.place.country_iso.clone(),
        }
    }
}
