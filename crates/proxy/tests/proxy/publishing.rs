//! What becomes of a message that a client publishes.

use api::proxy::{ExposeNodesRequest, PublishRequest, SubscribeRequest};
use serde_json::json;
use tonic::Code;

use crate::{
    harness::{Proxy, config, until},
    puppet::{OnPublish, Puppet},
};

async fn one() -> (Puppet, Proxy) {
    let node = Puppet::start().await;
    let proxy = Proxy::start(config(&[&node])).await;
    (node, proxy)
}

#[tokio::test]
async fn a_message_is_published_at_a_node_and_has_the_id_of_the_guides_sample() {
    let (node, proxy) = one().await;
    proxy.subscribe("c", "test-topic", 0.1).await;
    let (status, answer) = proxy.publish("c", "test-topic", "Hello, world!").await;
    assert_eq!((status, &answer["status"]), (200, &json!("published")));
    let id = answer["message_id"].as_str().expect("an id");
    assert!(id.starts_with("630bae9b") && id.ends_with("15e7df"), "{id}");
    assert_eq!(answer["topic"], "test-topic");
    assert_eq!(node.published(), [("test-topic".to_owned(), "Hello, world!".into())]);
}

#[tokio::test]
async fn an_equal_message_is_published_once_and_a_timestamp_makes_it_another() {
    let (node, proxy) = one().await;
    proxy.subscribe("c", "t", 0.1).await;
    assert_eq!(proxy.publish("c", "t", "x").await.1["status"], "published");
    let (status, again) = proxy.publish("another", "t", "x").await;
    assert_eq!((status, &again["status"]), (200, &json!("deduplicated")));
    let stamped = json!({"client_id": "c", "topic": "t", "message": "x", "timestamp": 1});
    let (_, stamped) = proxy.post("/api/v1/publish", stamped.to_string()).await;
    assert!(stamped.contains("\"published\""), "{stamped}");
    assert_eq!(node.published().len(), 2);
}

#[tokio::test]
async fn a_topic_that_nobody_subscribed_is_refused_and_one_of_another_proxy_is_not() {
    let (node, proxy) = one().await;
    let (status, answer) = proxy.publish("c", "t", "x").await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().is_some_and(|e| e.contains("topic not assigned")));
    node.add_topic("t");
    until("the proxy has asked again", async || proxy.publish("c", "t", "x").await.0 == 200).await;
    assert_eq!(node.published().len(), 1, "a refusal claims nothing, and nothing is sent twice");
}

#[tokio::test]
async fn a_message_goes_elsewhere_when_its_node_does_not_confirm_it() {
    let (silent, sound) = (Puppet::start().await, Puppet::start().await);
    silent.on_publish(OnPublish::Ignore);
    let proxy = Proxy::start(config(&[&silent, &sound])).await;
    proxy.subscribe("c", "t", 0.1).await;
    for number in 0..3 {
        let (status, answer) = proxy.publish("c", "t", &format!("m{number}")).await;
        assert_eq!(status, 200, "{answer}");
    }
    let mut published: Vec<_> = sound.published().into_iter().map(|(_, m)| m).collect();
    published.sort();
    assert_eq!(published, ["m0", "m1", "m2"]);
}

#[tokio::test]
async fn a_message_goes_elsewhere_when_its_node_dies() {
    let nodes = [Puppet::start().await, Puppet::start().await];
    for node in &nodes {
        node.on_publish(OnPublish::Ignore);
    }
    let proxy = Proxy::start(config(&[&nodes[0], &nodes[1]])).await;
    proxy.subscribe("c", "t", 0.1).await;
    let kill = async {
        let asked = || nodes.iter().position(|node| !node.published().is_empty());
        until("one is asked", async || asked().is_some()).await;
        let asked = asked().expect("one");
        nodes[1 - asked].on_publish(OnPublish::Confirm);
        nodes[asked].kill();
    };
    let ((status, answer), ()) = tokio::join!(proxy.publish("c", "t", "x"), kill);
    assert_eq!(status, 200, "{answer}");
    assert!(nodes.iter().all(|node| node.published().len() == 1));
}

#[tokio::test]
async fn what_a_node_refuses_is_refused_with_its_reason_and_may_be_tried_again() {
    let (node, proxy) = one().await;
    node.on_publish(OnPublish::Refuse);
    proxy.subscribe("c", "t", 0.1).await;
    let (status, answer) = proxy.publish("c", "t", "x").await;
    assert_eq!(status, 413);
    assert!(answer["error"].as_str().is_some_and(|e| e.contains("too long")), "{answer}");
    node.on_publish(OnPublish::Confirm);
    assert_eq!(proxy.publish("c", "t", "x").await.1["status"], "published");
    let page = proxy.metrics().await;
    let line = "publish_error_total{cluster_id=\"\",protocol_type=\"optimum\",client_id=\"c\",error_type=\"refused_by_node\",topic=\"t\"} 1.0\n";
    assert!(page.contains(line), "{page}");
}

