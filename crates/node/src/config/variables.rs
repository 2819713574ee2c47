//! The variables a node reads, for its help.

const OWN: &[(&str, &str, &str)] = &[
    ("CLUSTER_ID", "(none)", "cluster; must be equal on all nodes that shall find each other"),
    ("NODE_MODE", "optimum", "optimum: coded gossip; gossipsub: GossipSub as others speak it"),
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
    ("OPTIMUM_SHARD_FACTOR", "4", "profile documented: fragments a message is cut into (k)"),
    ("OPTIMUM_SHARD_MULT", "1.5", "profile documented: a publisher makes k times this many shards"),
    ("OPTIMUM_THRESHOLD", "0.75", "profile documented: a relay recodes above k times this, 0 to 1"),
    ("OPTIMUM_PROFILE", "adaptive", "adaptive or documented; the same on all nodes of a cluster"),
    ("OPTIMUM_RETAIN_BYTES", "268435456", "bytes of decoded messages kept for repair"),
    ("OPTIMUM_TRACE", "all", "all, none or a comma list of event types sent to readers"),
    ("OPTIMUM_RANDOM_MSG_SIZE", "512", "accepted, without effect; more than 0"),
    ("GOSSIPSUB_PORT", "6060", "libp2p TCP port in mode gossipsub"),
    ("GOSSIPSUB_MAX_MSG_SIZE", "1048576", "longest message in bytes in mode gossipsub"),
    ("GOSSIPSUB_MESH_MIN", "3", "as OPTIMUM_MESH_MIN in mode gossipsub"),
    ("GOSSIPSUB_MESH_TARGET", "6", "as OPTIMUM_MESH_TARGET in mode gossipsub"),
    ("GOSSIPSUB_MESH_MAX", "12", "as OPTIMUM_MESH_MAX in mode gossipsub"),
    ("CLUSTER_HANDSHAKE", "auto", "required, or auto: in mode gossipsub others need not speak it"),
    ("OPTIMUM_QUIC", "false", "QUIC for peers beside TCP, on the UDP port of the same number"),
    ("ANNOUNCE_ADDRESSES", "(none)", "comma list of multiaddresses told to peers instead"),
    ("BIND_ADDRESS", "(all)", "IP address all ports listen on; empty is all, IPv4 and IPv6"),
    ("STREAM_QUEUE_BYTES", "67108864", "bytes that wait for one slow reader"),
    ("SIDECAR_JWKS", "(none)", "file or URL of keys that sign tickets; empty ignores tickets"),
    ("CHAIN_ID", "default", "accepted, without effect"),
    ("OPTIMUM_GEOLOCATION_SERVICE_URL", "(none)", "accepted, without effect: nothing is asked"),
    ("CONFIG_PATH", "(none)", "refused if set: there is no configuration file"),
];

/// Returns the variables a node reads: name, default, meaning.
pub fn variables() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    [OWN, service::geo::VARIABLES, service::tls::VARIABLES].into_iter().flatten().copied()
}
