//! Settings from environment variables.

use std::{net::IpAddr, path::PathBuf};

use libp2p::{Multiaddr, multiaddr::Protocol};
use service::{env::Env, geo::GeoConfig, tls::TlsFiles};

use super::{
    BootstrapPeer, Config, ConfigError, Gossipsub, HandshakePolicy, Mesh, Mode, Optimum,
    TraceFilter,
};

/// Largest message that can be configured, whatever k: 64 fragments of 16 MiB.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// What `OPTIMUM_PROFILE` may be.
const PROFILES: &str = "adaptive or documented";

/// What `OPTIMUM_MAX_MSG_SIZE` may be in profile `adaptive`.
const ADAPTIVE_BYTES: &str = "1 to 67108864 in profile adaptive; OPTIMUM_PROFILE=documented takes more with more \
     than 4 fragments (OPTIMUM_SHARD_FACTOR)";

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for the first variable with a value that is not allowed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(service::env::of_process)
    }

    /// Reads variables from wherever `lookup` finds them.
    ///
    /// # Errors
    ///
    /// As [`Config::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env::new(&lookup);
        let default = Self::default();
        no_file(&env)?;
        let config = Self {
            cluster_id: cluster_id(&env)?,
            mode: mode(&env)?,
            log_level: env.text("LOG_LEVEL").unwrap_or(default.log_level),
            sidecar_port: env.port("SIDECAR_PORT", default.sidecar_port)?,
            api_port: env.port("API_PORT", default.api_port)?,
            identity_dir: identity_dir(&env)?.unwrap_or(default.identity_dir),
            bootstrap_peers: bootstrap_peers(&env)?,
            optimum: optimum(&env)?,
            gossipsub: gossipsub(&env)?,
            gossip_versions: default.gossip_versions,
            handshake: handshake(&env)?,
            quic: env.boolean("OPTIMUM_QUIC", default.quic)?,
            announce: announce(&env)?,
            bind_address: bind_address(&env)?,
            stream_queue_bytes: env.integer(
                "STREAM_QUEUE_BYTES",
                1..=usize::MAX,
                default.stream_queue_bytes,
            )?,
            trace: env.with("OPTIMUM_TRACE", default.trace, TraceFilter::parse, || {
                format!("all, none or a comma list of {}", TraceFilter::NAMES.join(", "))
            })?,
            sidecar_jwks: env.filled("SIDECAR_JWKS"),
            geo: GeoConfig::from_env(env)?,
            tls: TlsFiles::from_env(env)?,
            chain_id: env.filled("CHAIN_ID").unwrap_or(default.chain_id),
            random_message_bytes: env.integer(
                "OPTIMUM_RANDOM_MSG_SIZE",
                1..=usize::MAX,
                default.random_message_bytes,
            )?,
        };
        config.check_against_each_other(&env)?;
        Ok(config)
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
                gossip::ConfigError::AdaptiveMessageBytes { .. } => {
                    ("OPTIMUM_MAX_MSG_SIZE", ADAPTIVE_BYTES)
                }
                gossip::ConfigError::Fragments { .. } | gossip::ConfigError::Zero(_) => {
                    ("OPTIMUM_PROFILE", PROFILES)
                }
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
        self.check_ports(env)
    }

    /// All listen at one address. Blamed is a port that was set; one of them was.
    fn check_ports(&self, env: &Env<'_>) -> Result<(), ConfigError> {
        let (p2p, p2p_variable) = self.p2p_port();
        let ports =
            [("SIDECAR_PORT", self.sidecar_port), ("API_PORT", self.api_port), (p2p_variable, p2p)];
        for [one, other] in [[0, 1], [0, 2], [1, 2]].map(|pair| pair.map(|index| ports[index])) {
            if one.1 == other.1 && one.1 != 0 {
                let is_set = env.text(other.0).is_some();
                let (set, taken) = if is_set { (other, one) } else { (one, other) };
                let problem = format!("{} is {} too", taken.0, taken.1);
                return Err(env.error(set.0, problem, "another port for each, or 0"));
            }
        }
        Ok(())
    }
}

