//! The dashboards as files: sound, whole, and what the contract says.

use std::collections::BTreeSet;

use e2e::repository;
use serde_json::Value;

/// What Grafana makes of a data source that is named `Prometheus`.
const DATASOURCE: &str = "PBFA97CFB590B2093";

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// File, uid, title, range of time and panels that people know.
type Known = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const KNOWN: [Known; 2] = [
    (
        "mump2p-nodes.json",
        "deianj1jtlzi8d2",
        "mump2p Nodes Dashboard",
        "now-30m",
        &[
            "Total number of mump2p peers",
            "System state",
            "CPU usage",
            "cpu usage",
            "RAM utilization",
            "allocated memory by process",
            "Nodes distribution",
            "Nodes Distribution",
            "Shard info",
            "Total Shards Count",
            "Unhelpful Shards",
            "Total Unnecessary Shards Count",
            "percent of unnecessary shards %",
            "P2P stat",
            "total bytes",
            "published messages per node",
        ],
    ),
    (
        "optimum-proxy.json",
        "optimum-proxy-dashboard",
        "Optimum Proxy Dashboard",
        "now-5m",
        &[
            "Cluster Nodes Uptime",
            "Proxy Nodes Uptime",
            "mump2p Nodes Uptime",
            "Cluster Health",
            "CPU Usage",
            "Memory Usage",
            "Go Thread Usage",
            "Goroutines",
            "Proxy Metrics",
            "Proxy Active Nodes",
            "Active Topics",
            "Active WebSocket Clients",
            "Active gRPC Clients",
            "Messages Published by Client",
            "Messages Published Per Topic",
            "Message Delivery Latency (P95)",
            "Publish Errors (last 5m)",
        ],
    ),
];

/// An expression of a panel.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Dashboard and panel.
    pub(crate) by: String,
    pub(crate) expression: String,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn dashboard(file: &str) -> Value {
    let path = repository("metrics/grafana/dashboards").join(file);
    let read = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_json::from_str(&read).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns all panels, those in collapsed rows too, rows included.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let outer = list(dashboard, "panels").iter();
    outer.flat_map(|panel| std::iter::once(panel).chain(list(panel, "panels"))).collect()
}

/// Returns what the panels of all dashboards ask for.
pub(crate) fn expressions() -> Vec<Asked> {
    let mut asked = Vec::new();
    for (file, ..) in KNOWN {
        for panel in panels(&dashboard(file)) {
            asked.extend(list(panel, "targets").iter().map(|target| Asked {
                by: format!("{file}, {:?}", text(panel, "title")),
                expression: text(target, "expr").to_owned(),
            }));
        }
    }
    asked
}

