//! What can go wrong outside of a node: real processes.

use std::{path::Path, time::Duration};

use api::sidecar::Request;
use bytes::Bytes;
use e2e::{
    node_process::{NodeCommand, cluster},
    payload,
    reader::Reader,
};
use libp2p::{futures::StreamExt as _, identity::Keypair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const TOPIC: &str = "e2e";

/// Where the node listens for peers.
fn p2p_socket(address: &str) -> String {
    let parts: Vec<&str> = address.split('/').collect();
    format!("{}:{}", parts[2], parts[4])
}

#[tokio::test]
async fn settings_that_are_wrong_are_refused_with_variable_value_and_what_is_allowed() {
    for (name, value, allowed) in [
        ("OPTIMUM_SHARD_FACTOR", "many", "1 to 256"),
        ("OPTIMUM_MESH_MIN", "", "integer"),
        ("OPTIMUM_THRESHOLD", "1.5", "0 to 1"),
        ("NODE_MODE", "carrier-pigeon", "optimum"),
        ("BOOTSTRAP_PEERS", "/ip4/127.0.0.1/tcp/1", "/p2p/"),
        ("BOOTSTRAP_PEERS", "nonsense", "/ip4/"),
        ("BIND_ADDRESS", "localhost", "address"),
    ] {
        let (status, log) = NodeCommand::new().with(name, value).refuse().await;
        assert!(!status.success(), "{name}={value}: {status}");
        for expected in [name, value, allowed] {
            assert!(log.contains(expected), "{name}={value} lacks {expected:?}:\n{log}");
        }
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test]
async fn a_broken_identity_file_is_refused_and_left_untouched() {
    for (content, expected) in
        [(&b"short"[..], "file is too short"), (&[7; 100], "checksum mismatch: ")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p2p.key");
        std::fs::write(&path, content).expect("written");
        let command = NodeCommand::new().with("IDENTITY_DIR", path_text(folder.path()));
        let (status, log) = command.refuse().await;
        assert!(!status.success());
        assert!(log.contains(expected) && log.contains("p2p.key"), "{log}");
        assert_eq!(std::fs::read(&path).expect("still there"), content);
    }
}

#[tokio::test]
async fn an_identity_file_that_lost_its_last_byte_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    NodeCommand::new().folder(folder.path()).start().await.kill();
    let identity = folder.path().join("identity");
    let path = identity.join("p2p.key");
    let mut content = std::fs::read(&path).expect("an identity");
    content.pop();
    std::fs::write(&path, &content).expect("written");
    let command = NodeCommand::new().with("IDENTITY_DIR", path_text(&identity));
    let (status, log) = command.refuse().await;
    assert!(!status.success());
    assert!(log.contains("checksum mismatch: ") && log.contains("p2p.key"), "{log}");
    assert_eq!(std::fs::read(&path).expect("still there"), content);
}

#[tokio::test]
async fn an_identity_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, b"").expect("written");
    let command = NodeCommand::new().with("IDENTITY_DIR", path_text(&file));
    let (status, log) = command.refuse().await;
    assert!(!status.success());
    assert!(log.contains("a-file") && log.contains("IDENTITY_DIR"), "{log}");
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_variable() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    for name in ["SIDECAR_PORT", "API_PORT", "OPTIMUM_PORT"] {
        let (status, log) = NodeCommand::new().with(name, &port).refuse().await;
        assert!(!status.success());
        assert!(log.contains(name) && log.contains(&port), "{log}");
        assert_eq!(log.matches("Address already in use").count(), 1, "{log}");
    }
}