/// A control character would forge lines of what is printed, and bytes that are no text become the
/// same mark, so that two clusters would be one.
fn cluster_id(env: &Env<'_>) -> Result<String, ConfigError> {
    let parse = |text: &str| {
        let id = text.trim();
        let is_text = |c: char| !c.is_control() && c != char::REPLACEMENT_CHARACTER;
        if id.chars().all(is_text) {
            Ok(id.to_owned())
        } else {
            Err("it has characters that cannot be read".to_owned())
        }
    };
    let allowed = || "text in UTF-8 without control characters".to_owned();
    env.with("CLUSTER_ID", String::new(), parse, allowed)
}

fn no_file(env: &Env<'_>) -> Result<(), ConfigError> {
    if env.text("CONFIG_PATH").is_some_and(|path| !path.trim().is_empty()) {
        let problem = "this node has no configuration file".to_owned();
        return Err(env.error("CONFIG_PATH", problem, "not set; use environment variables"));
    }
    Ok(())
}

fn mode(env: &Env<'_>) -> Result<Mode, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" | "optimum" => Ok(Mode::Optimum),
        "gossipsub" => Ok(Mode::Gossipsub),
        _ => Err("no such mode".to_owned()),
    };
    env.with("NODE_MODE", Mode::default(), parse, || "optimum or gossipsub".to_owned())
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

fn handshake(env: &Env<'_>) -> Result<HandshakePolicy, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" | "auto" => Ok(HandshakePolicy::Auto),
        "required" => Ok(HandshakePolicy::Required),
        _ => Err("no such policy".to_owned()),
    };
    let default = HandshakePolicy::default();
    env.with("CLUSTER_HANDSHAKE", default, parse, || "auto or required".to_owned())
}

fn announce(env: &Env<'_>) -> Result<Vec<Multiaddr>, ConfigError> {
    let entries = env.list("ANNOUNCE_ADDRESSES");
    let parsed = entries.iter().map(|entry| {
        let mut address: Multiaddr =
            entry.parse().map_err(|error| format!("{entry:?}: {error}"))?;
        if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
            address.pop();
        }
        let reachable = |part: &Protocol<'_>| matches!(part, Protocol::Tcp(_) | Protocol::Udp(_));
        if address.iter().any(|part| reachable(&part)) {
            Ok(address)
        } else {
            Err(format!("{entry:?} names no port"))
        }
    });
    parsed.collect::<Result<_, String>>().map_err(|problem| {
        let allowed = "a comma list of multiaddresses such as /ip4/203.0.113.7/tcp/7070";
        env.error("ANNOUNCE_ADDRESSES", problem, allowed)
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

fn profile(env: &Env<'_>) -> Result<gossip::Profile, ConfigError> {
    let default = gossip::Profile::default();
    let parse = |text: &str| match text.trim() {
        "" => Ok(default),
        text => {
            let mut profiles = gossip::Profile::ALL.into_iter();
            let named = profiles.find(|profile| profile.name() == text);
            named.ok_or_else(|| "no such profile".to_owned())
        }
    };
    env.with("OPTIMUM_PROFILE", default, parse, || PROFILES.to_owned())
}

fn optimum(env: &Env<'_>) -> Result<Optimum, ConfigError> {
    let default = Optimum::default();
    let bytes = 1..=MESSAGE_BYTES_MAX;
    Ok(Optimum {
        port: env.port("OPTIMUM_PORT", default.port)?,
        max_message_bytes: env.integer("OPTIMUM_MAX_MSG_SIZE", bytes, default.max_message_bytes)?,
        mesh: mesh(env, ["OPTIMUM_MESH_MIN", "OPTIMUM_MESH_TARGET", "OPTIMUM_MESH_MAX"])?,
        shard_factor: env.integer("OPTIMUM_SHARD_FACTOR", 1..=256, default.shard_factor)?,
        shard_multiplier: env.float("OPTIMUM_SHARD_MULT", 1.0..=16.0, default.shard_multiplier)?,
        threshold: env.float("OPTIMUM_THRESHOLD", 0.0..=1.0, default.threshold)?,
        profile: profile(env)?,
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
