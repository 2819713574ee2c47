//! Settings of a node, from environment variables.

mod env;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, path::PathBuf};

use thiserror::Error;

pub use crate::network::bootstrap::{BootstrapError, BootstrapPeer};
use env::Env;

/// Which publish/subscribe protocol a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Coded gossip.
    #[default]
    Optimum,
}

impl Mode {
    /// Returns the name used in configuration, in the handshake and in status answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Optimum => "optimum",
        }
    }
}

/// A value that a node does not start with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}={value:?}: {problem}; allowed: {allowed}")]
pub struct ConfigError {
    /// The environment variable.
    pub variable: &'static str,
    /// What it was set to.
    pub value: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
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

/// Settings of mode gossipsub; checked like the others although no node runs it yet.
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
    /// `BIND_ADDRESS`; none is all addresses, IPv4 and IPv6.
    pub bind_address: Option<IpAddr>,
    /// `STREAM_QUEUE_BYTES`: what waits for one slow reader.
    pub stream_queue_bytes: usize,
    /// `OPTIMUM_TRACE`.
    pub trace: TraceFilter,
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
            bind_address: None,
            stream_queue_bytes: 64 << 20,
            trace: TraceFilter::ALL,
        }
    }
}

/// The help text's list of variables: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("CLUSTER_ID", "(none)", "cluster; must be equal on all nodes that shall find each other"),
    ("NODE_MODE", "optimum", "optimum (gossipsub is not there yet)"),
    ("LOG_LEVEL", "info", "debug, info, warning or error; anything else is info"),
    ("SIDECAR_PORT", "33212", "gRPC port; 0 takes a free one"),
    ("API_PORT", "9090", "HTTP port; 0 takes a free one"),
    ("IDENTITY_DIR", "/identity", "directory of p2p.key; made if absent"),
    ("BOOTSTRAP_PEERS", "(none)", "comma list of /ip4/…/tcp/…/p2p/<peer id>"),
    ("OPTIMUM_PORT", "7070", "libp2p TCP port in mode optimum; 0 takes a free one"),
    ("OPTIMUM_MAX_MSG_SIZE", "1048576", "longest message in bytes; a fifth more is tolerated"),
    ("OPTIMUM_MESH_MIN", "3", "mesh peers of a topic below which new ones are taken"),
    ("OPTIMUM_MESH_TARGET", "6", "mesh peers of a topic aimed at"),
    ("OPTIMUM_MESH_MAX", "12", "mesh peers of a topic above which some are let go"),
    ("OPTIMUM_SHARD_FACTOR", "4", "fragments a message is cut into (k)"),
    ("OPTIMUM_SHARD_MULT", "1.5", "a publisher makes k times this many shards"),
    ("OPTIMUM_THRESHOLD", "0.75", "a relay recodes once it holds more than k times this, 0 to 1"),
    ("OPTIMUM_PROFILE", "documented", "protocol profile: documented"),
    ("OPTIMUM_RETAIN_BYTES", "268435456", "bytes of decoded messages kept for repair"),
    ("OPTIMUM_TRACE", "all", "all, none or a comma list of event types sent to readers"),
    ("OPTIMUM_RANDOM_MSG_SIZE", "512", "accepted, without effect; more than 0"),
    ("GOSSIPSUB_PORT", "6060", "libp2p TCP port in mode gossipsub"),
    ("GOSSIPSUB_MAX_MSG_SIZE", "1048576", "longest message in bytes in mode gossipsub"),
    ("GOSSIPSUB_MESH_MIN", "3", "as OPTIMUM_MESH_MIN in mode gossipsub"),
    ("GOSSIPSUB_MESH_TARGET", "6", "as OPTIMUM_MESH_TARGET in mode gossipsub"),
    ("GOSSIPSUB_MESH_MAX", "12", "as OPTIMUM_MESH_MAX in mode gossipsub"),
    ("BIND_ADDRESS", "(all)", "IP address all ports listen on; empty is all, IPv4 and IPv6"),
    ("STREAM_QUEUE_BYTES", "67108864", "bytes that wait for one slow reader"),
    ("CHAIN_ID", "default", "accepted, without effect"),
    ("OPTIMUM_GEOLOCATION_SERVICE_URL", "(none)", "accepted, without effect: nothing is asked"),
    ("CONFIG_PATH", "(none)", "refused if set: there is no configuration file"),
];

