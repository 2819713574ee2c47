//! The gRPC sidecar of whole nodes.

use crate::common::{
    LIMIT,
    client::{Client, Got, connect},
    config, start, until, until_peers,
};
use api::sidecar::{
    Command::{Publish, Subscribe, SubscribeSeveral, Unsubscribe},
    Request, Response, Void,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use gossip::message_id;
use node::Running;
use tokio_stream::StreamExt as _;
use tonic::Code;

/// Two connected nodes.
async fn pair() -> (Running, Running) {
    let first = start(config("c", &[])).await;
    let second = start(config("c", &[&first])).await;
    until_peers(&first, 1).await;
    until_peers(&second, 1).await;
    (first, second)
}

/// Waits until each node is in the other's mesh of `topic`.
async fn until_mesh(nodes: [&Running; 2], topic: &str) {
    for node in nodes {
        until(node, "a mesh", |status| {
            status.peers.iter().any(|peer| peer.mesh.iter().any(|name| name == topic))
        })
        .await;
    }
}

#[tokio::test]
async fn a_message_published_at_one_node_is_delivered_at_the_other_and_at_itself() {
    let (first, second) = pair().await;
    let mut subscriber = Client::open(&first).await;
    subscriber.send(Subscribe, "t", "").await;
    let mut publisher = Client::open(&second).await;
    let payload = "hello ".repeat(2000);
    publisher.send(Publish, "t", payload.clone()).await;

    let Some(Got::Trace(first_response)) = publisher.next().await else { panic!("a trace") };
    let answer = first_response.publish_message.expect("a PUBLISH_MESSAGE trace");
    let id = message_id(payload.as_bytes()).to_string();
    assert_eq!(answer.message_id.expect("set"), id);
    assert_eq!(answer.topic.expect("set"), "t");

    let (a, b) = (first.peer_id().to_string(), second.peer_id().to_string());
    let own = publisher.message().await;
    assert_eq!(
        (&own["source_node_id"], &own["upstream_peer_id"]),
        (&b.clone().into(), &b.clone().into())
    );
    let got = subscriber.message().await;
    assert_eq!(got["source_node_id"], b);
    assert_eq!(got["upstream_peer_id"], a);
    assert_eq!(got["topic"], "t");
    assert_eq!(got["message_id"], id);
    assert_eq!(got["message"], STANDARD.encode(&payload));
}

#[tokio::test]
async fn an_equal_message_is_answered_again_but_not_delivered_again() {
    let node = start(config("c", &[])).await;
    let mut client = Client::open(&node).await;
    client.send(Publish, "t", "same").await;
    client.trace(|event| event.publish_message.is_some()).await;
    assert_eq!(client.message().await["message"], STANDARD.encode("same"));
    client.send(Publish, "t", "same").await;
    client.trace(|event| event.publish_message.is_some()).await;
    client.send(Publish, "t", "other").await;
    assert_eq!(client.message().await["message"], STANDARD.encode("other"));
}

#[tokio::test]
async fn after_a_half_close_the_answer_still_comes() {
    let node = start(config("c", &[])).await;
    let client = Client::open(&node).await;
    client.send(Publish, "t", "last words").await;
    let Client { requests, mut responses } = client;
    drop(requests);
    let first = tokio::time::timeout(LIMIT, responses.message()).await;
    assert!(first.expect("in time").expect("no error").is_some());
}

#[tokio::test]
async fn a_stream_that_sends_nothing_is_given_all_topics_and_traces() {
    let node = start(config("c", &[])).await;
    let mut listener = Client::open(&node).await;
    let publisher = Client::open(&node).await;
    publisher.send(Publish, "a", "one").await;
    publisher.send(Publish, "b", "two").await;
    assert_eq!(listener.message().await["topic"], "a");
    assert_eq!(listener.message().await["topic"], "b");
    publisher.send(Subscribe, "c", "").await;
    let join = listener.trace(|event| event.join.is_some()).await.join.expect("set");
    assert_eq!(join.topic.expect("set"), "c");
    publisher.send(Unsubscribe, "c", "").await;
    let leave = listener.trace(|event| event.leave.is_some()).await.leave.expect("set");
    assert_eq!(leave.topic.expect("set"), "c");
}

#[tokio::test]
async fn traces_of_a_message_come_in_order_with_their_topic() {
    let (first, second) = pair().await;
    let mut subscriber = Client::open(&first).await;
    subscriber.send(Subscribe, "t", "").await;
    let publisher = Client::open(&second).await;
    publisher.send(Subscribe, "t", "").await;
    until_mesh([&first, &second], "t").await;
    publisher.send(Publish, "t", vec![7; 50_000]).await;
    let deliver = subscriber
        .trace(|event| {
            event.deliver_message.is_some() || {
                assert!(event.publish_message.is_none(), "published elsewhere");
                false
            }
        })
        .await;
    let deliver = deliver.deliver_message.expect("set");
    assert_eq!(deliver.topic.expect("set"), "t");
    assert_eq!(deliver.received_from.expect("set"), second.peer_id().to_bytes());
}

#[tokio::test]
async fn wrong_commands_are_ignored_and_the_stream_lives() {
    let mut small = config("c", &[]);
    small.optimum.max_message_bytes = 1000;
    let node = start(small).await;
    let mut client = Client::open(&node).await;
    client.send(Publish, "", "no topic").await;
    client.send(Publish, &"x".repeat(1 << 20), "a topic of 1 MB").await;
    client.send(Subscribe, "", "").await;
    client.send_number(0, "t", "").await;
    client.send_number(99, "t", "").await;
    client.send(SubscribeSeveral, "", "{").await;
    client.send(Publish, "t", "").await;
    client.send(Publish, "t", vec![0; 1201]).await;
    client.send(Publish, "t", vec![0; 5 << 20]).await;
    client.send(Publish, "t", vec![7; 1200]).await;
    assert_eq!(client.message().await["message"], STANDARD.encode([7; 1200]));
    until(&node, "three refused", |status| status.counters.publishes_refused == 3).await;
    let counters = node.handle().status().await.expect("runs").counters;
    assert_eq!(counters.commands_ignored, 6);
}

/// A request as no client of ours makes it.
#[derive(Clone, PartialEq, prost::Message)]
struct Strange {
    #[prost(int32, tag = "1")]
    command: i32,
    /// Bytes in the proto file.
    #[prost(uint64, tag = "2")]
    data: u64,
    /// Text in the proto file.
    #[prost(bytes = "vec", tag = "3")]
    topic: Vec<u8>,
}

/// Sends a request on a stream of its own; returns with which status the stream ends.
async fn end_after(node: &Running, request: impl prost::Message + 'static) -> tonic::Status {
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{}", node.sidecar_address()));
    let channel = endpoint.expect("a URL").connect().await.expect("connects");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("connected");
    let path = "/proto.CommandStream/ListenCommands".parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<_, Response>::default();
    // The client does not end its side.
    let requests = tokio_stream::once(request).chain(tokio_stream::pending());
    let call = client.streaming(tonic::Request::new(requests), path, codec);
    let end = async {
        let mut responses = call.await.expect("opens").into_inner();
        loop {
            match responses.message().await {
                Ok(response) => assert!(response.is_some(), "it ended without an error"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(LIMIT, end).await.expect("in time")
}

#[tokio::test]
async fn the_longest_message_that_a_proxy_takes_is_refused_and_its_stream_lives() {
    let node = start(config("c", &[])).await;
    let mut client = Client::open(&node).await;
    client.send(Publish, "t", vec![7; 64 << 20]).await;
    client.send(Publish, "t", "short").await;
    assert_eq!(client.message().await["message"], STANDARD.encode("short"));
}

#[tokio::test]
async fn a_request_that_cannot_be_read_ends_its_stream_with_its_status_and_is_counted() {
    let node = start(config("c", &[])).await;
    let command = Publish as i32;
    let strange = |data, topic: &[u8]| Strange { command, data, topic: topic.to_vec() };
    let long = Request {
        command,
        data: vec![7; 65 << 20].into(),
        topic: "t".to_owned(),
        ..Request::default()
    };
    let ends = [
        end_after(&node, strange(7, b"t")).await,
        end_after(&node, strange(0, b"\xff")).await,
        end_after(&node, long).await,
    ];
    assert_eq!(
        ends.each_ref().map(tonic::Status::code),
        [Code::Internal, Code::Internal, Code::OutOfRange]
    );
    assert!(ends[1].message().contains("UTF-8"), "{}", ends[1]);
    let gone = Client::open(&node).await;
    gone.send(Subscribe, "t", "").await;
    drop(gone);
    let status = node.handle().status().await.expect("runs");
    assert_eq!(status.counters.requests_unreadable, 3);
}

#[tokio::test]
async fn a_reader_that_never_reads_loses_messages_and_harms_nobody() {
    let mut small = config("c", &[]);
    small.stream_queue_bytes = 1 << 20;
    let node = start(small).await;
    let deaf = Client::open(&node).await;
    deaf.send(Subscribe, "t", "").await;
    let (mut reader, publisher) = (Client::open(&node).await, Client::open(&node).await);
    for number in 0..40_u8 {
        publisher.send(Publish, "t", vec![number; 100_000]).await;
        let message = reader.message().await["message"].clone();
        assert_eq!(message, STANDARD.encode(vec![number; 100_000]));
    }
    let counters = node.handle().status().await.expect("runs").counters;
    assert!(counters.messages_dropped > 0, "{counters:?}");
    drop(deaf);
}

#[tokio::test]
async fn a_publisher_that_never_reads_publishes_everything() {
    // The subscriber is not to lose anything however slow this machine is.
    let mut roomy = config("c", &[]);
    roomy.stream_queue_bytes = 1 << 30;
    let first = start(roomy).await;
    let second = start(config("c", &[&first])).await;
    until_peers(&first, 1).await;
    until_peers(&second, 1).await;
    let mut subscriber = Client::open(&first).await;
    subscriber.send(Subscribe, "t", "").await;
    let publisher = Client::open(&second).await;
    publisher.send(Subscribe, "t", "").await;
    until_mesh([&first, &second], "t").await;
    let send = async {
        for number in 0..100_u8 {
            publisher.send(Publish, "t", vec![number; 1_000_000]).await;
        }
    };
    let receive = async {
        let mut seen = [false; 100];
        for _ in 0..100 {
            let message = subscriber.message().await["message"].clone();
            let payload = STANDARD.decode(message.as_str().expect("text")).expect("base64");
            assert_eq!(payload.len(), 1_000_000);
            assert!(!std::mem::replace(&mut seen[usize::from(payload[0])], true), "each once");
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test]
async fn topics_belong_to_the_node_and_are_listed() {
    let node = start(config("c", &[])).await;
    let mut client = connect(&node).await;
    let stream = Client::open_on(&mut client).await;
    stream.send(SubscribeSeveral, "b, a,", "").await;
    stream.send(SubscribeSeveral, "", r#"["c"]"#).await;
    stream.send(Subscribe, "a", "").await;
    stream.send(Publish, "joined by publishing", "x").await;
    stream.send(Unsubscribe, "b", "").await;
    until(&node, "the topics", |status| status.topics == ["a", "c", "joined by publishing"]).await;
    drop(stream);
    let topics = client.list_topics(Void {}).await.expect("answers").into_inner().topics;
    assert_eq!(topics, ["a", "c", "joined by publishing"]);
}

#[tokio::test]
async fn the_health_answer_names_mode_and_address() {
    let node = start(config("c", &[])).await;
    let health = connect(&node).await.health(Void {}).await.expect("answers").into_inner();
    assert!(health.status);
    assert_eq!(health.node_mode, "optimum");
    let address = format!("{}/p2p/{}", node.p2p_addresses()[0], node.peer_id());
    assert_eq!(health.p2p_address, address);
    assert_eq!((health.country, health.country_iso), ("unknown".into(), "unknown".into()));
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_after_what_they_hold() {
    let node = start(config("c", &[])).await;
    let mut client = Client::open(&node).await;
    client.send(Publish, "t", "last").await;
    until(&node, "taken", |status| !status.topics.is_empty()).await;
    node.shutdown().await;
    let mut messages = 0;
    while let Some(got) = client.next().await {
        messages += usize::from(matches!(got, Got::Message(_)));
    }
    assert_eq!(messages, 1);
}
