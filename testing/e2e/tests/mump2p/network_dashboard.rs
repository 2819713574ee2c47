//! The picture of a network, of servers that answer badly or not at all.

use std::net::SocketAddr;

use axum::{Router, body::Body, routing::get};
use e2e::mump2p_process::Mump2p;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stack::nobody;

/// What would set the title of a terminal, clear it and turn the direction of writing.
const STEERING: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\u{202e}";

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("bound");
    (listener, format!("http://{address}"))
}

async fn serve(routes: Router) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// Takes connections, keeps them and says nothing.
async fn silent() -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    url
}

/// Every page is a body that has no end.
async fn endless() -> String {
    let blanks = || stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
    serve(Router::new().fallback(async move || Body::from_stream(blanks()))).await
}

/// Says the first bytes of a body, and then nothing.
async fn stuck() -> String {
    use futures::StreamExt as _;
    let body = || stream::iter([Ok::<_, std::io::Error>("{")]).chain(stream::pending());
    serve(Router::new().fallback(async move || Body::from_stream(body()))).await
}

/// A node, or a proxy, that tries to steer whoever looks at it.
async fn steering() -> String {
    let health = json!({
        "status": STEERING, "cpu_used": STEERING, "memory_used": STEERING, "disk_used": STEERING,
        "country": format!("Oz{STEERING}"), "country_iso": STEERING,
    });
    let state = json!({
        "pub_key": format!("12D3{STEERING}"), "peers": [STEERING], "topics": ["a", STEERING],
        "addresses": [STEERING],
    });
    let countries = json!({ "countries": { "x": format!("Oz{STEERING}") }, "count": 1 });
    let page = |value: Value| get(async move || value.to_string());
    let routes = Router::new()
        .route("/api/v1/health", page(health))
        .route("/api/v1/node-state", page(state))
        .route("/api/v1/node-countries", page(countries));
    serve(routes).await
}

#[track_caller]
fn assert_plain(printed: &str) {
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!printed.contains(steers), "{printed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_answers_and_none_are_told_and_steer_no_terminal() {
    let pages = async || "<html>no JSON</html>";
    let (away, none) = (nobody(), serve(Router::new()).await);
    let (html, silent) = (serve(Router::new().fallback(pages)).await, silent().await);
    let (endless, stuck, steering) = (endless().await, stuck().await, steering().await);
    let nodes = [&*steering, &endless, &silent, &stuck, &html, &none, &away].join(",");
    let proxies = [&*silent, &steering].join(",");
    let mump2p = Mump2p::new(&nobody());
    let arguments = ["dashboard", "--proxies", &proxies, "--nodes", &nodes];

    let text = mump2p.run(&arguments).await.well();
    assert_plain(&text);
    for (name, says) in [
        ("node-1 (Peer ID: 12D3", "]0;owned"),
        ("node-2: ", "the answer is longer than 4194304 bytes"),
        ("node-3: no answer from ", "no answer within 5 s"),
        ("node-4: ", &stuck),
        ("node-5: ", "answers no JSON"),
        ("node-6: ", "answers HTTP 404"),
        ("node-7: no answer from ", &away),
    ] {
        let line = text.lines().find(|line| line.starts_with(name));
        assert!(line.is_some_and(|line| line.contains(says)), "{name}{says}:\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.contains(" DOWN ")).count(), 7, "{text}");

    let printed = mump2p.run(&[&arguments[..], &["--output", "json"]].concat()).await.well();
    assert_plain(&printed);
    let report: Value = serde_json::from_str(&printed).expect("JSON");
    let status = |list: &str| {
        let entries = report[list].as_array().expect("a list").iter();
        entries.map(|entry| entry["status"].as_str().expect("text")).collect::<Vec<_>>()
    };
    assert_eq!(status("proxies"), ["DOWN", "UP"]);
    assert_eq!(status("nodes"), ["UP", "DOWN", "DOWN", "DOWN", "DOWN", "DOWN", "DOWN"]);
    for node in report["nodes"].as_array().expect("a list").iter().skip(1) {
        assert!(node["error"].as_str().is_some_and(|error| error.contains("http://")), "{node}");
    }
    let yaml = mump2p.run(&[&arguments[..], &["--output", "yaml"]].concat()).await.well();
    let yaml: Value = yaml_serde::from_str(&yaml).expect("YAML");
    assert_eq!(yaml["nodes"], report["nodes"]);
}
