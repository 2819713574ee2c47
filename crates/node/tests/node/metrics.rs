//! What `/metrics` of a live node shows.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use node::{Mode, Running};

use crate::{
    common::{client::Client, config, start, until},
    pages::request,
};

/// Every family of the contract: name, with `<p>` where the mode's own word stands, type, labels.
const FAMILIES: &[(&str, &str, &[&str])] = &[
    ("optimum_p2p_system_cpu_cores", "gauge", &[]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
    ("process_network_transmit_bytes_total", "counter", &[]),
    ("go_threads", "gauge", &[]),
    ("go_goroutines", "gauge", &[]),
    ("go_memstats_alloc_bytes", "gauge", &[]),
    ("go_memstats_heap_idle_bytes", "gauge", &[]),
    ("go_memstats_heap_sys_bytes", "gauge", &[]),
    ("optimum_<p>_delivered_messages_delay_seconds", "histogram", &[]),
    ("delivered_messages_delay_seconds", "histogram", &[]),
    ("optimum_det_coordinates_geo_location", "gauge", &["country_iso", "latitude", "longitude"]),
    ("optimum_bandwidth_total_bytes", "counter", &["direction"]),
    ("optimum_bandwidth_messages_total", "counter", &["direction", "protocol"]),
    ("optimum_bandwidth_traffic_bytes_total", "counter", &["direction", "protocol"]),
    ("optimum_conn_total_connections", "gauge", &["direction"]),
    ("optimum_conn_streams_current", "gauge", &["protocol"]),
    ("optimum_conn_stream_duration_seconds", "histogram", &["protocol"]),
    ("optimum_<p>_total_peers", "gauge", &[]),
    ("optimum_<p>_peers_per_protocol", "gauge", &["protocol"]),
    ("optimum_<p>_received_messages_count", "counter", &["topic"]),
    ("optimum_<p>_delivered_messages_count", "counter", &["topic"]),
    ("optimum_<p>_received_messages_bytes", "counter", &["topic"]),
    ("optimum_<p>_delivered_messages_bytes", "counter", &["topic"]),
    ("optimum_<p>_dropped_queue_full_total", "counter", &["topic"]),
    ("optimum_<p>_dropped_throttled_total", "counter", &["topic"]),
    ("optimum_<p>_dropped_rejected_total", "counter", &["topic"]),
    ("optimum_p2p_messages_published_total", "counter", &["topic"]),
    ("optimum_p2p_messages_received_total", "counter", &["peer_id", "topic"]),
    ("optimum_p2p_message_size_bytes", "histogram", &["topic"]),
    ("optimum_p2p_active_topics", "gauge", &[]),
    ("optimum_p2p_publish_errors_total", "counter", &["error_type", "topic"]),
    ("optimum_grpc_p2p_received_bytes_total", "counter", &["method"]),
    ("optimum_grpc_p2p_messages_received_total", "counter", &["method"]),
    ("optimum_grpc_p2p_sent_bytes_total", "counter", &["method"]),
    ("optimum_grpc_p2p_messages_sent_total", "counter", &["method"]),
];

/// Those that only mode optimum has.
const SHARDS: &[(&str, &str, &[&str])] = &[
    ("optimum_<p>_shards_total", "counter", &[]),
    ("optimum_<p>_shards_duplicate_total", "counter", &[]),
    ("optimum_<p>_shards_unnecessary_total", "counter", &[]),
    ("optimum_<p>_shards_unhelpful_total", "counter", &[]),
];

/// The word of a mode in names.
fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Optimum => "mump2p",
        Mode::Gossipsub => "gossip_p2p",
    }
}

/// Samples of a page: name and labels, as written, to value.
#[derive(Debug)]
struct Page {
    text: String,
    types: BTreeMap<String, String>,
}

impl Page {
    async fn of(node: &Running) -> Self {
        let (head, text) = request(node.api_address(), "GET", "/metrics").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let types = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        Self { text, types }
    }

    /// Returns the names of the labels of each sample of `name`, and its value.
    fn samples(&self, name: &str) -> Vec<(Vec<&str>, f64)> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        lines
            .map(|line| {
                let (labels, value) = line.rsplit_once("} ").expect("labels and a value");
                let mut names: Vec<_> =
                    labels.split(',').filter_map(|l| Some(l.split_once('=')?.0)).collect();
                names.sort_unstable();
                (names, value.parse().expect("a number"))
            })
            .collect()
    }

    fn value(&self, sample: &str) -> Option<f64> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(sample))?;
        line.trim().parse().ok()
    }
}

