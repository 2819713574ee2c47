//! The nodes and proxies of the cluster, all in this process.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use node::{Config, Handle, Mode, Running};

use crate::{
    arguments::Arguments,
    ports::{LOOPBACK, NodePorts, Ports, ProxyPorts},
    scratch::Scratch,
};

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
    mode: Mode,
    members: Vec<Member>,
    proxies: Vec<ProxyMember>,
    /// Removed at the end, when identities are not kept.
    _temporary: Option<Scratch>,
}

impl Cluster {
    /// Starts the nodes, then the proxies.
    pub(crate) async fn start(arguments: &Arguments, ports: &Ports) -> anyhow::Result<Self> {
        let (data, temporary) = data_folder(arguments.data.as_deref())?;
        let mut cluster = Self {
            mode: arguments.mode.of_node(),
            members: Vec::new(),
            proxies: Vec::new(),
            _temporary: temporary,
        };
        if let Err(error) = cluster.start_all(ports, &data).await {
            cluster.stop().await;
            return Err(error);
        }
        Ok(cluster)
    }

    async fn start_all(&mut self, ports: &Ports, data: &Path) -> anyhow::Result<()> {
        for (number, ports) in (1..).zip(&ports.nodes) {
            let running = node::start(self.config(number, *ports, data)?).await;
            let running =
                running.with_context(|| format!("node {number} does not start; {HINT}"))?;
            self.members.push(Member { number, running });
        }
        for (number, ports) in (1..).zip(&ports.proxies) {
            let running = proxy::start(self.proxy_config(*ports)?).await;
            let running =
                running.with_context(|| format!("proxy {number} does not start; {HINT}"))?;
            self.proxies.push(ProxyMember { number, running });
        }
        Ok(())
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

    fn config(&self, number: u16, ports: NodePorts, data: &Path) -> anyhow::Result<Config> {
        let mut config = Config {
            cluster_id: "devnet".to_owned(),
            mode: self.mode,
            sidecar_port: ports.sidecar,
            api_port: ports.api,
            identity_dir: data.join(format!("node-{number}")),
            bind_address: Some(LOOPBACK),
            ..Config::default()
        };
        (config.optimum.port, config.gossipsub.port) = (ports.libp2p, ports.libp2p);
        if let Some(first) = self.members.first() {
            let address = p2p_address(&first.running).context("node 1 listens nowhere")?;
            config.bootstrap_peers = vec![address.parse().context("the address of node 1")?];
        }
        Ok(config)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn member(&self, number: u16) -> Option<&Member> {
        self.members.iter().find(|member| member.number == number)
    }

    /// Returns what to ask and tell each node with.
    pub(crate) fn handles(&self) -> BTreeMap<u16, Handle> {
        let handle = |member: &Member| (member.number, member.running.handle().clone());
        self.members.iter().map(handle).collect()
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the longest message that nodes take.
    pub(crate) fn message_bytes_max(&self) -> u64 {
        Config { mode: self.mode, ..Config::default() }.max_message_bytes()
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

/// Waits until every node has as many mesh peers of `topic` as it needs; returns how long that
/// took. Many nodes on a slow machine take long: it is given up when nothing got better for `limit`.
pub(crate) async fn until_meshed(
    handles: &BTreeMap<u16, Handle>,
    topic: &str,
    limit: Duration,
) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    // The lower bound of the mesh, or everybody in a smaller cluster.
    let needed = node::Mesh::default().min.min(handles.len().saturating_sub(1));
    for (number, handle) in handles {
        let (mut most, mut since) = (0, Instant::now());
        loop {
            let status = handle.status().await.context("the node stopped")?;
            let in_mesh = |peer: &&node::PeerStatus| peer.mesh.iter().any(|name| name == topic);
            let meshed = status.peers.iter().filter(in_mesh).count();
            if meshed >= needed {
                break;
            }
            if meshed > most {
                (most, since) = (meshed, Instant::now());
            }
            if since.elapsed() > limit {
                bail!(
                    "node {number} has {meshed} of {needed} mesh peers, and since {limit:?} no more"
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
    Ok(begin.elapsed())
}

fn data_folder(kept: Option<&Path>) -> anyhow::Result<(PathBuf, Option<Scratch>)> {
    if let Some(kept) = kept {
        return Ok((kept.to_owned(), None));
    }
    let temporary = Scratch::new().context("make a temporary folder for identities")?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}
