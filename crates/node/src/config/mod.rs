//! Settings of a node, from environment variables.

mod effective;
mod read;
#[cfg(test)]
mod tests;
mod variables;

use std::{net::IpAddr, path::PathBuf};

use libp2p::Multiaddr;
use service::{geo::GeoConfig, tls::TlsFiles};

pub use crate::network::bootstrap::{BootstrapError, BootstrapPeer};
pub use service::env::ConfigError;
pub use variables::variables;

/// Which publish/subscribe protocol a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Coded gossip.
    #[default]
    Optimum,
    /// GossipSub, as others speak it.
    Gossipsub,
}

impl Mode {
    /// Returns the name used in configuration, in the handshake and in status answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Optimum => "optimum",
            Self::Gossipsub => "gossipsub",
        }
    }
}

/// Peers of a topic's mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// `…_MESH_MIN`.
    pub min: usize,
    /// `…_MESH_TARGET`.
    pub target: usize,
    /// `…_MESH_MAX`.
    pub max: usize,
}

impl Default for Mesh {
    fn default() -> Self {
        Self { min: 3, target: 6, max: 12 }
    }
}

/// Settings of mode optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// `OPTIMUM_PORT`: libp2p over TCP; 0 takes a free one.
    pub port: u16,
    /// `OPTIMUM_MAX_MSG_SIZE` in bytes; a fifth more is tolerated.
    pub max_message_bytes: u64,
    /// `OPTIMUM_MESH_MIN`, `_TARGET`, `_MAX`.
    pub mesh: Mesh,
    /// `OPTIMUM_SHARD_FACTOR`.
    pub shard_factor: u16,
    /// `OPTIMUM_SHARD_MULT`.
    pub shard_multiplier: f64,
    /// `OPTIMUM_THRESHOLD`.
    pub threshold: f64,
    /// `OPTIMUM_PROFILE`.
    pub profile: gossip::Profile,
    /// `OPTIMUM_RETAIN_BYTES`: decoded messages kept for repair.
    pub retain_bytes: u64,
}

impl Default for Optimum {
    fn default() -> Self {
        Self {
            port: 7070,
            max_message_bytes: 1 << 20,
            mesh: Mesh::default(),
            shard_factor: 4,
            shard_multiplier: 1.5,
            threshold: 0.75,
            profile: gossip::Profile::default(),
            retain_bytes: 256 << 20,
        }
    }
}

/// Settings of mode gossipsub.
#[derive(Clone, Debug, PartialEq)]
pub struct Gossipsub {
    /// `GOSSIPSUB_PORT`.
    pub port: u16,
    /// `GOSSIPSUB_MAX_MSG_SIZE` in bytes.
    pub max_message_bytes: u64,
    /// `GOSSIPSUB_MESH_MIN`, `_TARGET`, `_MAX`.
    pub mesh: Mesh,
}

impl Default for Gossipsub {
    fn default() -> Self {
        Self { port: 6060, max_message_bytes: 1 << 20, mesh: Mesh::default() }
    }
}

/// Which trace events readers are sent (`OPTIMUM_TRACE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceFilter(u32);

impl Default for TraceFilter {
    fn default() -> Self {
        Self::ALL
    }
}

impl TraceFilter {
    /// Every event.
    pub const ALL: Self = Self(u32::MAX);

    /// No event, but what publishers are answered with.
    pub const NONE: Self = Self(0);

    /// Names of the event types, each at its number in the trace schema.
    const NAMES: [&'static str; 17] = [
        "PUBLISH_MESSAGE",
        "REJECT_MESSAGE",
        "DUPLICATE_MESSAGE",
        "DELIVER_MESSAGE",
        "ADD_PEER",
        "REMOVE_PEER",
        "RECV_RPC",
        "SEND_RPC",
        "DROP_RPC",
        "JOIN",
        "LEAVE",
        "GRAFT",
        "PRUNE",
        "DUPLICATE_SHARD",
        "UNHELPFUL_SHARD",
        "UNNECESSARY_SHARD",
        "NEW_SHARD",
    ];

    /// Returns whether events of this number of the trace schema are sent.
    pub fn allows(self, event: i32) -> bool {
        u32::try_from(event).is_ok_and(|event| event < 32 && self.0 & (1 << event) != 0)
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" | "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::NONE),
            _ => {}
        }
        text.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .try_fold(Self::NONE, |Self(set), name| {
                let upper = name.to_ascii_uppercase();
                let number = Self::NAMES.iter().position(|known| *known == upper);
                number.map(|number| Self(set | 1 << number)).ok_or_else(|| name.to_owned())
            })
            .map_err(|name| format!("{name:?} is no event type"))
    }
}

/// Whether a peer must speak the cluster handshake (`CLUSTER_HANDSHAKE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakePolicy {
    /// In mode gossipsub a peer that does not speak it is admitted; in mode optimum none is.
    #[default]
    Auto,
    /// Nobody is admitted without.
    Required,
}

