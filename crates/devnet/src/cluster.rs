//! The nodes and proxies of the cluster, all in this process.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use node::{Config, Running};
use tempfile::TempDir;

use crate::arguments::{Arguments, Ports, ProxyPorts};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What to do about most starts that fail.
const HINT: &str = "if a port is in use, choose others with --base-port";

/// How often the nodes are asked whether the mesh stands.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A node and what it is called.
#[derive(Debug)]
pub(crate) struct Member {
    /// Counted from 1.
    pub(crate) number: u16,
    pub(crate) running: Running,
}

/// A proxy and what it is called.
#[derive(Debug)]
pub(crate) struct ProxyMember {
    /// Counted from 1.
    pub(crate) number: u16,
    pub(crate) running: proxy::Running,
}

/// The nodes, node 1 first, of which the others know only node 1 at the start; and the proxies,
/// which know all nodes.
#[derive(Debug)]
pub(crate) struct Cluster {
    members: Vec<Member>,
    proxies: Vec<ProxyMember>,
    /// Removed at the end, when identities are not kept.
    _temporary: Option<TempDir>,
}

impl Cluster {
    /// Starts the nodes, then the proxies.
    pub(crate) async fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut all_ports = Vec::new();
        for number in 1..=arguments.nodes {
            let ports = arguments.ports(number).with_context(|| {
                format!("the ports of node {number} are beyond 65535; choose a lower --base-port")
            })?;
            check_free(&format!("node {number}"), &ports.named())?;
            all_ports.push(ports);
        }
        let mut proxy_ports = Vec::new();
        for number in 1..=arguments.proxies {
            let ports = arguments.proxy_ports(number).with_context(|| {
                format!("the ports of proxy {number} are beyond 65535; choose a lower --base-port")
            })?;
            check_free(&format!("proxy {number}"), &ports.named())?;
            proxy_ports.push(ports);
        }
        let (data, temporary) = data_folder(arguments.data.as_deref())?;
        let mut cluster = Self { members: Vec::new(), proxies: Vec::new(), _temporary: temporary };
        for (number, ports) in (1..).zip(all_ports) {
            let config = cluster.config(number, ports, &data)?;
            match node::start(config).await {
                Ok(running) => cluster.members.push(Member { number, running }),
                Err(error) => {
                    cluster.stop().await;
                    return Err(error.context(format!("node {number} does not start; {HINT}")));
                }
            }
        }
        for (number, ports) in (1..).zip(proxy_ports) {
            match proxy::start(cluster.proxy_config(ports)?).await {
                Ok(running) => cluster.proxies.push(ProxyMember { number, running }),
                Err(error) => {
                    cluster.stop().await;
                    return Err(error.context(format!("proxy {number} does not start; {HINT}")));
                }
            }
        }
        Ok(cluster)
    }

    fn proxy_config(&self, ports: ProxyPorts) -> anyhow::Result<proxy::Config> {
        let nodes = self.members.iter().map(|member| member.running.sidecar_address().to_string());
        let nodes = nodes.map(|address| address.parse().map_err(anyhow::Error::msg));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let mut config = proxy::Config {
            cluster_id: "devnet".to_owned(),
            advertised: nodes.clone(),
            nodes,
            ..proxy::Config::default()
        };
        (config.http.ip, config.http.port) = (Some(LOOPBACK), ports.http);
        (config.grpc.ip, config.grpc.port) = (Some(LOOPBACK), ports.grpc);
        Ok(config)
    }

    pub(crate) fn proxies(&self) -> &[ProxyMember] {
        &self.proxies
    }

    fn config(&self, number: u16, ports: Ports, data: &Path) -> anyhow::Result<Config> {
        let mut config = Config {
            cluster_id: "devnet".to_owned(),
            sidecar_port: ports.sidecar,
            api_port: ports.api,
            identity_dir: data.join(format!("node-{number}")),
            bind_address: Some(LOOPBACK),
            ..Config::default()
        };
        config.optimum.port = ports.libp2p;
        if let Some(first) = self.members.first() {
            let address = p2p_address(&first.running).context("node 1 listens nowhere")?;
            config.bootstrap_peers = vec![address.parse().context("the address of node 1")?];
        }
        Ok(config)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Waits until every node has as many mesh peers of `topic` as it needs; returns how long that
    /// took.
    pub(crate) async fn until_meshed(
        &self,
        topic: &str,
        limit: Duration,
    ) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        // The lower bound of the mesh, or everybody in a smaller cluster.
        let needed = Config::default().optimum.mesh.min.min(self.members.len() - 1);
        for Member { number, running } in &self.members {
            loop {
                let status = running.handle().status().await.context("the node stopped")?;
                let in_mesh = |peer: &&node::PeerStatus| peer.mesh.iter().any(|name| name == topic);
                let meshed = status.peers.iter().filter(in_mesh).count();
                if meshed >= needed {
                    break;
                }
                if begin.elapsed() > limit {
                    bail!("node {number} has {meshed} of {needed} mesh peers after {limit:?}");
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        Ok(begin.elapsed())
    }

    /// Stops the proxies, then all nodes at once, and waits until their ports are free.
    pub(crate) async fn stop(&mut self) {
        let mut stopping = tokio::task::JoinSet::new();
        for proxy in self.proxies.drain(..) {
            stopping.spawn(proxy.running.shutdown());
        }
        while stopping.join_next().await.is_some() {}
        for member in self.members.drain(..) {
            stopping.spawn(member.running.shutdown());
        }
        stopping.join_all().await;
    }
}

/// Returns where a node is reached by others, its id included.
pub(crate) fn p2p_address(running: &Running) -> Option<String> {
    let address = running.p2p_addresses().first()?;
    Some(format!("{address}/p2p/{}", running.peer_id()))
}

/// Finds a port in use before anything is started, so that the error names it and the way out.
fn check_free(whose: &str, ports: &[(&str, u16)]) -> anyhow::Result<()> {
    for (what, port) in ports.iter().filter(|(_, port)| *port != 0) {
        TcpListener::bind(SocketAddr::new(LOOPBACK, *port)).with_context(|| {
            format!(
                "port {port} ({what} of {whose}) cannot be used; free it, or choose others with \
                 --base-port"
            )
        })?;
    }
    Ok(())
}

impl Ports {
    fn named(self) -> [(&'static str, u16); 3] {
        [("sidecar", self.sidecar), ("API", self.api), ("libp2p", self.libp2p)]
    }
}

impl ProxyPorts {
    fn named(self) -> [(&'static str, u16); 2] {
        [("HTTP", self.http), ("gRPC", self.grpc)]
    }
}

fn data_folder(kept: Option<&Path>) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    if let Some(kept) = kept {
        return Ok((kept.to_owned(), None));
    }
    let temporary = tempfile::tempdir().context("make a temporary folder for identities")?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}