#[tokio::test]
async fn without_a_node_the_proxy_lives_and_says_so() {
    let node = Puppet::start().await;
    node.kill();
    let proxy = Proxy::start_alone(config(&[&node])).await;
    assert_eq!(proxy.get("/api/v1/health").await.0, 200);
    assert_eq!(proxy.get("/livez").await.0, 200);
    proxy.subscribe("c", "t", 0.1).await;
    let (status, answer) = proxy.publish("c", "t", "x").await;
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().is_some_and(|e| e.contains("no node")), "{answer}");
}

#[tokio::test]
async fn random_content_is_made_only_for_who_may_publish_it() {
    let (node, proxy) = one().await;
    let body = json!({"client_id": "c", "topic": "t", "message_length": 64 << 20}).to_string();
    let many = (0..60).map(|_| proxy.post("/api/v1/publish", body.clone()));
    for (status, answer) in futures::future::join_all(many).await {
        assert_eq!(status, 400, "{answer}");
    }
    proxy.subscribe("c", "t", 0.1).await;
    node.on_publish(OnPublish::Ignore);
    // More than there is room for at once: some are told to come again.
    let many = (0..20).map(|_| proxy.post("/api/v1/publish", body.clone()));
    let answers = futures::future::join_all(many).await;
    let busy = answers.iter().filter(|(_, answer)| answer.contains("too much")).count();
    assert!(busy >= 14, "{busy} of 20");
}

#[tokio::test]
async fn random_content_has_the_length_asked_for() {
    let (node, proxy) = one().await;
    proxy.subscribe("c", "t", 0.1).await;
    let body = json!({"client_id": "c", "topic": "t", "message_length": 102_400});
    let (status, answer) = proxy.post("/api/v1/publish", body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(node.published()[0].1.len(), 102_400);
}

#[tokio::test]
async fn grpc_publishes_subscribes_and_names_nodes_with_its_own_status_codes() {
    let (node, proxy) = one().await;
    let mut grpc = proxy.grpc().await;
    let publish = |topic: &str, message: &'static str| PublishRequest {
        client_id: "c".to_owned(),
        topic: topic.to_owned(),
        message: message.into(),
    };
    let refused = grpc.publish(publish("t", "x")).await.expect_err("nobody subscribed");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("topic not assigned"), "{refused}");
    let wanted = SubscribeRequest {
        client_id: "c".to_owned(),
        topic: "t".to_owned(),
        threshold: 0.1,
        topics: vec!["u".to_owned()],
    };
    let subscribed = grpc.subscribe(wanted.clone()).await.expect("taken").into_inner();
    assert_eq!((&*subscribed.status, &*subscribed.topic), ("subscribed", "t"));
    for _ in 0..2 {
        let published = grpc.publish(publish("t", "x")).await.expect("taken").into_inner();
        assert_eq!((&*published.status, published.message_id.len()), ("published", 64));
    }
    assert_eq!(node.published().len(), 1, "an equal message is one");
    assert_eq!(
        proxy.get("/api/v1/topics?client_id=c").await.1,
        r#"{"client_id":"c","count":2,"topics":["t","u"]}"#
    );
    for (request, says) in [
        (SubscribeRequest { threshold: 1.5, ..wanted.clone() }, "invalid threshold"),
        (SubscribeRequest { threshold: f32::NAN, ..wanted.clone() }, "invalid threshold"),
        (SubscribeRequest { client_id: String::new(), ..wanted.clone() }, "missing client ID"),
        (SubscribeRequest { topic: String::new(), topics: Vec::new(), ..wanted }, "missing topic"),
    ] {
        let refused = grpc.subscribe(request).await.expect_err(says);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(says), "{refused}");
    }
    let refused = grpc.publish(publish("t", "")).await.expect_err("nothing to publish");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let exposed = ExposeNodesRequest { client_id: "c".to_owned(), expose_amount: 1 };
    let exposed = grpc.expose_nodes(exposed).await.expect("nodes").into_inner();
    assert_eq!(exposed.nodes, [node.address.to_string()]);
    assert!(exposed.nodes_opt_p2p[0].contains("/p2p/"), "{exposed:?}");
}
