//! What is known of a network, and its text.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter, Write as _},
};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Length of a rule in characters.
const RULE_CHARS: usize = 100;

/// Peers that are named of each node.
const PEERS_SHOWN: usize = 5;

/// Topics and addresses that are named of each node; JSON has all of them.
const NAMES_SHOWN: usize = 20;

/// Stands for what is not known.
const UNKNOWN: &str = "N/A";

/// How proxies and nodes are.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Local time.
    pub(super) time: String,
    pub(super) proxies: Vec<Proxy>,
    pub(super) nodes: Vec<Node>,
    /// Nodes in each country.
    pub(super) node_countries: BTreeMap<String, usize>,
}

/// A proxy.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) status: Status,
    #[serde(flatten)]
    pub(super) machine: Option<Machine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) status: Status,
    #[serde(flatten)]
    pub(super) machine: Option<Machine>,
    #[serde(flatten)]
    pub(super) place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// Whether somebody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Up,
    Down,
}

/// How a machine is; percentages as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Machine {
    pub(super) cpu_used: String,
    pub(super) memory_used: String,
    pub(super) disk_used: String,
    pub(super) country: String,
}

/// A node's place in its network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) peer_id: String,
    pub(super) peers: Vec<String>,
    pub(super) topics: Vec<String>,
    pub(super) addresses: Vec<String>,
}

impl Report {
    /// Whether anybody answered.
    pub(super) fn has_answers(&self) -> bool {
        let proxies = self.proxies.iter().map(|proxy| proxy.status);
        proxies.chain(self.nodes.iter().map(|node| node.status)).any(|status| status == Status::Up)
    }
}

impl Display for Status {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
        })
    }
}

/// Returns the report as text (the contract, section 3.8).
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let rule = "=".repeat(RULE_CHARS);
    line(&mut out, &[&rule]);
    line(&mut out, &[&format!("{:<50}{}", "mump2p NETWORK DASHBOARD", report.time)]);
    line(&mut out, &[&rule, ""]);
    proxies(&mut out, &report.proxies);
    nodes(&mut out, &report.nodes);
    details(&mut out, &report.nodes);
    line(&mut out, &["NODE COUNTRIES"]);
    if report.node_countries.is_empty() {
        line(&mut out, &[UNKNOWN]);
    }
    for (country, count) in &report.node_countries {
        line(&mut out, &[&format!("{country}: {count} node(s)")]);
    }
    line(&mut out, &[&rule]);
    out
}

fn proxies(out: &mut String, proxies: &[Proxy]) {
    let widths = [15, 8, 10, 10, 10, 15];
    let heading = ["Name", "Status", "CPU %", "Memory %", "Disk %", "Country"];
    line(out, &["PROXIES", &row(&widths, &heading, "URL")]);
    for proxy in proxies {
        let [cpu, memory, disk, country] = machine_cells(proxy.machine.as_ref());
        let cells = [&proxy.name, &proxy.status.to_string(), cpu, memory, disk, country];
        line(out, &[&row(&widths, &cells, &proxy.url)]);
    }
    for proxy in proxies {
        if let Some(error) = &proxy.error {
            line(out, &[&format!("{}: {error}", proxy.name)]);
        }
    }
    line(out, &[""]);
}

fn nodes(out: &mut String, nodes: &[Node]) {
    let widths = [15, 8, 10, 10, 10, 8, 8, 15];
    let heading = ["Name", "Status", "CPU %", "Memory %", "Disk %", "Peers", "Topics", "Country"];
    line(out, &["P2P NODES", &row(&widths, &heading, "URL")]);
    for node in nodes {
        let [cpu, memory, disk, country] = machine_cells(node.machine.as_ref());
        let count = |of: fn(&Place) -> usize| {
            node.place.as_ref().map_or_else(|| UNKNOWN.to_owned(), |place| of(place).to_string())
        };
        let (peers, topics) = (count(|place| place.peers.len()), count(|place| place.topics.len()));
        let cells =
            [&node.name, &node.status.to_string(), cpu, memory, disk, &peers, &topics, country];
        line(out, &[&row(&widths, &cells, &node.url)]);
    }
    line(out, &[""]);
}

fn details(out: &mut String, nodes: &[Node]) {
    line(out, &["NODE DETAILS"]);
    for node in nodes {
        match (&node.place, &node.error) {
            (Some(place), _) => {
                line(out, &[&format!("{} (Peer ID: {})", node.name, place.peer_id)]);
                line(out, &[&format!("  Peers: {}", place.peers.len())]);
                for peer in place.peers.iter().take(PEERS_SHOWN) {
                    line(out, &[&format!("    {peer}")]);
                }
                rest(out, place.peers.len(), PEERS_SHOWN);
                line(out, &[&format!("  Topics: {}", names(&place.topics))]);
                line(out, &[&format!("  Addresses: {}", names(&place.addresses))]);
            }
            (None, Some(error)) => line(out, &[&format!("{}: {error}", node.name)]),
            (None, None) => line(out, &[&format!("{}: {UNKNOWN}", node.name)]),
        }
    }
    line(out, &[""]);
}