/// Everything a node can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `CLUSTER_ID`, trimmed; empty when not set.
    pub cluster_id: String,
    /// `NODE_MODE`.
    pub mode: Mode,
    /// `LOG_LEVEL`, as written.
    pub log_level: String,
    /// `SIDECAR_PORT`: gRPC; 0 takes a free one.
    pub sidecar_port: u16,
    /// `API_PORT`: HTTP; 0 takes a free one.
    pub api_port: u16,
    /// `IDENTITY_DIR`.
    pub identity_dir: PathBuf,
    /// `BOOTSTRAP_PEERS`.
    pub bootstrap_peers: Vec<BootstrapPeer>,
    /// `OPTIMUM_*`.
    pub optimum: Optimum,
    /// `GOSSIPSUB_*`.
    pub gossipsub: Gossipsub,
    /// Versions of the gossip protocol to speak; not a setting, but for tests of mixed clusters.
    pub gossip_versions: Vec<u32>,
    /// `CLUSTER_HANDSHAKE`.
    pub handshake: HandshakePolicy,
    /// `OPTIMUM_QUIC`: QUIC beside TCP, on the UDP port of the same number.
    pub quic: bool,
    /// `ANNOUNCE_ADDRESSES`: told to others instead of the addresses listened on; without peer id.
    pub announce: Vec<Multiaddr>,
    /// `BIND_ADDRESS`; none is all addresses, IPv4 and IPv6.
    pub bind_address: Option<IpAddr>,
    /// `STREAM_QUEUE_BYTES`: what waits for one slow reader.
    pub stream_queue_bytes: usize,
    /// `OPTIMUM_TRACE`.
    pub trace: TraceFilter,
    /// `SIDECAR_JWKS`: file or URL of the keys that sign session tickets; none ignores tickets.
    pub sidecar_jwks: Option<String>,
    /// `GEOIP_DB`, `GEO_*`.
    pub geo: GeoConfig,
    /// `TLS_CERT` and `TLS_KEY`.
    pub tls: Option<TlsFiles>,
    /// `CHAIN_ID`: shown, without effect.
    pub chain_id: String,
    /// `OPTIMUM_RANDOM_MSG_SIZE`: shown, without effect.
    pub random_message_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster_id: String::new(),
            mode: Mode::default(),
            log_level: "info".to_owned(),
            sidecar_port: 33212,
            api_port: 9090,
            identity_dir: "/identity".into(),
            bootstrap_peers: Vec::new(),
            optimum: Optimum::default(),
            gossipsub: Gossipsub::default(),
            gossip_versions: vec![gossip::wire::VERSION],
            handshake: HandshakePolicy::default(),
            quic: false,
            announce: Vec::new(),
            bind_address: None,
            stream_queue_bytes: 64 << 20,
            trace: TraceFilter::ALL,
            sidecar_jwks: None,
            geo: GeoConfig::default(),
            tls: None,
            chain_id: "default".to_owned(),
            random_message_bytes: 512,
        }
    }
}

impl Config {
    /// Returns the settings of the protocol.
    pub fn gossip(&self) -> gossip::Config {
        let Optimum { mesh, max_message_bytes, .. } = self.optimum;
        let mut config = gossip::Config {
            cluster: self.cluster_id.clone().into(),
            profile: self.optimum.profile,
            message_bytes_max: max_message_bytes,
            shard_factor: self.optimum.shard_factor,
            shard_multiplier: self.optimum.shard_multiplier,
            forward_threshold: self.optimum.threshold,
            mesh: gossip::MeshConfig {
                low: mesh.min,
                target: mesh.target,
                high: mesh.max,
                ..gossip::MeshConfig::default()
            },
            limits: gossip::Limits {
                retain_bytes_max: self.optimum.retain_bytes,
                ..gossip::Limits::default()
            },
            ..gossip::Config::default()
        };
        // A fifth more is tolerated where it can be; more than that was not asked for.
        let tolerated = max_message_bytes + max_message_bytes / 5;
        config.message_bytes_max =
            tolerated.min(config.message_bytes_possible()).max(max_message_bytes);
        config
    }
}

impl Config {
    /// Returns the port for peers of the mode that runs, and its variable.
    pub fn p2p_port(&self) -> (u16, &'static str) {
        match self.mode {
            Mode::Optimum => (self.optimum.port, "OPTIMUM_PORT"),
            Mode::Gossipsub => (self.gossipsub.port, "GOSSIPSUB_PORT"),
        }
    }

    /// Returns the longest message of the mode that runs as configured, in bytes.
    pub fn max_message_bytes(&self) -> u64 {
        match self.mode {
            Mode::Optimum => self.optimum.max_message_bytes,
            Mode::Gossipsub => self.gossipsub.max_message_bytes,
        }
    }
}
