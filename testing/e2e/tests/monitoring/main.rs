//! Monitoring as it is committed, against processes under load: every expression of every panel and
//! every rule finds something, and Prometheus' own tool is content.

mod dashboards;
mod expressions;
mod stack;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use dashboards::Asked;
use e2e::{prometheus_process::Prometheus, repository};
use expressions::{selectors, substituted};
use serde_json::Value;
use stack::Stack;

/// How long it may take until everything was seen. Rates need two scrapes, 5 seconds apart.
const LIMIT: Duration = Duration::from_secs(80);

/// Between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What is there only with Redis.
const OF_REDIS: &str = "optimum_proxy_redis_up";

fn folder() -> PathBuf {
    repository("metrics/grafana/prometheus")
}

fn committed(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).expect("a file of ours")
}

/// Returns the committed configuration with other targets: `names` one by one, what is left with the
/// last of them.
fn with_targets(mut config: String, names: &[String], targets: &[SocketAddr]) -> String {
    for (number, name) in names.iter().enumerate() {
        let is_last = number + 1 == names.len();
        let targets = if is_last { &targets[number..] } else { &targets[number..=number] };
        let lines: Vec<_> =
            targets.iter().map(|target| format!("          - {target}\n")).collect();
        let line = format!("          - {name}\n");
        assert_eq!(config.matches(&line).count(), 1, "{name}");
        config = config.replace(&line, &lines.concat());
    }
    config
}

/// Returns the configuration without labels of its own.
fn without_labels(config: &str) -> String {
    let is_label = |line: &&str| {
        ["labels:", "cluster_id: optimum_local", "protocol_type: optimum"].contains(&line.trim())
    };
    assert_eq!(config.lines().filter(is_label).count(), 6, "three lines for each job");
    config.split_inclusive('\n').filter(|line| !is_label(line)).collect()
}

fn config(stack: &Stack) -> String {
    let names = |range: std::ops::RangeInclusive<u16>, name: fn(u16) -> String| {
        range.map(name).collect::<Vec<_>>()
    };
    let config = committed("prometheus.yml");
    assert!(config.contains("scrape_interval: 5s") && config.contains("evaluation_interval: 5s"));
    let nodes = names(1..=4, |number| format!("p2pnode-{number}:9090"));
    let config = with_targets(config, &nodes, &stack.nodes());
    let proxies = names(1..=2, |number| format!("proxy-{number}:8080"));
    with_targets(config, &proxies, &stack.proxies())
}

/// One Prometheus, and the clusters that somebody may choose in a dashboard there.
struct Observer {
    prometheus: Prometheus,
    clusters: [&'static str; 2],
    /// What did not find anything yet.
    missing: BTreeSet<(String, String)>,
}

impl Observer {
    async fn start(config: &str, clusters: [&'static str; 2], asked: &[Asked]) -> Option<Self> {
        let prometheus = Prometheus::start(config, &[folder().join("alerts.yml")]).await?;
        let mut observer = Self { prometheus, clusters, missing: BTreeSet::new() };
        for Asked { by, expression } in asked {
            for cluster in observer.clusters {
                let whole = substituted(expression, cluster);
                observer.missing.insert((by.clone(), whole));
            }
            // Whatever stands on one side of an `or` is there too, in one of the clusters.
            for selector in selectors(&substituted(expression, ".*")) {
                observer.missing.insert((by.clone(), selector));
            }
        }
        for rule in observer.prometheus.rules().await {
            let by = format!("alerts.yml, {}", rule["name"]);
            for selector in selectors(rule["query"].as_str().expect("a query")) {
                observer.missing.insert((by.clone(), selector));
            }
        }
        Some(observer)
    }

    /// Asks for everything that was not found yet.
    async fn look(&mut self) {
        let mut still = BTreeSet::new();
        for (by, expression) in std::mem::take(&mut self.missing) {
            if self.prometheus.count(&expression).await == 0 {
                still.insert((by, expression));
            }
        }
        self.missing = still;
    }
}

/// Returns how long it took.
async fn until_everything_is_found(observers: &mut [Observer]) -> Duration {
    let begin = Instant::now();
    loop {
        for observer in observers.iter_mut() {
            observer.look().await;
        }
        let missing: Vec<_> = observers.iter().flat_map(|observer| &observer.missing).collect();
        if missing.is_empty() {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < LIMIT, "not within {LIMIT:?}: {missing:#?}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_and_every_rule_finds_something_in_a_stack_under_load() {
    let stack = Stack::start().await;
    let mut asked = dashboards::expressions();
    if !stack.has_redis() {
        println!("skipped without redis-server: {OF_REDIS}");
        asked.retain(|asked| !asked.expression.contains(OF_REDIS));
    }
    assert!(asked.len() > 80, "{} expressions", asked.len());
    let config = config(&stack);
    let labelled = Observer::start(&config, ["optimum_local", ".*"], &asked).await;
    let Some(labelled) = labelled else {
        // script/test.sh says so, and makes it a failure of CI.
        println!("skipped: prometheus is missing; apt-get install prometheus");
        return;
    };
    let bare = Observer::start(&without_labels(&config), ["e2e", ".*"], &asked).await;
    let mut observers = [labelled, bare.expect("it was there just now")];
    if !stack.has_redis() {
        for observer in &mut observers {
            observer.missing.retain(|(_, expression)| !expression.contains(OF_REDIS));
        }
    }
    let took = tokio::select! {
        () = stack.load() => unreachable!("it goes on for ever"),
        took = until_everything_is_found(&mut observers) => took,
    };
    println!("every expression found something after {took:?}");
    for observer in &observers {
        let targets = observer.prometheus.targets().await;
        assert_eq!(targets.len(), stack.nodes().len() + stack.proxies().len());
        assert!(targets.iter().all(|target| target["health"] == "up"), "{targets:#?}");
        assert_rules(&observer.prometheus.rules().await);
    }
}

/// Every rule works, waits before it fires, says what is the matter and is in the documentation.
fn assert_rules(rules: &[Value]) {
    let read = std::fs::read_to_string(repository("docs/monitoring.md")).expect("a document");
    assert!(rules.len() > 20, "{} rules", rules.len());
    for rule in rules {
        let name = rule["name"].as_str().expect("a name");
        assert_eq!(rule["health"], "ok", "{rule}");
        assert!(rule["duration"].as_f64() > Some(0.0), "{name} fires at once");
        let severity = rule["labels"]["severity"].as_str();
        assert!(severity.is_some_and(|it| ["critical", "warning", "info"].contains(&it)), "{name}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{name}: no {annotation}");
        }
        assert!(read.contains(&format!("| `{name}` |")), "{name} is not in docs/monitoring.md");
    }
}

#[test]
fn promtool_takes_the_configuration_and_the_rules_and_every_rule_fires_when_it_should() {
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let ran = Command::new("promtool").args(arguments).current_dir(folder()).output();
        let output = match ran {
            Ok(output) => output,
            // script/test.sh says so, and makes it a failure of CI.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => panic!("promtool: {error}"),
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    let (rules, tests) = (committed("alerts.yml"), committed("alerts_test.yml"));
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let tested = format!("alertname: {name}\n");
        assert!(tests.matches(&tested).count() >= 2, "{name}: when it fires, and when not");
    }
}
