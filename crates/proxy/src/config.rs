//! Settings of a proxy, from environment variables.

use std::{net::IpAddr, str::FromStr, time::Duration};

use access::AccessConfig;
use api::go_duration;
use service::{
    env::{ConfigError, Env, of_process},
    geo::GeoConfig,
    program::Variable,
    tls::TlsFiles,
};

/// Nodes a proxy may know. Who told of a message is kept as one bit each.
pub(crate) const NODES_MAX: usize = 64;

const OWN: &[Variable] = &[
    ("CLUSTER_ID", "(none)", "a label of every metric, and whose shared state is whose"),
    ("LOG_LEVEL", "info", "debug, info, warning or error; anything else is info"),
    ("PROXY_PORT", ":8080", "HTTP and WebSocket: [host]:port or port; port 0 takes a free one"),
    ("PROXY_HTTP_PORT", "(none)", "the same by an older name; PROXY_PORT wins"),
    ("GATEWAY_PORT", "(none)", "the same by a still older name"),
    ("PROXY_GRPC_PORT", ":50051", "gRPC: [host]:port or port; port 0 takes a free one"),
    ("BIND_ADDRESS", "(all)", "IP address to listen on; a host in PROXY_PORT wins"),
    ("P2P_NODES", "(none)", "comma list of host:port of node sidecars, at most 64"),
    ("ADVERTISE_NODES", "(P2P_NODES)", "what clients are told instead, in the same order"),
    ("SUBSCRIBER_THRESHOLD", "0.1", "share of the nodes, above 0 to 1, if a subscriber names none"),
    ("FALLBACK_DELAY", "2s", "after this a message is given out below the threshold"),
    ("SUBSCRIPTION_TTL", "24h", "after this a subscription without a connection ends"),
    ("STREAM_QUEUE_BYTES", "67108864", "bytes that wait for one slow reader"),
    ("CORS_ORIGINS", "(none)", "comma list of origins that browsers may call from, or *"),
    ("CONFIG_PATH", "(none)", "accepted, without effect"),
    ("ENABLE_DEBUG", "(none)", "accepted, without effect"),
    ("OPTIMUM_GEOLOCATION_SERVICE_URL", "(none)", "accepted, without effect: nothing is asked"),
];

/// Returns the variables a proxy reads: name, default, meaning.
pub fn variables() -> impl Iterator<Item = Variable> {
    [OWN, access::VARIABLES, service::geo::VARIABLES, service::tls::VARIABLES]
        .into_iter()
        .flatten()
        .copied()
}

/// Where one face listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// None is all addresses, IPv4 and IPv6.
    pub ip: Option<IpAddr>,
    /// 0 takes a free one.
    pub port: u16,
    /// The variable that says so.
    pub variable: &'static str,
}

/// `host:port` of a node's sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress(String);

impl NodeAddress {
    /// Returns it as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text:?} has no port"))?;
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        if !is_port {
            return Err(format!("{port:?} in {text:?} is no port"));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = if let Some(ip) = bare {
            ip.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            !host.is_empty() && host.chars().all(known)
        };
        if is_host { Ok(Self(text.to_owned())) } else { Err(format!("{host:?} is no host")) }
    }
}

/// Everything a proxy can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `CLUSTER_ID`.
    pub cluster_id: String,
    /// `LOG_LEVEL`, as written.
    pub log_level: String,
    /// `PROXY_PORT`.
    pub http: Face,
    /// `PROXY_GRPC_PORT`.
    pub grpc: Face,
    /// `P2P_NODES`.
    pub nodes: Vec<NodeAddress>,
    /// `ADVERTISE_NODES`, as many as nodes.
    pub advertised: Vec<NodeAddress>,
    /// `SUBSCRIBER_THRESHOLD`.
    pub threshold: f64,
    /// `FALLBACK_DELAY`.
    pub fallback_delay: Duration,
    /// `SUBSCRIPTION_TTL`.
    pub subscription_ttl: Duration,
    /// `STREAM_QUEUE_BYTES`.
    pub stream_queue_bytes: usize,
    /// `CORS_ORIGINS`.
    pub cors_origins: Vec<String>,
    /// Who clients are, and what proxies share.
    pub access: AccessConfig,
    /// `GEOIP_DB`, `GEO_*`.
    pub geo: GeoConfig,
    /// `TLS_CERT` and `TLS_KEY`.
    pub tls: Option<TlsFiles>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster_id: String::new(),
            log_level: "info".to_owned(),
            http: Face { ip: None, port: 8080, variable: "PROXY_PORT" },
            grpc: Face { ip: None, port: 50_051, variable: "PROXY_GRPC_PORT" },
            nodes: Vec::new(),
            advertised: Vec::new(),
            threshold: 0.1,
            fallback_delay: Duration::from_secs(2),
            subscription_ttl: Duration::from_secs(24 * 3600),
            stream_queue_bytes: 64 << 20,
            cors_origins: Vec::new(),
            access: AccessConfig::default(),
            geo: GeoConfig::default(),
            tls: None,
        }
    }
}

