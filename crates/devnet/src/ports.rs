//! Which port is whose.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;

use crate::arguments::Arguments;

/// Where everything listens.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where the live page is, beyond the ports of all proxies.
const PAGE: u16 = 8_090;

/// Where Prometheus is, beyond the ports of all nodes.
const PROMETHEUS: u16 = 9_190;

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodePorts {
    pub(crate) sidecar: u16,
    pub(crate) api: u16,
    pub(crate) libp2p: u16,
}

/// The ports of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProxyPorts {
    pub(crate) http: u16,
    pub(crate) grpc: u16,
}

/// The ports of a cluster; 0 is one that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Node 1 first.
    pub(crate) nodes: Vec<NodePorts>,
    /// Proxy 1 first.
    pub(crate) proxies: Vec<ProxyPorts>,
    /// The live page's.
    pub(crate) page: Option<u16>,
    /// Prometheus'.
    pub(crate) prometheus: Option<u16>,
}

impl Ports {
    /// Returns the ports that were asked for.
    ///
    /// # Errors
    ///
    /// Returns an error if some are beyond 65535.
    pub(crate) fn of(arguments: &Arguments) -> anyhow::Result<Self> {
        let Arguments { nodes, proxies, base_port, .. } = *arguments;
        let ports = match base_port {
            None => Some(Self::of_the_guide(nodes, proxies)),
            Some(0) => Some(Self::free(nodes, proxies)),
            Some(base) => Self::from(base, nodes, proxies),
        };
        let ports = ports.with_context(|| {
            let needed = 3 * nodes + 2 * proxies + 2;
            let highest = u16::MAX - needed + 1;
            format!(
                "{needed} ports from {} on are beyond 65535; choose a --base-port of at most \
                 {highest}",
                base_port.unwrap_or_default()
            )
        })?;
        Ok(Self {
            page: ports.page.filter(|_| !arguments.no_page),
            prometheus: ports.prometheus.filter(|_| arguments.prometheus),
            ..ports
        })
    }

    fn of_the_guide(nodes: u16, proxies: u16) -> Self {
        let node = |i| NodePorts { sidecar: 33_220 + i, api: 9_090 + i, libp2p: 7_070 + i };
        let proxy = |j| ProxyPorts { http: 8_080 + j, grpc: 50_050 + j };
        Self {
            nodes: (1..=nodes).map(node).collect(),
            proxies: (1..=proxies).map(proxy).collect(),
            page: Some(PAGE),
            prometheus: Some(PROMETHEUS),
        }
    }

    fn free(nodes: u16, proxies: u16) -> Self {
        let node = NodePorts { sidecar: 0, api: 0, libp2p: 0 };
        Self {
            nodes: vec![node; nodes.into()],
            proxies: vec![ProxyPorts { http: 0, grpc: 0 }; proxies.into()],
            page: Some(0),
            prometheus: Some(0),
        }
    }

    /// None if there are not enough from `base` on.
    fn from(base: u16, nodes: u16, proxies: u16) -> Option<Self> {
        let mut ports = base..=u16::MAX;
        let mut next = || ports.next();
        let mut all = Self { nodes: Vec::new(), proxies: Vec::new(), page: None, prometheus: None };
        for _ in 0..nodes {
            all.nodes.push(NodePorts { sidecar: next()?, api: next()?, libp2p: next()? });
        }
        for _ in 0..proxies {
            all.proxies.push(ProxyPorts { http: next()?, grpc: next()? });
        }
        (all.page, all.prometheus) = (Some(next()?), Some(next()?));
        Some(all)
    }