#[test]
fn every_dashboard_has_the_uid_the_title_and_the_panels_that_people_know() {
    for (file, uid, title, from, titles) in KNOWN {
        let dashboard = dashboard(file);
        assert_eq!(text(&dashboard, "uid"), uid);
        assert_eq!(text(&dashboard, "title"), title);
        assert_eq!(text(&dashboard["time"], "from"), from);
        assert_eq!(dashboard["schemaVersion"], 41);
        assert_eq!(text(&dashboard, "refresh"), "5s");
        assert!(list(&dashboard, "tags").contains(&"optimum".into()));
        let cluster = &list(&dashboard["templating"], "list")[0];
        assert_eq!(text(cluster, "name"), "cluster");
        assert_eq!(text(cluster, "definition"), "label_values(cluster_id)");
        assert!(cluster["multi"] == true && cluster["includeAll"] == true, "{cluster}");
        assert_eq!(cluster["current"]["value"][0], "optimum_local");
        let there: Vec<_> = panels(&dashboard).iter().map(|panel| text(panel, "title")).collect();
        for title in titles {
            assert!(there.contains(title), "{file}: {title:?} is not among {there:?}");
        }
        // A row may be called as one of its panels.
        let rows = panels(&dashboard).iter().filter(|panel| text(panel, "type") == "row").count();
        let once: BTreeSet<_> = there.iter().collect();
        assert!(once.len() >= there.len() - rows, "{file}: a title is there twice: {there:?}");
    }
    let files = std::fs::read_dir(repository("metrics/grafana/dashboards")).expect("a folder");
    assert_eq!(files.count(), KNOWN.len(), "every dashboard is looked at");
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_where_it_is_from() {
    for (file, ..) in KNOWN {
        let dashboard = dashboard(file);
        let mut ids = BTreeSet::new();
        for panel in panels(&dashboard) {
            let what = format!("{file}, {:?}", text(panel, "title"));
            assert!(!text(panel, "title").is_empty(), "{panel}");
            assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{what}: id used twice");
            if text(panel, "type") != "row" {
                assert_panel(&what, panel);
            }
        }
    }
}

fn assert_panel(what: &str, panel: &Value) {
    assert!(text(panel, "description").len() > 20, "{what}: no description");
    assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{what}: no unit");
    assert_eq!(text(&panel["datasource"], "uid"), DATASOURCE, "{what}");
    let targets = list(panel, "targets");
    assert!(!targets.is_empty(), "{what}: asks for nothing");
    let ids: BTreeSet<_> = targets.iter().map(|target| text(target, "refId")).collect();
    assert_eq!(ids.len(), targets.len(), "{what}: two targets of one name");
    let is_table = ["table", "geomap"].contains(&text(panel, "type"));
    for target in targets {
        assert_eq!(text(&target["datasource"], "uid"), DATASOURCE, "{what}");
        assert_eq!(target["format"] == "table", is_table, "{what}");
        let legend = text(target, "legendFormat");
        assert!(is_table || !["", "__auto"].contains(&legend), "{what}: no legend");
        // A legend names labels that the expression leaves.
        let expression = text(target, "expr");
        let aggregates = expression.starts_with("sum(") || expression.starts_with("max(");
        assert!(!(aggregates && legend.contains("{{")), "{what}: {legend} of {expression}");
    }
}

/// Columns and lines of a panel: from where to where.
fn place(panel: &Value) -> [u64; 4] {
    let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
    [at("x"), at("x") + at("w"), at("y"), at("y") + at("h")]
}

#[test]
fn panels_lie_side_by_side_on_the_grid() {
    for (file, ..) in KNOWN {
        let dashboard = dashboard(file);
        let rows = list(&dashboard, "panels").iter().map(|row| list(row, "panels"));
        for group in std::iter::once(list(&dashboard, "panels")).chain(rows) {
            for (number, panel) in group.iter().enumerate() {
                let [left, right, top, bottom] = place(panel);
                assert!(left < right && right <= COLUMNS && top < bottom, "{file}: {panel}");
                for other in &group[..number] {
                    let [its_left, its_right, its_top, its_bottom] = place(other);
                    let apart = right <= its_left
                        || its_right <= left
                        || bottom <= its_top
                        || its_bottom <= top;
                    assert!(apart, "{file}: {} lies on {}", panel["title"], other["title"]);
                }
            }
        }
    }
}

#[test]
fn the_provisioned_data_source_and_folder_are_those_the_dashboards_name() {
    let read = |file| std::fs::read_to_string(repository("metrics/grafana").join(file));
    let source = read("provisioning/datasources/prometheus.yml").expect("a file");
    for line in ["name: Prometheus", "type: prometheus", "url: http://prometheus:9090"] {
        assert!(source.contains(line), "{line}");
    }
    assert!(source.contains(&format!("uid: {DATASOURCE}")));
    let provider = read("provisioning/dashboards/dashboards.yml").expect("a file");
    for line in [
        "name: Optimum Proxies and mump2p Nodes",
        "folder: Optimum Cluster",
        "path: /var/lib/grafana/dashboards",
    ] {
        assert!(provider.contains(line), "{line}");
    }
}