impl Config {
    /// Reads the variables of the process.
    ///
    /// # Errors
    ///
    /// As [`Config::from_lookup`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(&of_process)
    }

    /// Reads the variables that `lookup` finds.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for the first value that is none.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = Env::new(lookup);
        let default = Self::default();
        let bind = bind_address(env)?;
        let nodes = addresses(env, "P2P_NODES")?;
        let text = |name, default: &str| env.filled(name).unwrap_or_else(|| default.to_owned());
        Ok(Self {
            cluster_id: text("CLUSTER_ID", ""),
            log_level: text("LOG_LEVEL", &default.log_level),
            http: http_face(env, bind, default.http)?,
            grpc: face(env, "PROXY_GRPC_PORT", bind, default.grpc)?,
            advertised: advertised(env, &nodes)?,
            nodes,
            threshold: threshold(env, default.threshold)?,
            fallback_delay: duration(env, "FALLBACK_DELAY", default.fallback_delay)?,
            subscription_ttl: duration(env, "SUBSCRIPTION_TTL", default.subscription_ttl)?,
            stream_queue_bytes: env.integer(
                "STREAM_QUEUE_BYTES",
                0..=1 << 40,
                default.stream_queue_bytes,
            )?,
            cors_origins: cors_origins(env)?,
            access: AccessConfig::from_env(env)?,
            geo: GeoConfig::from_env(env)?,
            tls: TlsFiles::from_env(env)?,
        })
    }

    /// Returns where clients of the HTTP face on this machine find `/api/v1/health`.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is not known here.
    pub fn health_url(&self) -> anyhow::Result<String> {
        let Face { ip, port, variable } = self.http;
        service::program::health_url(ip, port, variable, self.tls.is_some())
    }
}

fn bind_address(env: Env<'_>) -> Result<Option<IpAddr>, ConfigError> {
    let parse = |text: &str| match text.trim() {
        "" => Ok(None),
        ip => ip.parse().map(Some).map_err(|_| "no IP address".to_owned()),
    };
    env.with("BIND_ADDRESS", None, parse, || "an IP address, or empty for all".to_owned())
}

fn http_face(env: Env<'_>, bind: Option<IpAddr>, default: Face) -> Result<Face, ConfigError> {
    for variable in ["PROXY_PORT", "PROXY_HTTP_PORT", "GATEWAY_PORT"] {
        if env.filled(variable).is_some() {
            return face(env, variable, bind, default);
        }
    }
    Ok(Face { ip: bind, ..default })
}

/// Reads where to listen, in Go's way: `:8080`, `host:8080`, and the port alone.
fn face(
    env: Env<'_>,
    variable: &'static str,
    bind: Option<IpAddr>,
    default: Face,
) -> Result<Face, ConfigError> {
    let default = Face { ip: bind, variable, ..default };
    let parse = |text: &str| {
        let text = text.trim();
        if text.is_empty() {
            return Ok(default);
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
        let ip = match host.trim_start_matches('[').trim_end_matches(']') {
            "" => bind,
            "localhost" => Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
            ip => Some(ip.parse().map_err(|_| format!("{ip:?} is no IP address"))?),
        };
        Ok(Face { ip, port, variable })
    };
    env.with(variable, default, parse, || ":8080, 127.0.0.1:8080, [::1]:8080 or 8080".to_owned())
}

fn addresses(env: Env<'_>, variable: &'static str) -> Result<Vec<NodeAddress>, ConfigError> {
    let allowed = format!("a comma list of host:port, each once, at most {NODES_MAX}");
    let mut all = Vec::new();
    for entry in env.list(variable) {
        let address: NodeAddress =
            entry.parse().map_err(|problem| env.error(variable, problem, &allowed))?;
        if all.contains(&address) {
            return Err(env.error(variable, format!("{entry} is there twice"), &allowed));
        }
        all.push(address);
    }
    if all.len() > NODES_MAX {
        return Err(env.error(variable, format!("{} nodes", all.len()), &allowed));
    }
    Ok(all)
}

fn advertised(env: Env<'_>, nodes: &[NodeAddress]) -> Result<Vec<NodeAddress>, ConfigError> {
    const VARIABLE: &str = "ADVERTISE_NODES";
    let advertised = addresses(env, VARIABLE)?;
    if advertised.is_empty() {
        return Ok(nodes.to_vec());
    }
    if advertised.len() != nodes.len() {
        let problem = format!("{} addresses for {} nodes", advertised.len(), nodes.len());
        return Err(env.error(VARIABLE, problem, "as many as P2P_NODES, in the same order"));
    }
    Ok(advertised)
}

fn threshold(env: Env<'_>, default: f64) -> Result<f64, ConfigError> {
    const VARIABLE: &str = "SUBSCRIBER_THRESHOLD";
    let threshold = env.float(VARIABLE, 0.0..=1.0, default)?;
    if threshold > 0.0 {
        return Ok(threshold);
    }
    Err(env.error(VARIABLE, "no share of the nodes".to_owned(), "a number above 0, at most 1"))
}

fn duration(
    env: Env<'_>,
    variable: &'static str,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let parse = |text: &str| {
        let duration = go_duration::parse(text.trim()).filter(|_| !text.trim().starts_with('-'));
        // A year: more is a slip of the pen, and far times overflow.
        let within = duration.filter(|duration| *duration <= Duration::from_secs(366 * 24 * 3600));
        within.ok_or_else(|| "no duration".to_owned())
    };
    env.with(variable, default, parse, || {
        "a duration such as 500ms, 2s, 24h, at most a year".into()
    })
}