/// Largest message that can be configured, whatever k: 64 fragments of 16 MiB.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for the first variable with a value that is not allowed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))
    }

    /// Reads variables from wherever `lookup` finds them.
    ///
    /// # Errors
    ///
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env::new(&lookup);
        let default = Self::default();
        ignored(&env)?;
        let config = Self {
            cluster_id: env.text("CLUSTER_ID").unwrap_or_default().trim().to_owned(),
            mode: mode(&env)?,
            log_level: env.text("LOG_LEVEL").unwrap_or(default.log_level),
            sidecar_port: env.port("SIDECAR_PORT", default.sidecar_port)?,
            api_port: env.port("API_PORT", default.api_port)?,
            identity_dir: identity_dir(&env)?.unwrap_or(default.identity_dir),
            bootstrap_peers: bootstrap_peers(&env)?,
            optimum: optimum(&env)?,
            gossipsub: gossipsub(&env)?,
            bind_address: bind_address(&env)?,
            stream_queue_bytes: env.integer(
                "STREAM_QUEUE_BYTES",
                1..=usize::MAX,
                default.stream_queue_bytes,
            )?,
            trace: env.with("OPTIMUM_TRACE", default.trace, TraceFilter::parse, || {
                format!("all, none or a comma list of {}", TraceFilter::NAMES.join(", "))
            })?,
        };
        config.check_against_each_other(&env)?;
        Ok(config)
    }

    /// Returns the settings of the protocol.
    pub fn gossip(&self) -> gossip::Config {
        let Optimum { mesh, .. } = self.optimum;
        gossip::Config {
            cluster: self.cluster_id.clone().into(),
            profile: self.optimum.profile,
            message_bytes_max: self.optimum.max_message_bytes + self.optimum.max_message_bytes / 5,
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
        }
    }

    /// What no single variable can be blamed for alone.
    fn check_against_each_other(&self, env: &Env<'_>) -> Result<(), ConfigError> {
        self.gossip().validate().map_err(|error| {
            let (variable, allowed) = match &error {
                gossip::ConfigError::MeshDegrees { .. } => (
                    "OPTIMUM_MESH_TARGET",
                    "OPTIMUM_MESH_MIN ≤ OPTIMUM_MESH_TARGET ≤ OPTIMUM_MESH_MAX",
                ),
                gossip::ConfigError::Cluster { .. } => ("CLUSTER_ID", "1 to 256 bytes, or nothing"),
                gossip::ConfigError::ShardFactor(_) => ("OPTIMUM_SHARD_FACTOR", "1 to 256"),
                gossip::ConfigError::ShardMultiplier(_) => ("OPTIMUM_SHARD_MULT", "1 to 16"),
                gossip::ConfigError::ForwardThreshold(_) => ("OPTIMUM_THRESHOLD", "0 to 1"),
                gossip::ConfigError::MessageBytes { .. } => {
                    ("OPTIMUM_MAX_MSG_SIZE", "what OPTIMUM_SHARD_FACTOR fragments can hold")
                }
                gossip::ConfigError::Zero(_) => ("OPTIMUM_PROFILE", "documented"),
            };
            env.error(variable, error.to_string(), allowed)
        })?;
        let Mesh { min, target, max } = self.gossipsub.mesh;
        if min > target || target > max {
            return Err(env.error(
                "GOSSIPSUB_MESH_TARGET",
                format!("the mesh degrees are min {min}, target {target}, max {max}"),
                "GOSSIPSUB_MESH_MIN ≤ GOSSIPSUB_MESH_TARGET ≤ GOSSIPSUB_MESH_MAX",
            ));
        }
        Ok(())
    }
}

fn ignored(env: &Env<'_>) -> Result<(), ConfigError> {
    env.integer("OPTIMUM_RANDOM_MSG_SIZE", 1..=usize::MAX, 512)?;
    if env.text("CONFIG_PATH").is_some_and(|path| !path.trim().is_empty()) {
        let problem = "this node has no configuration file".to_owned();
        return Err(env.error("CONFIG_PATH", problem, "not set; use environment variables"));
    }
    Ok(())
}

