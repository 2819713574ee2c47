//! The command line.

use std::path::PathBuf;

/// Starts a local cluster and stays until Ctrl-C.
#[derive(Debug, clap::Parser)]
#[command(
    name = "devnet",
    after_help = "Ports without --base-port, node i and proxy j counted from 1: sidecar 33220+i, \
                  API 9090+i, libp2p 7070+i; HTTP 8080+j, gRPC 50050+j. With --base-port P and N \
                  nodes: sidecar P+3(i-1), API P+3(i-1)+1, libp2p P+3(i-1)+2; HTTP P+3N+2(j-1), \
                  gRPC P+3N+2(j-1)+1; with 0 every port is a free one. Everything listens on \
                  127.0.0.1."
)]
pub(crate) struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) nodes: u16,

    /// How many proxies in front of them.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=8))]
    pub(crate) proxies: u16,

    /// First of three ports for each node and two for each proxy, instead of the guide's; 0 takes
    /// free ones.
    #[arg(long, value_name = "PORT")]
    pub(crate) base_port: Option<u16>,

    /// Print nothing but errors.
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Print one JSON object a line instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Keep the nodes' identities here; without it they are new at every start.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
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

impl Arguments {
    /// Returns the ports of proxy `number`, counted from 1; `None` when they are beyond 65535.
    pub(crate) fn proxy_ports(&self, number: u16) -> Option<ProxyPorts> {
        match self.base_port {
            Some(0) => Some(ProxyPorts { http: 0, grpc: 0 }),
            Some(base) => {
                let after_nodes = base.checked_add(self.nodes.checked_mul(3)?)?;
                let http = after_nodes.checked_add(number.checked_sub(1)?.checked_mul(2)?)?;
                Some(ProxyPorts { http, grpc: http.checked_add(1)? })
            }
            None => Some(ProxyPorts { http: 8_080 + number, grpc: 50_050 + number }),
        }
    }

    /// Returns the ports of node `number`, counted from 1; `None` when they are beyond 65535.
    pub(crate) fn ports(&self, number: u16) -> Option<Ports> {
        match self.base_port {
            Some(0) => Some(Ports { sidecar: 0, api: 0, libp2p: 0 }),
            Some(base) => {
                let sidecar = base.checked_add(number.checked_sub(1)?.checked_mul(3)?)?;
                let libp2p = sidecar.checked_add(2)?;
                Some(Ports { sidecar, api: sidecar + 1, libp2p })
            }
            None => Some(Ports {
                sidecar: 33_220 + number,
                api: 9_090 + number,
                libp2p: 7_070 + number,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn ports(arguments: &[&str], number: u16) -> Option<(u16, u16, u16)> {
        let all = std::iter::once("devnet").chain(arguments.iter().copied());
        let arguments = Arguments::try_parse_from(all).expect("sound arguments");
        arguments.ports(number).map(|ports| (ports.sidecar, ports.api, ports.libp2p))
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_default_ports_are_the_guides() {
        assert_eq!(ports(&[], 1), Some((33_221, 9_091, 7_071)));
        assert_eq!(ports(&[], 4), Some((33_224, 9_094, 7_074)));
    }

    #[test]
    fn the_ports_of_proxies_are_the_guides_or_come_after_those_of_the_nodes() {
        let ports = |arguments: &[&str], number| {
            let all = std::iter::once("devnet").chain(arguments.iter().copied());
            let arguments = Arguments::try_parse_from(all).expect("sound arguments");
            arguments.proxy_ports(number).map(|ports| (ports.http, ports.grpc))
        };
        assert_eq!(ports(&[], 1), Some((8_081, 50_051)));
        assert_eq!(ports(&[], 2), Some((8_082, 50_052)));
        assert_eq!(ports(&["--base-port", "5000"], 2), Some((5014, 5015)));
        assert_eq!(ports(&["--base-port", "0"], 2), Some((0, 0)));
        assert_eq!(ports(&["--base-port", "65530"], 1), None);
    }

    #[test]
    fn a_base_port_is_the_first_of_three_for_each_node() {
        assert_eq!(ports(&["--base-port", "5000"], 1), Some((5000, 5001, 5002)));
        assert_eq!(ports(&["--base-port=5000"], 3), Some((5006, 5007, 5008)));
        assert_eq!(ports(&["--base-port", "0"], 3), Some((0, 0, 0)));
        assert_eq!(ports(&["--base-port", "65533"], 1), Some((65_533, 65_534, 65_535)));
        assert_eq!(ports(&["--base-port", "65534"], 1), None);
    }
}