fn cors_origins(env: Env<'_>) -> Result<Vec<String>, ConfigError> {
    const VARIABLE: &str = "CORS_ORIGINS";
    let origins = env.list(VARIABLE);
    let is_origin = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let visible = |c: char| c.is_ascii_graphic() && c != '/';
        origin == "*" || rest.is_some_and(|host| !host.is_empty() && host.chars().all(visible))
    };
    match origins.iter().find(|origin| !is_origin(origin)) {
        Some(wrong) => {
            let allowed = "a comma list of origins such as https://app.example, or *";
            Err(env.error(VARIABLE, format!("{wrong:?} is no origin"), allowed))
        }
        None => Ok(origins),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        assert_eq!(read(&[]).expect("allowed"), Config::default());
    }

    #[test]
    fn ports_are_written_in_gos_way_or_alone() {
        let loopback: IpAddr = "127.0.0.1".parse().expect("an address");
        for (text, ip, port) in [
            (":8081", None, 8081),
            ("8081", None, 8081),
            ("127.0.0.1:8081", Some(loopback), 8081),
            ("localhost:0", Some(loopback), 0),
            ("[::1]:8081", Some("::1".parse().expect("an address")), 8081),
            ("", None, 8080),
        ] {
            let face = read(&[("PROXY_PORT", text)]).expect(text).http;
            assert_eq!((face.ip, face.port), (ip, port), "{text}");
        }
        let bound = [("BIND_ADDRESS", "127.0.0.1"), ("PROXY_PORT", ":1"), ("PROXY_GRPC_PORT", "2")];
        let config = read(&bound).expect("allowed");
        assert_eq!((config.http.ip, config.grpc.ip), (Some(loopback), Some(loopback)));
        let old = read(&[("GATEWAY_PORT", "7000")]).expect("allowed").http;
        assert_eq!((old.port, old.variable), (7000, "GATEWAY_PORT"));
    }

    #[test]
    fn nodes_are_hosts_with_ports_and_advertised_by_their_own_or_other_names() {
        let nodes = ("P2P_NODES", "p2pnode-1:33212, 10.0.0.2:33212,[::1]:1");
        let config = read(&[nodes]).expect("allowed");
        let written = |all: &[NodeAddress]| {
            all.iter().map(|node| node.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(written(&config.nodes), ["p2pnode-1:33212", "10.0.0.2:33212", "[::1]:1"]);
        assert_eq!(config.advertised, config.nodes);
        let other = ("ADVERTISE_NODES", "localhost:33221,localhost:33222,localhost:33223");
        let config = read(&[nodes, other]).expect("allowed");
        assert_eq!(config.advertised[2].as_str(), "localhost:33223");
    }

    #[test]
    fn durations_are_gos() {
        let config = read(&[("FALLBACK_DELAY", "1m30s"), ("SUBSCRIPTION_TTL", "500ms")]);
        let config = config.expect("allowed");
        assert_eq!(config.fallback_delay, Duration::from_secs(90));
        assert_eq!(config.subscription_ttl, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let many = (1..=65).map(|port| format!("h:{port}")).collect::<Vec<_>>().join(",");
        for (variable, value, says) in [
            ("PROXY_PORT", "http", "is no port"),
            ("PROXY_PORT", "example.org:80", "is no IP address"),
            ("PROXY_GRPC_PORT", "99999", "is no port"),
            ("P2P_NODES", "p2pnode-1", "has no port"),
            ("P2P_NODES", "a:0", "is no port"),
            ("P2P_NODES", "http://a:1", "is no host"),
            ("P2P_NODES", "a:1,a:1", "twice"),
            ("P2P_NODES", &many, "65 nodes"),
            ("ADVERTISE_NODES", "a:1", "1 addresses for 0 nodes"),
            ("SUBSCRIBER_THRESHOLD", "0", "above 0"),
            ("SUBSCRIBER_THRESHOLD", "1.1", "out of range"),
            ("FALLBACK_DELAY", "2", "no duration"),
            ("FALLBACK_DELAY", "-1s", "no duration"),
            ("SUBSCRIPTION_TTL", "99999999h", "at most a year"),
            ("CORS_ORIGINS", "app.example", "is no origin"),
            ("BIND_ADDRESS", "here", "no IP address"),
        ] {
            let error = read(&[(variable, value)]).expect_err(value);
            assert_eq!(error.variable, variable);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn every_variable_that_is_read_is_in_the_help() {
        let asked = RefCell::new(BTreeSet::new());
        let read = Config::from_lookup(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        });
        assert!(read.is_ok());
        let listed: BTreeSet<_> = variables().map(|(name, _, _)| name.to_owned()).collect();
        assert!(asked.borrow().is_subset(&listed), "{asked:?}");
    }
}
