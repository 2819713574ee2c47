//! What is printed: tables for people, or one JSON object a line for programs.
#![expect(clippy::print_stderr, reason = "this is where it is done")]

use std::{fmt::Write as _, io::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, ProxyMember, p2p_address},
    first_message::Shown,
};

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    quiet: bool,
    json: bool,
}

impl Report {
    pub(crate) fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    fn print(self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) {
        if self.quiet {
            return;
        }
        let line = if self.json { object().to_string() } else { text() };
        // A reader that is gone is no reason to stop the cluster.
        let _gone = writeln!(std::io::stdout().lock(), "{line}");
    }

    pub(crate) fn addresses(self, cluster: &Cluster) {
        let (members, proxies) = (cluster.members(), cluster.proxies());
        let text = || {
            let mut table =
                format!("{:<6} {:<17} {:<23} {}\n", "node", "sidecar (gRPC)", "HTTP API", "libp2p");
            for member in members {
                let running = &member.running;
                let libp2p = p2p_address(running).unwrap_or_default();
                let http = format!("http://{}", running.api_address());
                let sidecar = running.sidecar_address().to_string();
                // Writing to a string does not fail.
                let _written =
                    writeln!(table, "{:<6} {sidecar:<17} {http:<23} {libp2p}", member.number);
            }
            if !proxies.is_empty() {
                let _written = writeln!(table, "{:<6} {:<17} REST and WebSocket", "proxy", "gRPC");
            }
            for ProxyMember { number, running } in proxies {
                let http = format!("http://{}", running.http_address());
                let grpc = running.grpc_address().to_string();
                let _written = writeln!(table, "{number:<6} {grpc:<17} {http}");
            }
            table
        };
        let object = || {
            let nodes = members.iter().map(|member| {
                json!({
                    "node": member.number,
                    "sidecar": member.running.sidecar_address().to_string(),
                    "api": member.running.api_address().to_string(),
                    "libp2p": p2p_address(&member.running),
                })
            });
            let proxies = proxies.iter().map(|ProxyMember { number, running }| {
                json!({
                    "proxy": number,
                    "http": running.http_address().to_string(),
                    "grpc": running.grpc_address().to_string(),
                })
            });
            let (nodes, proxies) = (nodes.collect::<Vec<_>>(), proxies.collect::<Vec<_>>());
            json!({"event": "started", "nodes": nodes, "proxies": proxies})
        };
        self.print(text, object);
    }

    pub(crate) fn meshed(self, took: Duration) {
        let millis = took.as_millis();
        self.print(
            || format!("The mesh stands after {millis} ms.\n"),
            || json!({"event": "meshed", "millis": millis}),
        );
    }

    pub(crate) fn first_message(self, shown: &Shown) {
        let text = || {
            let (bytes, at) = (shown.bytes, shown.published_at);
            let mut table = format!("A message of {bytes} bytes, published at node {at}:\n");
            for decoded in &shown.nodes {
                let _written = writeln!(
                    table,
                    "  decoded at node {:<3} after {:>7.1} ms from {} shards, {} redundant",
                    decoded.node, decoded.millis, decoded.shards_used, decoded.shards_redundant
                );
            }
            if shown.nodes.is_empty() {
                table.push_str("  and nobody else there to decode it: the node is alone\n");
            }
            table
        };
        let object = || json!({"event": "first_message", "message": shown});
        self.print(text, object);
    }

    pub(crate) fn ready(self, cluster: &Cluster) {
        let node = cluster.members().first().map(|member| member.running.sidecar_address());
        let proxy = cluster.proxies().first().map(|proxy| proxy.running.http_address());
        let text = || {
            let mut text = String::new();
            if let Some(address) = node {
                let _written = writeln!(
                    text,
                    "Try it, after `make build`, in two more terminals:\n\
                     \x20 ./grpc_p2p_client/p2p-client -mode=subscribe -topic=hello -addr={address}\n\
                     \x20 ./grpc_p2p_client/p2p-client -mode=publish -topic=hello -msg='Hello' -addr={address}"
                );
            }
            if let Some(address) = proxy {
                let _written = writeln!(
                    text,
                    "Or through a proxy:\n\
                     \x20 curl http://{address}/api/v1/publish -d '{{\"client_id\":\"me\",\"topic\":\"hello\",\"message\":\"Hello\"}}'\n\
                     \x20 the whole API: http://{address}/api/v1/docs"
                );
            }
            text + "Ctrl-C ends the cluster."
        };
        self.print(text, || json!({"event": "ready"}));
    }

    pub(crate) fn stopping(self) {
        self.print(|| "\nStopping…".to_owned(), || json!({"event": "stopping"}));
    }

    /// Errors go to stderr, whatever was asked for.
    pub(crate) fn error(self, error: &anyhow::Error) {
        if self.json {
            eprintln!("{}", json!({"event": "error", "error": format!("{error:#}")}));
        } else {
            eprintln!("devnet: {error:#}");
        }
    }
}
