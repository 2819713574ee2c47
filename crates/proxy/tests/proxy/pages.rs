//! Pages: metrics, the description of the API, the tracer.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    harness::{Proxy, config, until},
    puppet::Puppet,
};

/// Names of the contract that break Prometheus' rules of naming, and are kept all the same.
const DISLIKED: [&str; 3] =
    ["message_seen_nodes_count", "nodes_active_total", "optimum_det_coordinates_geo_location"];

/// A proxy through which every kind of thing went.
async fn used() -> (Puppet, Proxy) {
    let node = Puppet::start().await;
    let mut settings = config(&[&node]);
    settings.geo.coordinates = Some((64.1, -21.9));
    settings.fallback_delay = std::time::Duration::from_millis(20);
    let proxy = Proxy::start(settings).await;
    until("the source", async || node.is_source()).await;
    proxy.subscribe("c", "t", 1.0).await;
    let mut socket = proxy.socket("c").await;
    proxy.publish("c", "t", "x").await;
    proxy.publish("c", "t", "x").await;
    proxy.publish("c", "nobody's", "x").await;
    node.report("t", b"x");
    socket.message().await;
    let stream = proxy.stream("c").await;
    drop(stream);
    (node, proxy)
}

#[tokio::test]
async fn every_metric_of_the_contract_is_there_in_both_generations() {
    let (_node, proxy) = used().await;
    let page = proxy.metrics().await;
    for name in [
        "optimum_proxy_published_by_client_total",
        "published_messages_by_client_total",
        "message_size_bytes_bucket",
        "published_message_size_bytes_bucket",
        "publish_error_total",
        "optimum_proxy_p2p_connections",
        "total_p2pnodes_connections",
        "optimum_proxy_ws_clients_active",
        "active_ws_clients",
        "node_received_messages_total",
        "client_topic_threshold",
        "message_seen_nodes_count",
        "message_first_seen_timestamp",
        "nodes_active_total",
        "optimum_grpc_proxy_received_bytes_total",
        "optimum_grpc_proxy_messages_received_total",
        "optimum_grpc_proxy_sent_bytes_total",
        "optimum_grpc_proxy_messages_sent_total",
        "optimum_proxy_system_cpu_cores",
        "optimum_det_coordinates_geo_location",
        "process_cpu_seconds_total",
        "go_goroutines",
    ] {
        let sample = page.lines().find(|line| line.starts_with(&format!("{name}{{")));
        assert!(
            sample.is_some_and(|s| s.contains("cluster_id=\"\",protocol_type=\"optimum\"")),
            "{name} is not in {page}"
        );
    }
    for name in ["fallback_deliveries_total", "message_fallback_deliveries_total"] {
        assert!(page.contains(&format!("# TYPE {name} counter")), "{name}");
    }
    for line in [
        "published_messages_by_client_total{cluster_id=\"\",protocol_type=\"optimum\",client_id=\"c\",topic=\"t\"} 1.0",
        "client_topic_threshold{cluster_id=\"\",protocol_type=\"optimum\",client_id=\"c\",topic=\"t\"} 1.0",
        "publish_error_total{cluster_id=\"\",protocol_type=\"optimum\",client_id=\"c\",error_type=\"not_assigned\",topic=\"nobody's\"} 1.0",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_but_of_the_contracts_names() {
    let (_node, proxy) = used().await;
    let page = proxy.metrics().await;
    let command = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = command else {
        println!("skipped: promtool is missing; apt-get install prometheus");
        return;
    };
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(page.as_bytes()).expect("read");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let unexpected: Vec<_> =
        said.lines().filter(|line| !DISLIKED.iter().any(|name| line.starts_with(name))).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test]
async fn the_api_describes_itself_and_every_path_of_the_description_is_served() {
    let (_node, proxy) = used().await;
    let (status, document) = proxy.get("/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let (status, body) = match method.as_str() {
                "get" => proxy.get(path).await,
                "post" => proxy.post(path, "{}").await,
                other => panic!("{other} {path}"),
            };
            assert_ne!(status, 404, "{method} {path}: {body}");
        }
    }
    for path in ["/api/v1/publish", "/api/v1/subscribe", "/api/v1/session", "/api/v1/ws"] {
        assert!(paths.contains_key(path), "{path}");
    }
    let (status, page) = proxy.get("/api/v1/docs").await;
    assert!(status == 200 && page.contains("openapi.json"));
}

#[tokio::test]
async fn the_tracer_shows_what_passed_until_it_is_reset() {
    let (_node, proxy) = used().await;
    let shown = async || {
        let (status, body) = proxy.get("/api/v1/tracer/stream?window=1m").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).expect("JSON")
    };
    let before = shown().await;
    assert_eq!(
        (&before["published_messages"], &before["delivered_messages"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&before["duplicate_messages"], &before["algorithm"]),
        (&1.into(), &"optimum".into())
    );
    assert_eq!(before["messages"].as_object().expect("messages").len(), 1);
    assert_eq!(proxy.get("/api/v1/tracer/reset").await.0, 200);
    let after = shown().await;
    assert_eq!(
        (&after["published_messages"], &after["messages"]),
        (&0.into(), &serde_json::json!({}))
    );
}

#[tokio::test]
async fn a_request_has_a_name_and_browsers_of_known_origins_may_call() {
    let node = Puppet::start().await;
    let mut settings = config(&[&node]);
    settings.cors_origins = vec!["https://app.example".to_owned()];
    let proxy = Proxy::start(settings).await;
    let answer = proxy.request("/api/v1/subscribe").header("x-request-id", "mine");
    let answer = answer.header("origin", "https://app.example").send().await.expect("an answer");
    let header =
        |name: &str| answer.headers().get(name).map(|v| v.to_str().expect("text").to_owned());
    assert_eq!(header("x-request-id").as_deref(), Some("mine"));
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("https://app.example"));
    let stranger = proxy.request("/api/v1/subscribe").header("origin", "https://else.example");
    let stranger = stranger.send().await.expect("an answer");
    assert!(stranger.headers().get("access-control-allow-origin").is_none());
    assert!(stranger.headers().get("x-request-id").is_some());
}
