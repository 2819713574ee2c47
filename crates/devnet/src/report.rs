//! What is printed: tables for people, or one JSON object a line for programs.
#![expect(clippy::print_stderr, reason = "this is where it is done")]

use std::{fmt::Write as _, io::Write as _, time::Duration};

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Member, ProxyMember, p2p_address},
    first_message::{Decoded, Shown},
};

/// Nodes that have a line each; of more only some are shown, so that the start fits a screen.
const LINES_MAX: usize = 6;

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) quiet: bool,
    pub(crate) json: bool,
    /// A live view follows: what it shows as well need not be long.
    pub(crate) brief: bool,
}

/// Where to look at a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) page: Option<String>,
    pub(crate) prometheus: Option<String>,
}

impl Report {
    fn print(self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) {
        if self.quiet {
            return;
        }
        let line = if self.json { object().to_string() } else { text() };
        self.line(&line);
    }

    /// Prints a line whatever was asked for.
    #[expect(clippy::unused_self, reason = "printing is this type's")]
    pub(crate) fn line(self, line: &str) {
        // A reader that is gone is no reason to stop the cluster.
        let _gone = writeln!(std::io::stdout().lock(), "{line}");
    }

    pub(crate) fn addresses(self, cluster: &Cluster) {
        let (members, proxies) = (cluster.members(), cluster.proxies());
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
        let text = || if self.brief { ports(members, proxies) } else { table(members, proxies) };
        self.print(text, object);
    }

    pub(crate) fn meshed(self, took: Duration) {
        let millis = took.as_millis();
        self.print(
            || format!("The mesh stands after {millis} ms."),
            || json!({"event": "meshed", "millis": millis}),
        );
    }

    pub(crate) fn first_message(self, shown: &Shown) {
        let text = || {
            let mut text = first_message(shown, self.brief || shown.nodes.len() >= LINES_MAX);
            // Ends the line before the last one's end.
            text.truncate(text.trim_end().len());
            text
        };
        self.print(text, || json!({"event": "first_message", "message": shown}));
    }

    pub(crate) fn ready(self, cluster: &Cluster, places: &Places) {
        let text = || {
            let mut text = if self.brief { try_it_briefly(cluster) } else { try_it(cluster) };
            let places = [("Live page", &places.page), ("Prometheus", &places.prometheus)];
            let places = places
                .iter()
                .filter_map(|(what, url)| url.as_ref().map(|url| format!("{what}: {url}")));
            let between = if self.brief { ", " } else { "\n" };
            text.push_str(&places.collect::<Vec<_>>().join(between));
            text
        };
        let object =
            || json!({"event": "ready", "page": places.page, "prometheus": places.prometheus});
        self.print(|| text().trim_end().to_owned(), object);
    }

