//! Mode gossipsub. Peers written by others are tested in testing/interop.

use node::{Config, HandshakePolicy, Mode, Running};

use crate::{
    common::{LIMIT, client::connect, config, start, until, until_peers},
    pages::{page, request},
};
use api::sidecar::{Command, Request, Response, ResponseType};
use libp2p::{
    PeerId, Swarm, SwarmBuilder,
    futures::StreamExt as _,
    gossipsub::{self, MessageAuthenticity},
    identify,
    identity::Keypair,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Settings of a node in this mode.
fn settings(cluster: &str, bootstrap: &[&Running]) -> Config {
    let mut settings = config(cluster, bootstrap);
    settings.mode = Mode::Gossipsub;
    settings.gossipsub.port = 0;
    settings
}

#[tokio::test]
async fn a_message_is_answered_by_a_trace_of_this_mode_and_delivered_at_both_nodes() {
    let first = start(settings("c", &[])).await;
    let second = start(settings("c", &[&first])).await;
    until_peers(&first, 1).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    for node in [&first, &second] {
        node.handle().subscribe(topic.clone()).await.expect("it runs");
    }
    until(&second, "a mesh", |status| status.peers.iter().any(|peer| peer.mesh == ["t"])).await;

    let (requests, stream) = tokio::sync::mpsc::channel(1);
    let (_open, silence) = tokio::sync::mpsc::channel(1);
    let received = connect(&first).await.listen_commands(ReceiverStream::new(silence)).await;
    let mut received = received.expect("opens").into_inner();
    let mut answers =
        connect(&second).await.listen_commands(ReceiverStream::new(stream)).await.expect("opens");
    let payload = vec![7; 100_000];
    let request = Request {
        command: Command::Publish as i32,
        topic: "t".to_owned(),
        data: payload.clone().into(),
        ..Request::default()
    };
    requests.send(request).await.expect("open");
    let answer = answers.get_mut().message().await.expect("no error").expect("an answer");
    assert_eq!(answer.command(), ResponseType::MessageTraceGossipSub);
    let event = api::trace::TraceEvent::decode(answer.data).expect("a trace event");
    let id = gossip::message_id(&payload).to_string();
    assert_eq!(event.publish_message.expect("a publish").message_id.expect("set"), id);
    loop {
        let response = received.message().await.expect("no error").expect("open");
        if response.command() == ResponseType::Message {
            let message: serde_json::Value = serde_json::from_slice(&response.data).expect("JSON");
            assert_eq!(message["message_id"], id);
            assert_eq!(message["source_node_id"], second.peer_id().to_string());
            return;
        }
    }
}

#[tokio::test]
async fn nodes_of_another_cluster_or_mode_are_refused() {
    let first = start(settings("c", &[])).await;
    let other_cluster = start(settings("d", &[&first])).await;
    let other_mode = start(config("c", &[&first])).await;
    let friend = start(settings("c", &[&first])).await;
    until_peers(&friend, 1).await;
    for refused in [&other_cluster, &other_mode] {
        until(refused, "it tried", |status| status.counters.connections_outbound == 0).await;
        assert!(refused.handle().status().await.expect("it runs").peers.is_empty());
    }
    let status = first.handle().status().await.expect("it runs");
    let peers: Vec<_> = status.peers.iter().map(|peer| peer.peer).collect();
    assert_eq!(peers, [friend.peer_id()]);
}

/// Somebody who speaks GossipSub and not our handshake.
#[derive(NetworkBehaviour)]
struct Foreigner {
    identify: identify::Behaviour,
    gossipsub: gossipsub::Behaviour,
}

fn foreigner() -> Swarm<Foreigner> {
    foreigner_with(|key| {
        let signed = MessageAuthenticity::Signed(key.clone());
        gossipsub::Behaviour::new(signed, gossipsub::Config::default()).expect("default settings")
    })
}

fn foreigner_with(gossipsub: impl Fn(&Keypair) -> gossipsub::Behaviour) -> Swarm<Foreigner> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("noise works")
        .with_behaviour(|key| Foreigner {
            identify: identify::Behaviour::new(identify::Config::new(
                "foreign/1".to_owned(),
                key.public(),
            )),
            gossipsub: gossipsub(key),
        })
        .expect("a behaviour")
        .build()
}