fn rest(out: &mut String, count: usize, shown: usize) {
    if count > shown {
        line(out, &[&format!("    … and {} more", count - shown)]);
    }
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown}, … and {more} more"),
    }
}

fn machine_cells(machine: Option<&Machine>) -> [&str; 4] {
    machine.map_or([UNKNOWN; 4], |machine| {
        [&machine.cpu_used, &machine.memory_used, &machine.disk_used, &machine.country]
    })
}

/// Sets cells in columns, a blank between them; the last one may be as long as it is.
fn row<T: AsRef<str>>(widths: &[usize], cells: &[T], last: &str) -> String {
    let mut row = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        let cell = fit(cell.as_ref(), *width);
        let padding = width - cell.width().min(*width) + 1;
        // Writing to a string does not fail.
        let _written = write!(row, "{cell}{:padding$}", "");
    }
    row + last
}

/// Cuts what would move the columns behind it; some characters take two cells of a terminal.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cells = 1;
    let fits = |character: &char| {
        cells += character.width().unwrap_or(0);
        cells <= width
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn line(out: &mut String, lines: &[&str]) {
    for line in lines {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(country: &str) -> Machine {
        let [cpu_used, memory_used, disk_used] = ["3.05", "17.99", "41.20"].map(str::to_owned);
        Machine { cpu_used, memory_used, disk_used, country: country.to_owned() }
    }

    fn report() -> Report {
        let place = Place {
            peer_id: "12D3KooWAbc".to_owned(),
            peers: (1..=7).map(|peer| format!("peer-{peer}")).collect(),
            topics: vec!["a".to_owned(), "b".to_owned()],
            addresses: Vec::new(),
        };
        let proxy = Proxy {
            name: "proxy-1".to_owned(),
            url: "http://localhost:8081".to_owned(),
            status: Status::Up,
            machine: Some(machine("Germany")),
            error: None,
        };
        let node = Node {
            name: "node-1".to_owned(),
            url: "http://localhost:9091".to_owned(),
            status: Status::Up,
            machine: Some(machine("Bosnia and Herzegovina")),
            place: Some(place),
            error: None,
        };
        let dead = Node {
            name: "node-2".to_owned(),
            url: "http://localhost:9092".to_owned(),
            status: Status::Down,
            machine: None,
            place: None,
            error: Some("connection refused".to_owned()),
        };
        let time = "2026-01-01 12:00:00".to_owned();
        let node_countries = BTreeMap::from([("Germany".to_owned(), 1)]);
        Report { time, proxies: vec![proxy], nodes: vec![node, dead], node_countries }
    }

    #[test]
    fn the_text_has_the_sections_and_columns_that_are_agreed() {
        let rule = "=".repeat(100);
        let expected = format!(
            "{rule}\n\
             mump2p NETWORK DASHBOARD                          2026-01-01 12:00:00\n\
             {rule}\n\
             \n\
             PROXIES\n\
             Name            Status   CPU %      Memory %   Disk %     Country         URL\n\
             proxy-1         UP       3.05       17.99      41.20      Germany         http://localhost:8081\n\
             \n\
             P2P NODES\n\
             Name            Status   CPU %      Memory %   Disk %     Peers    Topics   Country         URL\n\
             node-1          UP       3.05       17.99      41.20      7        2        Bosnia and Her… http://localhost:9091\n\
             node-2          DOWN     N/A        N/A        N/A        N/A      N/A      N/A             http://localhost:9092\n\
             \n\
             NODE DETAILS\n\
             node-1 (Peer ID: 12D3KooWAbc)\n  Peers: 7\n    peer-1\n    peer-2\n    peer-3\n    peer-4\n    peer-5\n    … and 2 more\n  Topics: a, b\n  Addresses: none\n\
             node-2: connection refused\n\
             \n\
             NODE COUNTRIES\n\
             Germany: 1 node(s)\n\
             {rule}\n"
        );
        assert_eq!(text(&report()), expected);
    }

    #[test]
    fn wide_characters_leave_the_columns_where_they_are() {
        assert_eq!(row(&[6, 3], &["東京", "x"], "|"), "東京   x   |");
        assert_eq!(row(&[6, 3], &["東京都庁", "x"], "|"), "東京…  x   |");
        assert_eq!(row(&[6, 3], &["abcdefg", "x"], "|"), "abcde… x   |");
    }

    #[test]
    fn json_has_null_free_entries_and_everything_of_each() {
        let json = serde_json::to_value(report()).expect("plain");
        assert_eq!(json["nodes"][0]["peers"].as_array().map(Vec::len), Some(7));
        assert_eq!(json["nodes"][0]["status"], "UP");
        let dead = &json["nodes"][1];
        assert_eq!(
            (&dead["status"], &dead["error"]),
            (&"DOWN".into(), &"connection refused".into())
        );
        assert!(dead.get("cpu_used").is_none() && json["proxies"][0].get("error").is_none());
    }
}
