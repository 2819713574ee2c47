//! Connections: slow ones, misused ones, and how they end.

use tokio_tungstenite::tungstenite::{Bytes, Message, protocol::frame::coding::CloseCode};

use crate::{
    harness::{Proxy, config, until},
    puppet::Puppet,
};

async fn one(queue_bytes: usize) -> (Puppet, Proxy) {
    let node = Puppet::start().await;
    let mut settings = config(&[&node]);
    settings.stream_queue_bytes = queue_bytes;
    let proxy = Proxy::start(settings).await;
    until("the source", async || node.is_source()).await;
    (node, proxy)
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_loses_the_oldest_is_told_how_many_and_delays_nobody() {
    let (node, proxy) = one(1 << 20).await;
    for client in ["slow", "fast"] {
        proxy.subscribe(client, "t", 0.1).await;
    }
    let mut slow = proxy.socket("slow").await;
    let mut slow_stream = proxy.stream("slow").await;
    let mut fast = proxy.socket("fast").await;
    let count = 100_u8;
    for number in 0..count {
        // More than the sockets of both ends hold.
        node.report("t", &vec![number; 200_000]);
        assert_eq!(fast.message().await.message[0], number);
    }
    let mut got = 0;
    let lost = loop {
        let told: serde_json::Value = serde_json::from_str(&slow.text().await).expect("JSON");
        match told["lost"]["messages"].as_u64() {
            Some(lost) => break lost,
            None => got += 1,
        }
    };
    assert_eq!(got + lost, u64::from(count));
    assert!(lost > 0, "nothing was lost: the queue is not bounded");
    let mut over_grpc = 0;
    loop {
        let message = slow_stream.message().await;
        if message.r#type == "lost" {
            let json: serde_json::Value = serde_json::from_slice(&message.message).expect("JSON");
            over_grpc += json["lost"]["messages"].as_u64().expect("a number");
            break;
        }
        over_grpc += 1;
    }
    assert_eq!(over_grpc, u64::from(count));
    assert!(proxy.metric("optimum_proxy_deliveries_lost_total").await >= lost as f64);
}

#[tokio::test]
async fn what_a_client_sends_on_a_websocket_ends_it_with_a_reason() {
    let (_node, proxy) = one(1 << 20).await;
    for frame in [Message::text("hello"), Message::binary(Bytes::from_static(b"\0"))] {
        let mut socket = proxy.socket("c").await;
        socket.send(frame).await;
        let close = socket.close().await;
        assert_eq!(close.code, CloseCode::Unsupported);
        assert!(close.reason.contains("/api/v1/publish"), "{close}");
    }
    let mut socket = proxy.socket("c").await;
    // Far longer than anything a client has to say.
    socket.send(Message::binary(vec![0; 100_000])).await;
    assert!(!matches!(socket.frame().await, Some(Message::Text(_))));
    let mut socket = proxy.socket("c").await;
    socket.send(Message::Ping(Bytes::new())).await;
    socket.send(Message::Close(None)).await;
    until("none is open", async || proxy.metric("optimum_proxy_ws_clients_active").await < 0.5)
        .await;
    assert!(proxy.metric("optimum_proxy_ws_misused_total").await > 1.5);
}

#[tokio::test]
async fn at_the_end_clients_are_given_what_waits_for_them_and_told() {
    let (node, proxy) = one(1 << 26).await;
    proxy.subscribe("c", "t", 0.1).await;
    let (mut socket, mut stream) = (proxy.socket("c").await, proxy.stream("c").await);
    for number in 0..20_u8 {
        node.report("t", &vec![number; 10_000]);
    }
    until("all are on their way", async || {
        proxy.metric("optimum_proxy_deliveries_total").await > 39.5
    })
    .await;
    let Proxy { running, .. } = proxy;
    let ended = tokio::spawn(running.shutdown());
    for number in 0..20 {
        assert_eq!(socket.message().await.message[0], number);
        assert_eq!(stream.message().await.r#type, "message");
    }
    assert_eq!(socket.close().await.code, CloseCode::Away);
    assert!(stream.responses.message().await.expect("a clean end").is_none());
    ended.await.expect("no panic");
}