#[tokio::test]
async fn a_peer_that_does_not_speak_the_handshake_is_admitted_unless_it_is_required() {
    for (policy, admitted) in [(HandshakePolicy::Auto, true), (HandshakePolicy::Required, false)] {
        let mut config = settings("c", &[]);
        config.handshake = policy;
        let node = start(config).await;
        let mut swarm = foreigner();
        let name = *swarm.local_peer_id();
        swarm.dial(node.p2p_addresses()[0].clone()).expect("a dial begins");
        if admitted {
            let task = tokio::spawn(async move { while swarm.next().await.is_some() {} });
            until(&node, "it is a peer", |status| {
                status.peers.iter().any(|peer| peer.peer == name)
            })
            .await;
            task.abort();
        } else {
            loop {
                if let Some(SwarmEvent::ConnectionClosed { .. }) = swarm.next().await {
                    break;
                }
            }
            assert!(node.handle().status().await.expect("it runs").peers.is_empty());
        }
    }
}

/// The next response of a stream that lives.
async fn next(responses: &mut Streaming<Response>) -> Response {
    let next = tokio::time::timeout(LIMIT, responses.message()).await;
    next.expect("in time").expect("no error").expect("open")
}

/// Publishes `count` different messages on "t" once the node at the other end subscribed it, and
/// stays.
async fn publish_many(mut swarm: Swarm<Foreigner>, count: u8) {
    let topic = gossipsub::IdentTopic::new("t");
    while let Some(event) = swarm.next().await {
        if let SwarmEvent::Behaviour(ForeignerEvent::Gossipsub(gossipsub::Event::Subscribed {
            ..
        })) = event
        {
            for number in 0..count {
                let published = swarm.behaviour_mut().gossipsub.publish(topic.clone(), [number]);
                published.expect("the node is a peer of the topic");
            }
        }
    }
}

#[tokio::test]
async fn who_sends_unsigned_messages_is_found_out_and_honest_peers_are_not_affected() {
    let node = start(settings("c", &[])).await;
    let (_open, silence) = tokio::sync::mpsc::channel(1);
    let received = connect(&node).await.listen_commands(ReceiverStream::new(silence)).await;
    let mut received = received.expect("opens").into_inner();
    node.handle().subscribe(gossip::Topic::new("t").expect("a topic")).await.expect("it runs");
    let mut hostile = foreigner_with(|_| {
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(gossipsub::ValidationMode::Anonymous)
            .message_id_fn(|message| message.data.clone().into())
            .build();
        let config = config.expect("sound settings");
        gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).expect("they agree")
    });
    let (name, address) = (*hostile.local_peer_id(), node.p2p_addresses()[0].clone());
    hostile.dial(address.clone()).expect("a dial begins");
    let hostile = tokio::spawn(publish_many(hostile, 20));
    let mut rejected = 0;
    while rejected < 20 {
        let response = next(&mut received).await;
        assert_eq!(response.command(), ResponseType::MessageTraceGossipSub, "nothing is delivered");
        let event = api::trace::TraceEvent::decode(response.data).expect("a trace event");
        if let Some(reject) = event.reject_message {
            assert_eq!(reject.received_from, Some(name.to_bytes().into()));
            assert_eq!(reject.reason.as_deref(), Some("invalid signature"));
            rejected += 1;
        }
    }
    let peer = |page: &serde_json::Value, name: &PeerId| {
        let peers = page["connected_peers"].as_array().expect("peers");
        peers.iter().find(|peer| peer["peer_id"] == name.to_string()).expect("a peer").clone()
    };
    let shown = page(&node, "/api/v1/p2p-snapshot").await;
    assert_eq!(peer(&shown, &name)["graylisted"], true, "{shown}");
    assert!(peer(&shown, &name)["score"].as_f64() < Some(-80.0), "{shown}");
    let (_, metrics) = request(node.api_address(), "GET", "/metrics").await;
    for family in
        ["optimum_gossip_p2p_dropped_rejected_total", "optimum_node_gossip_messages_invalid_total"]
    {
        let counted = metrics.lines().find(|line| line.starts_with(&format!("{family}{{")));
        assert!(counted.is_some_and(|line| line.ends_with(" 20.0")), "{family}: {counted:?}");
    }

    let mut honest = foreigner();
    let name = *honest.local_peer_id();
    honest
        .behaviour_mut()
        .gossipsub
        .subscribe(&gossipsub::IdentTopic::new("t"))
        .expect("subscribed");
    honest.dial(address).expect("a dial begins");
    let honest = tokio::spawn(publish_many(honest, 1));
    while next(&mut received).await.command() != ResponseType::Message {}
    until(&node, "a mesh", |status| {
        status.peers.iter().any(|peer| peer.peer == name && peer.mesh == ["t"])
    })
    .await;
    let shown = page(&node, "/api/v1/p2p-snapshot").await;
    assert_eq!(peer(&shown, &name)["score"], 0.0, "{shown}");
    hostile.abort();
    honest.abort();
}

