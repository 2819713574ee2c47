//! What clients send that is wrong, too much, or not at all.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    harness::{LIMIT, Proxy, config},
    puppet::Puppet,
};

async fn one() -> (Puppet, Proxy) {
    let node = Puppet::start().await;
    let proxy = Proxy::start(config(&[&node])).await;
    (node, proxy)
}

#[tokio::test]
async fn wrong_bodies_are_refused_in_the_words_that_clients_look_for() {
    let (node, proxy) = one().await;
    let long = "x".repeat(1025);
    let long_topic = json!({"client_id": "c", "topic": long, "message": "x"}).to_string();
    let long_client = json!({"client_id": long, "topic": "t", "message": "x"}).to_string();
    let message = "either message or message_length must be provided";
    for (path, body, says) in [
        ("subscribe", "invalid json", "invalid JSON"),
        ("subscribe", "", "invalid JSON"),
        ("subscribe", r#"{"client_id":7,"topic":"t"}"#, "invalid JSON"),
        ("subscribe", r#"{"client_id":"c","topic":["t"]}"#, "invalid JSON"),
        ("subscribe", r#"{"client_id":"c","topic":""}"#, "missing topic"),
        ("subscribe", r#"{"client_id":"c","topic":""}"#, "topic is missing"),
        ("subscribe", r#"{"client_id":"","topic":"t"}"#, "missing client ID"),
        ("subscribe", r#"{"client_id":"","topic":"t"}"#, "client_id is missing"),
        ("subscribe", r#"{"client_id":"c","topic":"t","threshold":1.1}"#, "invalid threshold"),
        ("subscribe", r#"{"client_id":"c","topic":"t","threshold":-1}"#, "invalid threshold"),
        ("subscribe", "{\"client_id\":\"a\\u0000b\",\"topic\":\"t\"}", "control characters"),
        ("publish", "{", "invalid JSON"),
        ("publish", r#"{"client_id":"c","message":"x"}"#, "missing topic"),
        ("publish", r#"{"topic":"t","message":"x"}"#, "missing client ID"),
        ("publish", r#"{"client_id":"c","topic":"t","message":""}"#, message),
        ("publish", r#"{"client_id":"c","topic":"t"}"#, message),
        ("publish", r#"{"client_id":"c","topic":"t"}"#, "message is missing"),
        ("publish", r#"{"client_id":"c","topic":"t","message":{}}"#, "invalid JSON"),
        ("publish", &long_topic, "topic too long"),
        ("publish", &long_client, "invalid client ID"),
        ("session", "[1]", "invalid JSON"),
        ("session", r#"{"client_id":""}"#, "missing client ID"),
    ] {
        let (status, answer) = proxy.post(&format!("/api/v1/{path}"), body.to_owned()).await;
        assert_eq!(status, 400, "{path} {body}: {answer}");
        assert!(answer.starts_with(r#"{"error":"#) && answer.contains(says), "{body}: {answer}");
    }
    let (status, answer) = proxy.post("/api/v1/publish", vec![b'{', b'"', 0xff, b'"']).await;
    assert_eq!((status, answer.contains("invalid JSON")), (400, true), "{answer}");
    assert!(node.published().is_empty());
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_the_old_prefix_is_served() {
    let (_node, proxy) = one().await;
    let body = r#"{"client_id":"c","topic":"t","threshold":1,"more":{"deep":[1]}}"#;
    let (status, answer) = proxy.post("/api/subscribe", body).await;
    assert_eq!((status, &*answer), (200, r#"{"client":"c","status":"subscribed"}"#));
}

#[tokio::test]
async fn a_body_that_is_too_long_and_a_message_that_is_are_413() {
    let (_node, proxy) = one().await;
    proxy.subscribe("c", "t", 0.1).await;
    let length = json!({"client_id": "c", "topic": "t", "message_length": 1_u64 << 40});
    let (status, answer) = proxy.post("/api/v1/publish", length.to_string()).await;
    assert_eq!(status, 413, "{answer}");
    // The answer may come while the client still writes: it is written by hand.
    let mut stream = TcpStream::connect(proxy.running.http_address()).await.expect("connects");
    let head = "POST /api/v1/publish HTTP/1.1\r\nHost: p\r\nContent-Length: 110000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("read");
    let (mut read, mut write) = stream.split();
    let send = async {
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..105 {
            if write.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    let answer = async {
        let mut answer = vec![0; 4096];
        let count = read.read(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[..count]).into_owned()
    };
    let answer = tokio::time::timeout(LIMIT, async {
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            () = send => answer.await,
        }
    });
    let answer = answer.await.expect("in time");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body too long"), "{answer}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_with_a_line_of_text() {
    let (_node, proxy) = one().await;
    assert_eq!(proxy.get("/api/v1/what").await, (404, "Cannot GET /api/v1/what".to_owned()));
    assert_eq!(proxy.get("/api/v1/publish").await, (404, "Cannot GET /api/v1/publish".to_owned()));
    let (status, text) = proxy.post("/api/v1/topics", "").await;
    assert_eq!((status, &*text), (404, "Cannot POST /api/v1/topics"));
}

#[tokio::test]
async fn wrong_queries_are_refused() {
    let (_node, proxy) = one().await;
    for (path, says) in [
        ("/api/v1/topics", "missing client ID"),
        ("/api/v1/topics?client_id=", "missing client ID"),
        ("/api/v1/topics?client_id=%ff", "no UTF-8"),
        ("/api/v1/topics?client_id=%00", "control characters"),
        ("/api/v1/ws", "missing client ID"),
        ("/api/v1/tracer/stream?window=ten", "invalid window"),
    ] {
        let (status, answer) = proxy.get(path).await;
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer.contains(says), "{path}: {answer}");
    }
    let (status, answer) = proxy.get("/api/v1/ws?client_id=c").await;
    assert_eq!(status, 400, "no WebSocket was asked for: {answer}");
}

#[tokio::test]
async fn heads_without_end_are_refused_and_counted() {
    let (_node, proxy) = one().await;
    let mut stream = TcpStream::connect(proxy.running.http_address()).await.expect("connects");
    let line = format!("X-Flood: {}\r\n", "x".repeat(1000));
    let flood = format!("GET /livez HTTP/1.1\r\n{}", line.repeat(200));
    // The proxy may close before it has read everything.
    let _cut = stream.write_all(flood.as_bytes()).await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(end.is_ok() && (text.is_empty() || text.starts_with("HTTP/1.1 431")), "{text}");
    let counted =
        async || proxy.metric("optimum_proxy_http_connections_refused_total").await >= 1.0;
    crate::harness::until("counted", counted).await;
}

#[tokio::test]
async fn clients_that_say_nothing_keep_no_other_waiting() {
    let (_node, proxy) = one().await;
    let mut silent = Vec::new();
    for address in [proxy.running.http_address(), proxy.running.grpc_address()] {
        for _ in 0..300 {
            silent.push(TcpStream::connect(address).await.expect("connects"));
        }
    }
    let half = "POST /api/v1/publish HTTP/1.1\r\nHost: p\r\nContent-Length: 100\r\n\r\n{\"cl";
    for stream in &mut silent[..100] {
        stream.write_all(half.as_bytes()).await.expect("read");
    }
    proxy.subscribe("c", "t", 0.1).await;
    assert_eq!(proxy.publish("c", "t", "x").await.0, 200);
    let answer = tokio::time::timeout(Duration::from_secs(30), proxy.stream("c")).await;
    answer.expect("served");
}
