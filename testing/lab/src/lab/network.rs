//! Namespaces of nodes around one of a bridge, every link shaped both ways.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result};
use lab::namespace::{BURST_KB, Namespace, run};

use crate::delay::DelayProcess;

/// The device of a node that its shaped link begins at.
pub(crate) const DEVICE: &str = "veth0";

/// What the links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) nodes: usize,
    /// Of each link, both ways.
    pub(crate) mbps: u32,
    /// One way, from any node to any other.
    pub(crate) latency_ms: u32,
}

/// The network; all of it goes when this is dropped.
pub(crate) struct Network {
    // First, so that it ends before its namespace goes.
    delay: Option<DelayProcess>,
    nodes: Vec<Arc<Namespace>>,
    _hub: Namespace,
}

/// Returns where a node is.
pub(crate) fn address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 222, 0, node as u8 + 1)
}

/// Returns the hardware address of a node, which ends in its place.
pub(crate) fn hardware_address(node: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, node as u8 + 1]
}

impl Network {
    /// Makes namespaces, devices and shapes, and starts what delays packets, if they are to be.
    pub(crate) fn make(links: Links, congestion: &str) -> Result<Self> {
        let id = std::process::id();
        let hub = Namespace::make(format!("lab-{id}-hub"))?;
        // One bridge joins all nodes; when packets are delayed, each node has a bridge of its own to
        // a TAP device, and what carries packets between those is a program.
        if links.latency_ms == 0 {
            bridge(&hub, "bridge")?;
        }
        let mut nodes = Vec::new();
        for node in 0..links.nodes {
            let namespace = Namespace::make(format!("lab-{id}-{node}"))?;
            join(&hub, &namespace, node, links, congestion)
                .with_context(|| format!("node {node} gets no link"))?;
            nodes.push(Arc::new(namespace));
        }
        let delay = (links.latency_ms > 0)
            .then(|| DelayProcess::start(&hub, links.nodes, links.latency_ms))
            .transpose()?;
        Ok(Self { delay, nodes, _hub: hub })
    }

    /// Returns the namespace of a node.
    pub(crate) fn namespace(&self, node: usize) -> &Arc<Namespace> {
        &self.nodes[node]
    }

    /// Returns the process that delays packets.
    pub(crate) fn delay_process(&self) -> Option<u32> {
        self.delay.as_ref().map(DelayProcess::id)
    }
}

fn bridge(hub: &Namespace, name: &str) -> Result<()> {
    hub.ip(&format!("link add {name} type bridge mcast_snooping 0"))?;
    hub.ip(&format!("link set {name} up"))
}

/// Joins a node to the hub by a veth pair, shaped at both ends.
fn join(
    hub: &Namespace,
    namespace: &Namespace,
    node: usize,
    links: Links,
    congestion: &str,
) -> Result<()> {
    let end = format!("veth{node}");
    run(&format!(
        "ip link add {DEVICE} netns {} type veth peer name {end} netns {}",
        namespace.name(),
        hub.name()
    ))?;
    let hardware: Vec<String> =
        hardware_address(node).iter().map(|byte| format!("{byte:02x}")).collect();
    // No addresses that are not asked for: packets of theirs would count.
    namespace.ip(&format!("link set {DEVICE} address {} addrgenmode none", hardware.join(":")))?;
    namespace.ip(&format!("address add {}/24 dev {DEVICE}", address(node)))?;
    namespace.ip(&format!("link set {DEVICE} up"))?;
    namespace.ip("link set lo up")?;
    namespace.ip(&format!("route replace 10.222.0.0/24 dev {DEVICE} congctl {congestion}"))?;
    namespace.shape(DEVICE, links.mbps, BURST_KB)?;
    let bridge_name = if links.latency_ms == 0 {
        "bridge".to_owned()
    } else {
        let name = format!("bridge{node}");
        bridge(hub, &name)?;
        let tap = crate::delay::tap_name(node);
        hub.ip(&format!("tuntap add dev {tap} mode tap vnet_hdr"))?;
        hub.ip(&format!("link set {tap} master {name} addrgenmode none up"))?;
        name
    };
    hub.ip(&format!("link set {end} master {bridge_name} addrgenmode none up"))?;
    hub.shape(&end, links.mbps, BURST_KB)
}