#[tokio::test]
async fn counters_of_a_topic_count_own_messages_and_outlast_its_subscription() {
    let node = start(settings("c", &[])).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    for (payload, counted) in [("first", 1), ("second", 2)] {
        let published = node.handle().publish(topic.clone(), payload.into()).await;
        published.expect("it runs").expect("published");
        node.handle().unsubscribe(topic.clone()).await.expect("it runs");
        until(&node, "left", |status| status.topics.is_empty()).await;
        let (_, metrics) = request(node.api_address(), "GET", "/metrics").await;
        for what in ["received", "delivered"] {
            let family = format!("optimum_gossip_p2p_{what}_messages_count{{");
            let line = metrics.lines().find(|line| line.starts_with(&family));
            assert!(line.is_some_and(|line| line.ends_with(&format!(" {counted}.0"))), "{line:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_costs_it_messages_that_are_counted() {
    let mut settings = settings("c", &[]);
    // So long that only a few may wait.
    settings.gossipsub.max_message_bytes = 64 << 20;
    let node = start(settings).await;
    let topic = gossip::Topic::new("t").expect("a topic");
    node.handle().subscribe(topic.clone()).await.expect("it runs");
    let mut deaf = foreigner();
    deaf.behaviour_mut().gossipsub.subscribe(&gossipsub::IdentTopic::new("t")).expect("subscribed");
    deaf.dial(node.p2p_addresses()[0].clone()).expect("a dial begins");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let reading = tokio::spawn(async move {
        let read = async { while deaf.next().await.is_some() {} };
        tokio::select! {
            () = read => {}
            _ = stopped => {}
        }
        deaf
    });
    until(&node, "a mesh", |status| status.peers.iter().any(|peer| peer.mesh == ["t"])).await;
    stop.send(()).expect("it reads");
    let _deaf = reading.await.expect("no panic");
    for number in 0..64_u8 {
        let published = node.handle().publish(topic.clone(), vec![number; 1 << 20].into()).await;
        published.expect("it runs").expect("published");
    }
    let counted = async {
        loop {
            let (_, metrics) = request(node.api_address(), "GET", "/metrics").await;
            let is_counted = |name: &str| {
                let family = format!("optimum_node_gossip_{name}_total{{");
                let line = metrics.lines().find(|line| line.starts_with(&family));
                !line.expect("it is there").ends_with(" 0.0")
            };
            if is_counted("sends_failed") && is_counted("published_to_nobody") {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("counted");
}
