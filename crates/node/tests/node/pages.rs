//! The HTTP pages of a node.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use serde_json::Value;

use crate::common::{config, start, until, until_peers};

/// Returns status line and headers, and the body.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let text = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn health_is_compact_json_in_alphabetical_order() {
    let node = start(config("c", &[])).await;
    let (head, body) = request(node.api_address(), "GET", "/api/v1/health").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let value: Value = serde_json::from_str(&body).expect("JSON");
    let percent = |key: &str| {
        let text = value[key].as_str().expect("text");
        assert!(text.parse::<f64>().is_ok() && text.contains('.'), "{key}: {text}");
        text.to_owned()
    };
    let (cpu, disk, memory) = (percent("cpu_used"), percent("disk_used"), percent("memory_used"));
    let wanted = format!(
        r#"{{"country":"unknown","country_iso":"unknown","cpu_used":"{cpu}","disk_used":"{disk}","memory_used":"{memory}","mode":"optimum","status":"ok"}}"#
    );
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn the_node_state_names_the_node_its_peers_and_topics() {
    let first = start(config("c", &[])).await;
    let (_, body) = request(first.api_address(), "GET", "/api/v1/node-state").await;
    let (own, address) = (first.peer_id(), &first.p2p_addresses()[0]);
    let state = |peers: &str, topics: &str| {
        format!(
            r#"{{"addresses":["{address}"],"country":"unknown","country_iso":"unknown","peers":[{peers}],"pub_key":"{own}","topics":[{topics}]}}"#
        )
    };
    assert_eq!(body, state("", ""));
    let second = start(config("c", &[&first])).await;
    until_peers(&first, 1).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    first.handle().subscribe(topic).await.expect("runs");
    let (_, body) = request(first.api_address(), "GET", "/api/v1/node-state").await;
    assert_eq!(body, state(&format!(r#""{}""#, second.peer_id()), r#""t""#));
}

#[tokio::test]
async fn the_version_has_commit_and_release() {
    let node = start(config("c", &[])).await;
    let (_, body) = request(node.api_address(), "GET", "/api/v1/version").await;
    let wanted = format!(r#"{{"commit_hash":"{}","version":"{}"}}"#, node::COMMIT, node::VERSION);
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_text() {
    let node = start(config("c", &[])).await;
    for (method, path) in [("GET", "/nowhere"), ("POST", "/api/v1/health"), ("GET", "/")] {
        let (head, body) = request(node.api_address(), method, path).await;
        assert!(head.starts_with("http/1.1 404"), "{head}");
        assert!(head.contains("content-type: text/plain"), "{head}");
        assert_eq!(body, format!("Cannot {method} {path}"));
    }
}

/// Asks for a page that is JSON.
pub(crate) async fn page(node: &node::Running, path: &str) -> Value {
    let (head, body) = request(node.api_address(), "GET", path).await;
    assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

/// Fails unless every object of the text has its keys in order, and no white space stands between.
fn assert_compact_and_in_order(path: &str, body: &str) {
    fn written(value: &Value) -> String {
        match value {
            Value::Object(object) => {
                let mut parts: Vec<_> = object.iter().collect();
                parts.sort_by_key(|(key, _)| *key);
                let part = |(key, value): (&String, &Value)| {
                    format!("{}:{}", Value::String(key.clone()), written(value))
                };
                format!("{{{}}}", parts.into_iter().map(part).collect::<Vec<_>>().join(","))
            }
            Value::Array(items) => {
                format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(","))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        }
    }
    let value: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body, written(&value), "{path}");
}

#[tokio::test]
async fn every_path_is_documented_and_every_documented_path_answers() {
    const PATHS: [&str; 11] = [
        "/api/v1/config",
        "/api/v1/docs",
        "/api/v1/health",
        "/api/v1/node-state",
        "/api/v1/openapi.json",
        "/api/v1/p2p-snapshot",
        "/api/v1/topics",
        "/api/v1/version",
        "/livez",
        "/metrics",
        "/readyz",
    ];
    let node = start(config("c", &[])).await;
    let document = page(&node, "/api/v1/openapi.json").await;
    let documented: Vec<_> = document["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(documented, PATHS);
    for path in PATHS {
        let (head, body) = request(node.api_address(), "GET", path).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        if head.contains("content-type: application/json") {
            assert_compact_and_in_order(path, &body);
        }
        let (head, body) = request(node.api_address(), "HEAD", path).await;
        assert!(head.starts_with("http/1.1 200") && body.is_empty(), "HEAD {path}: {head}");
    }
}

#[tokio::test]
async fn the_page_for_people_loads_nothing_from_elsewhere() {
    let node = start(config("c", &[])).await;
    let (_, body) = request(node.api_address(), "GET", "/api/v1/docs").await;
    assert!(body.contains("openapi.json"), "{body}");
    assert!(!body.contains("http://") && !body.contains("https://") && !body.contains("src="));
}

#[tokio::test]
async fn the_config_names_what_runs_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("secret.json");
    std::fs::write(&keys, r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#).expect("written");
    let settings = node::Config {
        sidecar_jwks: Some(keys.to_str().expect("UTF-8").to_owned()),
        ..config("the-cluster", &[])
    };
    let node = start(settings).await;
    let shown = page(&node, "/api/v1/config").await;
    assert_eq!(shown["cluster_id"], "the-cluster");
    assert_eq!(shown["node_mode"], "optimum");
    assert_eq!(shown["rlnc_shard_factor"], 4);
    assert_eq!(shown["mesh_degree_target"], 6);
    assert_eq!(shown["sidecar_tickets"], true);
    assert_eq!((&shown["trace"], &shown["chain_id"]), (&"all".into(), &"default".into()));
    assert_eq!(shown["random_message_size_bytes"], 512);
    assert!(!shown.to_string().contains("secret"), "{shown}");
}

#[tokio::test]
async fn the_snapshot_shows_peers_shards_and_decoded_messages() {
    let first = start(config("c", &[])).await;
    let fresh = page(&first, "/api/v1/p2p-snapshot").await;
    let wanted = serde_json::json!({
        "connected_peers": [], "full_message_node_count": 0, "fully_decoded_message_hashes": [],
        "partial_message_node_count": 0, "seen_message_hashes": [], "total_peer_count": 0,
        "undecoded_shard_buffer_sizes": {},
    });
    assert_eq!(fresh, wanted);
    let second = start(config("c", &[&first])).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    for node in [&first, &second] {
        node.handle().subscribe(topic.clone()).await.expect("runs");
    }
    until(&second, "a mesh", |status| status.peers.iter().any(|peer| !peer.mesh.is_empty())).await;
    let published = second.handle().publish(topic, vec![7; 1000].into()).await.expect("runs");
    let id = published.expect("published").to_string();
    let held = async {
        loop {
            let shown = page(&first, "/api/v1/p2p-snapshot").await;
            if shown["fully_decoded_message_hashes"] == serde_json::json!([id]) {
                return shown;
            }
        }
    };
    let shown = tokio::time::timeout(crate::common::LIMIT, held).await.expect("decoded");
    let peer = &shown["connected_peers"][0];
    assert_eq!(peer["peer_id"], second.peer_id().to_string());
    assert_eq!(peer["direction"], "inbound");
    assert!(peer["shards_received"].as_u64() >= Some(1), "{peer}");
    assert!(peer["connected_since"].as_u64() > Some(1_600_000_000), "{peer}");
    assert_eq!(shown["total_peer_count"], 1);
}

#[tokio::test]
async fn topics_are_listed_with_their_subscribers() {
    let first = start(config("c", &[])).await;
    let second = start(config("c", &[&first])).await;
    let topic = gossip::Topic::new("a/b").expect("a topic");
    second.handle().subscribe(topic).await.expect("runs");
    until(&first, "a subscriber", |status| status.peers.iter().any(|p| !p.topics.is_empty())).await;
    let all = page(&first, "/api/v1/topics").await;
    let wanted = serde_json::json!({"count": 1, "topics": [{"peer_count": 1, "topic": "a/b"}]});
    assert_eq!(all, wanted);
    let one = page(&first, "/api/v1/topics?topic=a%2Fb&nodeinfo=true").await;
    let peer = &one["topics"][0]["peers"][0];
    assert_eq!(peer["peer_id"], second.peer_id().to_string());
    assert_eq!(peer["connection_status"], "connected");
    assert!(!peer["addresses"].as_array().expect("addresses").is_empty());
    let unknown = page(&first, "/api/v1/topics?topic=nobody").await;
    let wanted = serde_json::json!({"count": 1, "topics": [{"peer_count": 0, "topic": "nobody"}]});
    assert_eq!(unknown, wanted);
}

#[tokio::test]
async fn what_means_nothing_is_refused_with_a_reason() {
    let node = start(config("c", &[])).await;
    for query in ["nodeinfo=perhaps", "topic=%ff", "topic=%2"] {
        let path = format!("/api/v1/topics?{query}");
        let (head, body) = request(node.api_address(), "GET", &path).await;
        assert!(head.starts_with("http/1.1 400"), "{query}: {head}");
        assert!(body.starts_with(r#"{"error":""#), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_refused_and_counted() {
    let node = start(config("c", &[])).await;
    let mut stream = TcpStream::connect(node.api_address()).await.expect("connects");
    let text = format!("GET /livez?{} HTTP/1.1\r\nHost: node\r\n\r\n", "x".repeat(1 << 20));
    // The node may close before it has taken all of it.
    let _closed = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let count = async {
        loop {
            let (_, body) = request(node.api_address(), "GET", "/metrics").await;
            let counted = body.lines().any(|line| {
                line.starts_with("optimum_node_http_connections_refused_total{")
                    && line.ends_with(" 1.0")
            });
            if counted {
                return;
            }
        }
    };
    tokio::time::timeout(crate::common::LIMIT, count).await.expect("counted");
}
