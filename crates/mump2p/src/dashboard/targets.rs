//! Whom the dashboard asks.

use super::Args;
use crate::{Error, http};

/// Where a local stack has its proxies (the contract, section 3.8).
const LOCAL_PROXIES: [&str; 2] = ["http://localhost:8081", "http://localhost:8082"];

/// Where it has its nodes.
const LOCAL_NODES: [&str; 4] = [
    "http://localhost:9091",
    "http://localhost:9092",
    "http://localhost:9093",
    "http://localhost:9094",
];

/// The port of proxies that are named by their host.
const PROXY_PORT: u16 = 8080;

/// The port of nodes that are named by their host.
const NODE_PORT: u16 = 8081;

/// Base URLs, without slashes at their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    pub(super) proxies: Vec<String>,
    pub(super) nodes: Vec<String>,
}

impl Targets {
    /// Reads them from the flags. Of proxies the first given counts: local, hosts, URLs; nodes by
    /// host, else by URL, come after the local ones.
    pub(super) fn new(args: &Args) -> Result<Self, Error> {
        let proxies = if args.local {
            LOCAL_PROXIES.map(str::to_owned).into()
        } else if args.proxy_base.is_empty() {
            urls(&args.proxies, "--proxies", LOCAL_PROXIES[0])?
        } else {
            hosts(&args.proxy_base, PROXY_PORT, "--proxy-base")?
        };
        let local: &[&str] = if args.local { &LOCAL_NODES } else { &[] };
        let mut nodes: Vec<_> = local.iter().map(|url| (*url).to_owned()).collect();
        nodes.extend(if args.node_base.is_empty() {
            urls(&args.nodes, "--nodes", LOCAL_NODES[0])?
        } else {
            hosts(&args.node_base, NODE_PORT, "--node-base")?
        });
        Ok(Self { proxies, nodes })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.proxies.is_empty() && self.nodes.is_empty()
    }
}

fn named(items: &[String]) -> impl Iterator<Item = &str> {
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty())
}

fn urls(given: &[String], flag: &str, sample: &str) -> Result<Vec<String>, Error> {
    named(given).map(|url| http::base_url(url, flag, sample)).collect()
}

fn hosts(given: &[String], port: u16, flag: &str) -> Result<Vec<String>, Error> {
    named(given)
        .map(|host| {
            if host.contains("://") || host.contains('/') {
                let text = format!(
                    "{flag} is {host:?}: only hosts are named there, such as 10.0.0.1; URLs go into --proxies and --nodes"
                );
                return Err(Error::Usage(text));
            }
            let is_bare_ipv6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            let host = if is_bare_ipv6 { format!("[{host}]") } else { host.to_owned() };
            http::base_url(&format!("http://{host}:{port}"), flag, "10.0.0.1,node.example")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(local: bool, lists: [&str; 4]) -> Args {
        let [proxies, nodes, proxy_base, node_base] = lists.map(|list| {
            list.split(',').map(str::to_owned).filter(|item| !item.is_empty()).collect()
        });
        Args { local, proxies, nodes, proxy_base, node_base, watch: None }
    }

    #[test]
    fn local_comes_first_and_nodes_that_are_named_come_behind_the_local_ones() {
        let given = ["http://a:1/", "http://n:2", "p", "h"];
        let local = Targets::new(&args(true, given)).expect("sound");
        assert_eq!(local.proxies, LOCAL_PROXIES);
        assert_eq!((local.nodes.len(), local.nodes[4].as_str()), (5, "http://h:8081"));
        let by_host = Targets::new(&args(false, given)).expect("sound");
        assert_eq!(by_host.proxies, ["http://p:8080"]);
        assert_eq!(by_host.nodes, ["http://h:8081"]);
        let by_url = Targets::new(&args(false, ["http://a:1/, ,https://b", "http://n:2", "", ""]));
        let by_url = by_url.expect("sound");
        assert_eq!(by_url.proxies, ["http://a:1", "https://b"]);
        assert_eq!(by_url.nodes, ["http://n:2"]);
        assert!(Targets::new(&args(false, [""; 4])).expect("sound").is_empty());
    }

    #[test]
    fn what_is_no_host_or_no_url_is_refused_with_the_flag_it_was_in() {
        for (lists, flag) in [
            (["localhost:8081", "", "", ""], "--proxies"),
            (["", "ftp://x", "", ""], "--nodes"),
            (["", "", "http://p", ""], "--proxy-base"),
            (["", "", "", "h:1"], "--node-base"),
        ] {
            let error = Targets::new(&args(false, lists)).expect_err(flag);
            assert!(error.exit_code() == 2 && error.to_string().contains(flag), "{error}");
        }
        let ipv6 = Targets::new(&args(false, ["", "", "", "::1"])).expect("sound");
        assert_eq!(ipv6.nodes, ["http://[::1]:8081"]);
    }
}