    /// Says how the cluster is ended.
    pub(crate) fn stays(self, is_detached: bool) {
        if !self.json {
            let detached = "It stays up in the background; `make down` or `devnet down` ends it.";
            let here = "Ctrl-C ends the cluster.";
            self.print(|| if is_detached { detached } else { here }.to_owned(), || Value::Null);
        }
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

/// Writing to a string does not fail.
macro_rules! put {
    ($to:ident, $($text:tt)*) => { let _written = writeln!($to, $($text)*); };
}

fn table(members: &[Member], proxies: &[ProxyMember]) -> String {
    let mut table = String::new();
    put!(table, "{:<6} {:<17} {:<23} libp2p", "node", "sidecar (gRPC)", "HTTP API");
    let shown = if members.len() > LINES_MAX { LINES_MAX - 3 } else { members.len() };
    let rest = members.len() - shown;
    for (at, Member { number, running }) in members.iter().enumerate() {
        if at >= shown && at + 1 < members.len() {
            if at == shown {
                put!(table, "…      {} more; the page and --json show all", rest - 1);
            }
            continue;
        }
        let http = format!("http://{}", running.api_address());
        let sidecar = running.sidecar_address().to_string();
        let libp2p = running.p2p_addresses().first().map(ToString::to_string).unwrap_or_default();
        put!(table, "{number:<6} {sidecar:<17} {http:<23} {libp2p}");
    }
    if !proxies.is_empty() {
        put!(table, "{:<6} {:<17} REST and WebSocket", "proxy", "gRPC");
    }
    for ProxyMember { number, running } in proxies {
        let http = format!("http://{}", running.http_address());
        let grpc = running.grpc_address().to_string();
        put!(table, "{number:<6} {grpc:<17} {http}");
    }
    if let Some(address) = members.first().and_then(|first| p2p_address(&first.running)) {
        put!(table, "BOOTSTRAP_PEERS={address}");
    }
    table
}

/// The same in few and short lines: the view below is to fit on the same screen of 24 lines. Where the
/// rest is, the help says.
fn ports(members: &[Member], proxies: &[ProxyMember]) -> String {
    let mut lines = vec![format!("{:<10} {:<6} {:<6} libp2p", "127.0.0.1", "gRPC", "HTTP")];
    let shown = if members.len() > LINES_MAX { LINES_MAX - 3 } else { members.len() };
    for Member { number, running } in &members[..shown] {
        let (grpc, http) = (running.sidecar_address().port(), running.api_address().port());
        let libp2p = running.p2p_addresses().first().map(ToString::to_string).unwrap_or_default();
        // The only part of /ip4/127.0.0.1/tcp/7071 that is a number.
        let libp2p = libp2p.split('/').find(|part| part.parse::<u16>().is_ok()).unwrap_or_default();
        lines.push(format!("node {number:<5} {grpc:<6} {http:<6} {libp2p}"));
    }
    if members.len() > shown {
        lines.push(format!("…          {} more; the page shows all", members.len() - shown));
    }
    for ProxyMember { number, running } in proxies {
        let (grpc, http) = (running.grpc_address().port(), running.http_address().port());
        lines.push(format!("proxy {number:<4} {grpc:<6} {http}"));
    }
    lines.join("\n")
}

fn try_it_briefly(cluster: &Cluster) -> String {
    let mut text = String::new();
    if let Some(first) = cluster.members().first() {
        let address = first.running.sidecar_address();
        put!(text, "Try it in two more terminals: make subscribe {address} hello");
        put!(text, "                              make publish {address} hello Hello");
    }
    if let Some(proxy) = cluster.proxies().first() {
        let address = proxy.running.http_address();
        put!(text, "The API of a proxy: http://{address}/api/v1/docs");
    }
    text
}

fn first_message(shown: &Shown, brief: bool) -> String {
    let (length, at) = (bytes(shown.bytes as u64), shown.published_at);
    if shown.nodes.is_empty() {
        return format!("A message of {length}, published at node {at}, which is alone.");
    }
    let mut text = String::new();
    if brief {
        let times = || shown.nodes.iter().map(|decoded| decoded.millis);
        let (first, last) = (times().fold(f64::MAX, f64::min), times().fold(0.0, f64::max));
        let redundant: u32 = shown.nodes.iter().map(|decoded| decoded.shards_redundant).sum();
        put!(
            text,
            "{length} from node {at}: at {} others after {} to {}, {redundant} shards wasted.",
            shown.nodes.len(),
            millis(first),
            millis(last)
        );
        return text;
    }
    put!(text, "A message of {length}, published at node {at}:");
    for Decoded { node, millis, shards_used, shards_redundant } in &shown.nodes {
        if *shards_used > 0 {
            put!(
                text,
                "  decoded at node {node:<3} after {millis:>7.1} ms from {shards_used} shards, \
                 {shards_redundant} redundant"
            );
        } else {
            put!(
                text,
                "  delivered at node {node:<3} after {millis:>7.1} ms, {shards_redundant} times more"
            );
        }
    }
    text
}

fn try_it(cluster: &Cluster) -> String {
    let mut text = String::new();
    if let Some(first) = cluster.members().first() {
        let address = first.running.sidecar_address();
        put!(text, "Try it, after `make build`, in two more terminals:");
        put!(text, "  ./grpc_p2p_client/p2p-client -mode=subscribe -topic=hello -addr={address}");
        put!(
            text,
            "  ./grpc_p2p_client/p2p-client -mode=publish -topic=hello -msg='Hello' -addr={address}"
        );
    }
    if let Some(proxy) = cluster.proxies().first() {
        let address = proxy.running.http_address();
        put!(text, "Or through a proxy, whose whole API is at http://{address}/api/v1/docs:");
        put!(
            text,
            "  curl http://{address}/api/v1/publish -d '{{\"client_id\":\"me\",\"topic\":\"hello\",\"message\":\"Hello\"}}'"
        );
    }
    text
}

/// Returns a number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count as f64 / 1024.0;
    let mut unit = 0;
    // What would be written as 1024.0 of one is 1.0 of the next.
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// Returns a time for people.
pub(crate) fn millis(millis: f64) -> String {
    if millis < 1000.0 { format!("{millis:.1} ms") } else { format!("{:.1} s", millis / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_unit_that_fits() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn the_first_message_takes_one_line_when_there_are_many_nodes() {
        let nodes = (1..=3).map(|node| Decoded {
            node,
            millis: f64::from(node) * 10.0,
            shards_used: 4,
            shards_redundant: 2,
        });
        let shown = Shown { bytes: 1 << 20, published_at: 4, nodes: nodes.collect() };
        let brief = first_message(&shown, true);
        assert_eq!(brief.lines().count(), 1, "{brief}");
        assert!(brief.contains("10.0 ms to 30.0 ms, 6 shards wasted"), "{brief}");
        assert_eq!(first_message(&shown, false).lines().count(), 4);
    }
}
