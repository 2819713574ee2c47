//! Mode gossipsub. Peers written by others are tested in testing/interop.

use node::{Config, HandshakePolicy, Mode, Running};

use crate::common::{client::connect, config, start, until, until_peers};
use api::sidecar::{Command, Request, ResponseType};
use libp2p::{
    Swarm, SwarmBuilder,
    futures::StreamExt as _,
    gossipsub::{self, MessageAuthenticity},
    identify, noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;

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
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("noise works")
        .with_behaviour(|key| Foreigner {
            identify: identify::Behaviour::new(identify::Config::new(
                "foreign/1".to_owned(),
                key.public(),
            )),
            gossipsub: gossipsub::Behaviour::new(
                MessageAuthenticity::Signed(key.clone()),
                gossipsub::Config::default(),
            )
            .expect("default settings"),
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
