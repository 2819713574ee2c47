//! What the tests of whole nodes share: settings on free ports of loopback, and waiting for events
//! instead of for time.

pub(crate) mod client;

use std::{net::Ipv4Addr, time::Duration};

use libp2p::{identity::Keypair, multiaddr::Protocol};
use node::{BootstrapPeer, Config, Running, Status};

/// How long anything may take before a test gives up on it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at that nothing tells of.
const LOOK: Duration = Duration::from_millis(20);

/// Settings of a node of `cluster` on free ports that knows `bootstrap`.
pub(crate) fn config(cluster: &str, bootstrap: &[&Running]) -> Config {
    let mut config = Config {
        cluster_id: cluster.to_owned(),
        sidecar_port: 0,
        api_port: 0,
        bind_address: Some(Ipv4Addr::LOCALHOST.into()),
        bootstrap_peers: bootstrap.iter().map(|node| entry(node)).collect(),
        ..Config::default()
    };
    config.optimum.port = 0;
    config
}

/// The bootstrap entry of a running node.
pub(crate) fn entry(node: &Running) -> BootstrapPeer {
    BootstrapPeer { peer: node.peer_id(), address: node.p2p_addresses()[0].clone() }
}

/// The port a running node listens on for peers.
pub(crate) fn p2p_port(node: &Running) -> u16 {
    let Some(Protocol::Tcp(port)) = node.p2p_addresses()[0].iter().nth(1) else {
        panic!("an IP address and a TCP port");
    };
    port
}

/// Starts a node with an identity of its own.
pub(crate) async fn start(config: Config) -> Running {
    node::start_as(config, Keypair::generate_ed25519()).await.expect("the node starts")
}

/// Waits until the node's status is as wanted.
pub(crate) async fn until(node: &Running, what: &str, wanted: impl Fn(&Status) -> bool) {
    let look = async {
        while !wanted(&node.handle().status().await.expect("the node runs")) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LIMIT, look).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Waits until the node has this many peers.
pub(crate) async fn until_peers(node: &Running, peers: usize) {
    until(node, &format!("{peers} peers"), |status| status.peers.len() == peers).await;
}