    /// Finds a port in use before anything is started, so that the error names it and the way out.
    ///
    /// # Errors
    ///
    /// Returns an error that names the port and whose it was to be.
    pub(crate) fn check_free(&self) -> anyhow::Result<()> {
        for (number, ports) in (1..).zip(&self.nodes) {
            let whose = format!("node {number}");
            check_free(&format!("sidecar of {whose}"), ports.sidecar)?;
            check_free(&format!("API of {whose}"), ports.api)?;
            check_free(&format!("libp2p of {whose}"), ports.libp2p)?;
        }
        for (number, ports) in (1..).zip(&self.proxies) {
            check_free(&format!("HTTP of proxy {number}"), ports.http)?;
            check_free(&format!("gRPC of proxy {number}"), ports.grpc)?;
        }
        self.page.map_or(Ok(()), |port| check_free("the live page", port))?;
        self.prometheus.map_or(Ok(()), |port| check_free("Prometheus", port))
    }
}

fn check_free(whose: &str, port: u16) -> anyhow::Result<()> {
    if port != 0 {
        TcpListener::bind(SocketAddr::new(LOOPBACK, port)).with_context(|| {
            format!(
                "port {port} ({whose}) cannot be used; if another cluster runs, end it (`make \
                 down` for a detached one), or choose other ports with --base-port"
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn ports(arguments: &[&str]) -> anyhow::Result<Ports> {
        let all = std::iter::once("devnet").chain(arguments.iter().copied());
        Ports::of(&Arguments::try_parse_from(all).expect("sound arguments"))
    }

    fn of_node(ports: &Ports, number: usize) -> (u16, u16, u16) {
        let NodePorts { sidecar, api, libp2p } = ports.nodes[number - 1];
        (sidecar, api, libp2p)
    }

    fn of_proxy(ports: &Ports, number: usize) -> (u16, u16) {
        let ProxyPorts { http, grpc } = ports.proxies[number - 1];
        (http, grpc)
    }

    #[test]
    fn the_default_ports_are_the_guides() {
        let ports = ports(&[]).expect("ports");
        assert_eq!(of_node(&ports, 1), (33_221, 9_091, 7_071));
        assert_eq!(of_node(&ports, 4), (33_224, 9_094, 7_074));
        assert_eq!(of_proxy(&ports, 1), (8_081, 50_051));
        assert_eq!(of_proxy(&ports, 2), (8_082, 50_052));
        assert_eq!((ports.page, ports.prometheus), (Some(8_090), None));
    }

    #[test]
    fn the_ports_of_the_largest_cluster_differ() {
        let ports = ports(&["--nodes=64", "--proxies=8", "--prometheus"]).expect("ports");
        let nodes = ports.nodes.iter().flat_map(|node| [node.sidecar, node.api, node.libp2p]);
        let proxies = ports.proxies.iter().flat_map(|proxy| [proxy.http, proxy.grpc]);
        let mut all: Vec<_> =
            nodes.chain(proxies).chain(ports.page).chain(ports.prometheus).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 64 * 3 + 8 * 2 + 2);
    }

    #[test]
    fn a_base_port_is_the_first_of_all() {
        let ports = ports(&["--base-port=5000", "--prometheus"]).expect("ports");
        assert_eq!(of_node(&ports, 1), (5000, 5001, 5002));
        assert_eq!(of_node(&ports, 3), (5006, 5007, 5008));
        assert_eq!(of_proxy(&ports, 2), (5014, 5015));
        assert_eq!((ports.page, ports.prometheus), (Some(5016), Some(5017)));
    }

    #[test]
    fn base_port_0_takes_free_ones_and_no_page_has_none() {
        let ports = ports(&["--base-port", "0", "--no-page"]).expect("ports");
        assert_eq!((of_node(&ports, 4), of_proxy(&ports, 2)), ((0, 0, 0), (0, 0)));
        assert_eq!((ports.page, ports.prometheus), (None, None));
    }

    #[test]
    fn a_base_port_that_is_too_high_is_refused_with_the_highest() {
        ports(&["--base-port", "65518"]).expect("the last 18 ports");
        let error = ports(&["--base-port", "65519"]).expect_err("one too few").to_string();
        assert!(error.contains("65519") && error.contains("65518"), "{error}");
    }
}