#[tokio::test]
async fn commands_that_make_no_sense_are_logged_and_the_stream_lives() {
    let nodes = cluster(2, |node| node).await;
    let mut other = Reader::subscribed(nodes[1].sidecar, TOPIC).await;
    let mut reader = Reader::subscribed(nodes[0].sidecar, TOPIC).await;
    other.until_grafted(1).await;

    let megabyte = "t".repeat(1 << 20);
    reader.publish(TOPIC, &payload(1, (1 << 20) + (1 << 18))).await;
    reader.publish(TOPIC, &Bytes::new()).await;
    reader.publish("", &payload(2, 10)).await;
    reader.publish(&megabyte, &payload(3, 10)).await;
    reader.commands.subscribe("").await.expect("the stream is open");
    reader.commands.subscribe(&megabyte).await.expect("the stream is open");
    let unknown = Request { command: 77, topic: TOPIC.to_owned(), ..Request::default() };
    reader.commands.send(unknown).await.expect("the stream is open");

    let sound = payload(4, 1000);
    reader.publish(TOPIC, &sound).await;
    assert!(reader.message().await.message == sound, "the first message that comes");
    assert!(other.message().await.message == sound, "the first message that comes");
    for text in ["1310720 bytes", "is empty", "1048576 bytes", "command 77"] {
        nodes[0].until_logged(text).await;
    }
}

#[tokio::test]
async fn garbage_and_stalled_connections_on_the_peer_port_harm_nobody() {
    let nodes = cluster(2, |node| node).await;
    let mut other = Reader::subscribed(nodes[1].sidecar, TOPIC).await;
    let reader = Reader::subscribed(nodes[0].sidecar, TOPIC).await;
    other.until_grafted(1).await;
    let socket = p2p_socket(&nodes[0].address);

    let mut garbage = tokio::task::JoinSet::new();
    for seed in 0..20 {
        let socket = socket.clone();
        garbage.spawn(async move {
            let mut stream = TcpStream::connect(&socket).await.expect("the port is open");
            // The node may close the connection at any byte.
            let _closed = stream.write_all(&payload(seed, 5_000)).await;
            let mut rest = Vec::new();
            let _closed = stream.read_to_end(&mut rest).await;
        });
    }
    garbage.join_all().await;
    // Connected, and not a byte written: they stay open while everything below happens.
    let mut stalled = Vec::new();
    for _ in 0..500 {
        stalled.push(TcpStream::connect(&socket).await.expect("the port is open"));
    }
    let sent = payload(100, 300_000);
    reader.publish(TOPIC, &sent).await;
    assert!(other.message().await.message == sent);

    let newcomer = NodeCommand::new().with("BOOTSTRAP_PEERS", &nodes[1].address).start().await;
    newcomer.until_peers(2).await;
    drop(stalled);
}

#[tokio::test]
async fn nodes_of_different_clusters_do_not_meet_and_both_say_why() {
    let one = NodeCommand::new().start().await;
    let other = NodeCommand::new()
        .with("CLUSTER_ID", "elsewhere")
        .with("BOOTSTRAP_PEERS", &one.address)
        .start()
        .await;
    one.until_logged("elsewhere").await;
    other.until_logged("e2e").await;
    one.until_peers(0).await;
    other.until_peers(0).await;
    let _reader = Reader::subscribed(one.sidecar, TOPIC).await;
}

/// A libp2p peer that connects and never shakes hands takes no part, and is sent away.
#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_disconnected() {
    let node = NodeCommand::new().start().await;
    let mut swarm = libp2p::SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(
            libp2p::tcp::Config::default(),
            libp2p::noise::Config::new,
            libp2p::yamux::Config::default,
        )
        .expect("noise works")
        .with_behaviour(|_| libp2p::swarm::dummy::Behaviour)
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build();
    let address: libp2p::Multiaddr = node.address.parse().expect("an address");
    swarm.dial(address).expect("a dial begins");
    let closed = async {
        loop {
            let event = swarm.select_next_some().await;
            if let libp2p::swarm::SwarmEvent::ConnectionClosed { .. } = event {
                return;
            }
        }
    };
    tokio::time::timeout(e2e::LIMIT, closed).await.expect("the node closes the connection");
    node.until_peers(0).await;
}

#[tokio::test]
async fn unknown_pages_are_answered_in_words() {
    let node = NodeCommand::new().start().await;
    let (status, body) = node.http_text("/api/v1/nothing").await;
    assert!(status.contains("404"), "{status}");
    assert_eq!(body, "Cannot GET /api/v1/nothing");
    let health = node.http("/api/v1/health").await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["mode"], "optimum");
    let version = node.http("/api/v1/version").await;
    assert!(version["version"].is_string() && version["commit_hash"].is_string());
}
