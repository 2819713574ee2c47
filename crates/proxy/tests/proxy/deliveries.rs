//! Which client is given which message, when, and by which node.

use std::time::Duration;

use crate::{
    harness::{Proxy, config, until},
    puppet::{Puppet, id_of},
};

/// Four nodes, and a proxy whose fallback does not come by itself.
async fn four() -> (Vec<Puppet>, Proxy) {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(Puppet::start().await);
    }
    let mut settings = config(&nodes.iter().collect::<Vec<_>>());
    settings.fallback_delay = Duration::from_secs(3600);
    let proxy = Proxy::start(settings).await;
    (nodes, proxy)
}

async fn source(nodes: &[Puppet]) -> usize {
    until("a source", async || nodes.iter().any(Puppet::is_source)).await;
    nodes.iter().position(Puppet::is_source).expect("one")
}

#[tokio::test]
async fn a_message_is_given_once_to_each_connection_over_websocket_and_grpc_alike() {
    let (nodes, proxy) = four().await;
    let source = source(&nodes).await;
    proxy.subscribe("c", "t", 0.1).await;
    let (mut first, mut second) = (proxy.socket("c").await, proxy.socket("c").await);
    let mut stream = proxy.stream("c").await;
    for message in ["one", "two"] {
        nodes[source].report("t", message.as_bytes());
        for node in &nodes {
            node.report("t", message.as_bytes());
        }
    }
    for message in ["one", "two"] {
        let text = first.text().await;
        assert_eq!(second.text().await, text);
        let delivery = api::Delivery::from_json(text.as_bytes()).expect("a delivery");
        assert_eq!(delivery.message, message.to_owned());
        assert_eq!((&*delivery.topic, &*delivery.message_id), ("t", &*id_of(message.as_bytes())));
        let over_grpc = stream.message().await;
        assert_eq!(over_grpc.message, text, "the same JSON");
        assert_eq!((&*over_grpc.topic, &*over_grpc.r#type), ("t", "message"));
        assert_eq!(over_grpc.message_id, delivery.message_id);
    }
}

#[tokio::test]
async fn the_order_of_subscribing_and_connecting_does_not_matter() {
    let (nodes, proxy) = four().await;
    let source = source(&nodes).await;
    let mut early = proxy.socket("early").await;
    proxy.subscribe("early", "t", 0.1).await;
    proxy.subscribe("late", "t", 0.1).await;
    let mut late = proxy.socket("late").await;
    nodes[source].report("t", b"x");
    assert_eq!(early.message().await.message, "x");
    assert_eq!(late.message().await.message, "x");
}

#[tokio::test]
async fn a_client_waits_for_its_share_of_the_nodes_and_others_do_not_wait_for_it() {
    let (nodes, proxy) = four().await;
    let source = source(&nodes).await;
    proxy.subscribe("eager", "t", 0.1).await;
    proxy.subscribe("careful", "t", 0.7).await;
    let (mut eager, mut careful) = (proxy.socket("eager").await, proxy.socket("careful").await);
    nodes[source].report("t", b"first");
    assert_eq!(eager.message().await.message, "first");
    let others: Vec<_> = (0..4).filter(|node| *node != source).collect();
    nodes[others[0]].report("t", b"first");
    // What everybody has comes before what two of four have.
    for node in &nodes {
        node.report("t", b"marker");
    }
    careful.expect_nothing_before("marker").await;
    nodes[others[1]].report("t", b"first");
    assert_eq!(careful.message().await.message, "first", "three of four are 0.7");
}

#[tokio::test]
async fn a_message_that_few_nodes_report_is_given_out_after_the_fallback_delay_and_counted() {
    let nodes = [Puppet::start().await, Puppet::start().await];
    let mut settings = config(&[&nodes[0], &nodes[1]]);
    settings.fallback_delay = Duration::from_millis(50);
    let proxy = Proxy::start(settings).await;
    let source = source(&nodes).await;
    proxy.subscribe("c", "t", 1.0).await;
    let mut socket = proxy.socket("c").await;
    nodes[source].report("t", b"x");
    assert_eq!(socket.message().await.message, "x");
    let page = proxy.metrics().await;
    for name in ["fallback_deliveries_total", "message_fallback_deliveries_total"] {
        let line = format!(
            "{name}{{cluster_id=\"\",protocol_type=\"optimum\",client_id=\"c\",topic=\"t\"}} 1.0\n"
        );
        assert!(page.contains(&line), "{page}");
    }
}

#[tokio::test]
async fn payloads_come_from_one_node_and_what_it_does_not_send_is_fetched() {
    let (nodes, proxy) = four().await;
    let source = source(&nodes).await;
    assert_eq!(nodes.iter().filter(|node| node.is_source()).count(), 1);
    proxy.subscribe("c", "t", 0.1).await;
    let mut socket = proxy.socket("c").await;
    let other = (source + 1) % 4;
    nodes[other].report("t", b"only one has it");
    assert_eq!(socket.message().await.message, "only one has it");
    assert_eq!(nodes[other].fetched(), 1);
    assert_eq!(socket_free_fetches(&nodes, other), 0);
}

fn socket_free_fetches(nodes: &[Puppet], except: usize) -> usize {
    let others = nodes.iter().enumerate().filter(|(place, _)| *place != except);
    others.map(|(_, node)| node.fetched()).sum()
}

#[tokio::test]
async fn when_the_source_dies_another_node_takes_its_place() {
    let (mut nodes, proxy) = four().await;
    let source = source(&nodes).await;
    proxy.subscribe("c", "t", 0.1).await;
    let mut socket = proxy.socket("c").await;
    nodes.remove(source).kill();
    until("another source", async || nodes.iter().any(Puppet::is_source)).await;
    for node in &nodes {
        node.report("t", b"after");
    }
    assert_eq!(socket.message().await.message, "after");
    proxy.until_nodes(3).await;
}

#[tokio::test]
async fn a_node_that_comes_back_is_used_again_and_told_what_to_subscribe() {
    let node = Puppet::start().await;
    let proxy = Proxy::start(config(&[&node])).await;
    proxy.subscribe("c", "t", 0.1).await;
    let mut socket = proxy.socket("c").await;
    node.kill();
    proxy.until_nodes(0).await;
    assert_eq!(proxy.get("/readyz").await.0, 503);
    let again = Puppet::start_at(node.address).await;
    proxy.until_nodes(1).await;
    until("the topic", async || again.topics().contains("t")).await;
    until("the source", async || again.is_source()).await;
    again.report("t", b"again");
    assert_eq!(socket.message().await.message, "again");
}

#[tokio::test]
async fn a_topic_leaves_the_nodes_with_the_last_subscription_that_nobody_comes_back_to() {
    let node = Puppet::start().await;
    let mut settings = config(&[&node]);
    settings.subscription_ttl = Duration::from_millis(100);
    let proxy = Proxy::start(settings).await;
    let socket = proxy.socket("stays").await;
    proxy.subscribe("stays", "kept", 0.1).await;
    proxy.subscribe("goes", "left", 0.1).await;
    until("subscribed", async || node.topics().contains("kept")).await;
    until("left", async || !node.topics().contains("left")).await;
    assert!(node.topics().contains("kept"));
    drop(socket);
    until("left too", async || node.topics().is_empty()).await;
    assert!(proxy.metric("optimum_proxy_clients_expired_total").await > 1.0);
}

#[tokio::test]
async fn what_a_node_sends_that_means_nothing_is_counted_and_hurts_nobody() {
    use api::sidecar::ResponseType::{Message, MessageTraceGossipSub, Unknown};
    let (nodes, proxy) = four().await;
    let source = source(&nodes).await;
    proxy.subscribe("c", "t", 0.1).await;
    let mut socket = proxy.socket("c").await;
    for (kind, data) in [
        (Message, &b"nonsense"[..]),
        (Message, br#"{"topic":"t","message_id":"short"}"#),
        (Message, &[0xff, 0xfe]),
        (MessageTraceGossipSub, b"trace"),
        (Unknown, br#"{"lost":{"answers":0,"messages":3,"traces":0}}"#),
        (Unknown, b"what"),
    ] {
        nodes[source].send(kind, data);
    }
    nodes[source].report("t", b"sense");
    assert_eq!(socket.message().await.message, "sense");
    let page = proxy.metrics().await;
    let of_source = format!(
        "{{cluster_id=\"\",protocol_type=\"optimum\",node_id=\"{}\"}}",
        nodes[source].address
    );
    assert!(
        page.contains(&format!("optimum_proxy_node_nonsense_total{of_source} 4.0\n")),
        "{page}"
    );
    assert!(page.contains(&format!("optimum_proxy_node_lost_total{of_source} 3.0\n")), "{page}");
}