fn mode(env: &Env<'_>) -> Result<Mode, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" | "optimum" => Ok(Mode::Optimum),
        "gossipsub" => Err("this mode is not there yet in this version".to_owned()),
        _ => Err("no such mode".to_owned()),
    };
    env.with("NODE_MODE", Mode::default(), parse, || "optimum".to_owned())
}

fn identity_dir(env: &Env<'_>) -> Result<Option<PathBuf>, ConfigError> {
    match env.text("IDENTITY_DIR") {
        Some(dir) if dir.trim().is_empty() => {
            Err(env.error("IDENTITY_DIR", "it is empty".to_owned(), "the path of a directory"))
        }
        dir => Ok(dir.map(PathBuf::from)),
    }
}

fn bootstrap_peers(env: &Env<'_>) -> Result<Vec<BootstrapPeer>, ConfigError> {
    let entries = env.list("BOOTSTRAP_PEERS");
    let parsed = entries.iter().map(|entry| entry.parse::<BootstrapPeer>());
    parsed.collect::<Result<_, _>>().map_err(|error| {
        let allowed = "a comma list of multiaddresses that end in /p2p/<peer id>";
        env.error("BOOTSTRAP_PEERS", error.to_string(), allowed)
    })
}

fn bind_address(env: &Env<'_>) -> Result<Option<IpAddr>, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "no IP address".to_owned()),
    };
    let allowed = || "an IPv4 or IPv6 address, or empty for all".to_owned();
    env.with("BIND_ADDRESS", None, parse, allowed)
}

fn optimum(env: &Env<'_>) -> Result<Optimum, ConfigError> {
    let default = Optimum::default();
    let profile = |text: &str| match text.trim() {
        "" | "documented" => Ok(gossip::Profile::Documented),
        _ => Err("no such profile".to_owned()),
    };
    let bytes = 1..=MESSAGE_BYTES_MAX;
    Ok(Optimum {
        port: env.port("OPTIMUM_PORT", default.port)?,
        max_message_bytes: env.integer("OPTIMUM_MAX_MSG_SIZE", bytes, default.max_message_bytes)?,
        mesh: mesh(env, ["OPTIMUM_MESH_MIN", "OPTIMUM_MESH_TARGET", "OPTIMUM_MESH_MAX"])?,
        shard_factor: env.integer("OPTIMUM_SHARD_FACTOR", 1..=256, default.shard_factor)?,
        shard_multiplier: env.float("OPTIMUM_SHARD_MULT", 1.0..=16.0, default.shard_multiplier)?,
        threshold: env.float("OPTIMUM_THRESHOLD", 0.0..=1.0, default.threshold)?,
        profile: env.with("OPTIMUM_PROFILE", default.profile, profile, || "documented".into())?,
        retain_bytes: env.integer("OPTIMUM_RETAIN_BYTES", 0..=u64::MAX, default.retain_bytes)?,
    })
}

fn gossipsub(env: &Env<'_>) -> Result<Gossipsub, ConfigError> {
    let default = Gossipsub::default();
    let bytes = 1..=MESSAGE_BYTES_MAX;
    Ok(Gossipsub {
        port: env.port("GOSSIPSUB_PORT", default.port)?,
        max_message_bytes: env.integer(
            "GOSSIPSUB_MAX_MSG_SIZE",
            bytes,
            default.max_message_bytes,
        )?,
        mesh: mesh(env, ["GOSSIPSUB_MESH_MIN", "GOSSIPSUB_MESH_TARGET", "GOSSIPSUB_MESH_MAX"])?,
    })
}

fn mesh(env: &Env<'_>, [min, target, max]: [&'static str; 3]) -> Result<Mesh, ConfigError> {
    let default = Mesh::default();
    Ok(Mesh {
        min: env.integer(min, 1..=1000, default.min)?,
        target: env.integer(target, 1..=1000, default.target)?,
        max: env.integer(max, 1..=1000, default.max)?,
    })
}
