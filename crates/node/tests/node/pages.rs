//! The HTTP pages of a node.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::common::{config, start, until_peers};

/// Returns status line and headers, and the body.
async fn request(address: SocketAddr, method: &str, path: &str) -> (String, String) {
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
    let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
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