/// Two nodes between which a message went that was published through the sidecar.
async fn nodes_with_traffic(mode: Mode) -> [Running; 2] {
    let config = |peers: &[&Running]| {
        let mut config = config("c", peers);
        config.mode = mode;
        config.gossipsub.port = 0;
        config
    };
    let mut settings = config(&[]);
    settings.geo.coordinates = Some((52.52, 13.405));
    settings.geo.country_iso = Some("DE".to_owned());
    let first = start(settings).await;
    let second = start(config(&[&first])).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    let mut reader = Client::open(&first).await;
    reader.send(api::sidecar::Command::Subscribe, "t", "").await;
    second.handle().subscribe(topic.clone()).await.expect("runs");
    until(&second, "a mesh", |status| status.peers.iter().any(|peer| !peer.mesh.is_empty())).await;
    let published = second.handle().publish(topic.clone(), vec![7; 1000].into()).await;
    published.expect("runs").expect("published");
    reader.message().await;
    let own = first.handle().publish(topic.clone(), vec![8; 100].into()).await;
    own.expect("runs").expect("published");
    first.handle().publish(topic, bytes::Bytes::new()).await.expect("runs").expect_err("empty");
    [first, second]
}

#[tokio::test]
async fn every_family_of_the_contract_is_there_with_its_type_and_labels() {
    for (mode, more) in [(Mode::Optimum, SHARDS), (Mode::Gossipsub, &[])] {
        let [first, _second] = nodes_with_traffic(mode).await;
        // Some streams are closed only after a while; their histogram is there from the beginning.
        assert_families(&Page::of(&first).await, mode, FAMILIES.iter().chain(more));
    }
}

fn assert_families<'a>(
    page: &Page,
    mode: Mode,
    families: impl Iterator<Item = &'a (&'a str, &'a str, &'a [&'a str])>,
) {
    for (name, kind, labels) in families {
        let name = name.replace("<p>", word(mode));
        assert_eq!(page.types.get(&name).map(String::as_str), Some(*kind), "{name}");
        let sample = if *kind == "histogram" { format!("{name}_count") } else { name.clone() };
        let samples = page.samples(&sample);
        assert!(!samples.is_empty(), "{name}: no sample\n{}", page.text);
        let mut wanted = [*labels, &["cluster_id", "protocol_type"]].concat();
        wanted.sort_unstable();
        for (names, _) in samples {
            assert_eq!(names, wanted, "{name}");
        }
    }
}

#[tokio::test]
async fn messages_shards_and_bytes_are_counted() {
    let [first, _second] = nodes_with_traffic(Mode::Optimum).await;
    let page = Page::of(&first).await;
    let common = r#"cluster_id="c",protocol_type="optimum""#;
    let topic = format!(r#"{{{common},topic="t"}}"#);
    let value = |name: &str, labels: &str| page.value(&format!("{name}{labels}"));
    let bare = format!("{{{common}}}");
    assert_eq!(value("optimum_mump2p_delivered_messages_count", &topic), Some(2.0));
    assert_eq!(value("optimum_mump2p_delivered_messages_bytes", &topic), Some(1100.0));
    // So short a message comes whole.
    assert_eq!(value("optimum_mump2p_shards_total", &bare), Some(1.0));
    assert_eq!(value("delivered_messages_delay_seconds_count", &bare), Some(1.0));
    assert_eq!(value("optimum_p2p_messages_published_total", &topic), Some(1.0));
    assert_eq!(value("optimum_mump2p_total_peers", &bare), Some(1.0));
    let incoming = format!(r#"{{{common},direction="incoming"}}"#);
    assert!(value("optimum_bandwidth_total_bytes", &incoming) > Some(1000.0));
    // Protocols are known by their names, whoever opened the stream.
    let gossip = page.text.lines().filter(|line| {
        line.starts_with("optimum_bandwidth_traffic_bytes_total")
            && line.contains(r#"protocol="/open-optimump2p/"#)
    });
    assert!(gossip.count() > 2, "{}", page.text);
    let listen = format!(r#"{{{common},method="ListenCommands"}}"#);
    assert_eq!(value("optimum_grpc_p2p_messages_received_total", &listen), Some(1.0));
    assert!(value("optimum_grpc_p2p_sent_bytes_total", &listen) > Some(1000.0));
}

/// `promtool` wants the names of counters, and of no more than histograms, to end otherwise. These are
/// the contract's.
const DISLIKED: [&str; 5] = [
    "optimum_bandwidth_total_bytes",
    "optimum_<p>_received_messages_count",
    "optimum_<p>_delivered_messages_count",
    "optimum_<p>_received_messages_bytes",
    "optimum_<p>_delivered_messages_bytes",
];

#[tokio::test]
async fn promtool_has_nothing_to_say_but_about_names_of_the_contract() {
    for mode in [Mode::Optimum, Mode::Gossipsub] {
        let [first, _second] = nodes_with_traffic(mode).await;
        let disliked = DISLIKED.map(|name| name.replace("<p>", word(mode)));
        assert_promtool_dislikes_only(&disliked, &Page::of(&first).await);
    }
}

fn assert_promtool_dislikes_only(disliked: &[String], page: &Page) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        // script/test.sh says so, and makes it a failure of CI.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("promtool: {error}"),
    };
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(page.text.as_bytes()).expect("taken");
    drop(input);
    let output = promtool.wait_with_output().expect("ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("text");
    let known = |line: &&str| disliked.iter().any(|name| line.split(' ').next() == Some(name));
    let new: Vec<_> = said.lines().filter(|line| !known(line)).collect();
    assert!(new.is_empty(), "{new:#?}");
}
