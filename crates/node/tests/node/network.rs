//! Nodes that find, admit, refuse and lose each other.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::common::{LIMIT, client::Client, config, entry, p2p_port, start, until, until_peers};
use libp2p::identity::Keypair;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tracing_subscriber::fmt::MakeWriter;

/// A log that a test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the lines that contain all of `parts`.
    fn lines_with(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned();
        let wanted = text.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        wanted.map(str::to_owned).collect()
    }

    /// Waits for a line that contains all of `parts`.
    async fn wait_for(&self, parts: &[&str]) {
        let look = async {
            while self.lines_with(parts).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(LIMIT, look).await;
        assert!(in_time.is_ok(), "no line with {parts:?} in:\n{}", self.lines_with(&[]).join("\n"));
    }
}

impl io::Write for Log {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nodes_that_know_only_the_first_find_each_other_and_outlive_it() {
    let first = start(config("c", &[])).await;
    let others = [
        start(config("c", &[&first])).await,
        start(config("c", &[&first])).await,
        start(config("c", &[&first])).await,
    ];
    until_peers(&first, 3).await;
    for node in &others {
        until_peers(node, 3).await;
    }
    let gone = first.peer_id();
    first.shutdown().await;
    for node in &others {
        until(node, "the first is gone and the others stay", |status| {
            status.peers.len() == 2 && status.peers.iter().all(|peer| peer.peer != gone)
        })
        .await;
    }
    // One that comes now finds all by knowing any.
    let late = start(config("c", &[&others[2]])).await;
    until_peers(&late, 3).await;
}

#[tokio::test]
async fn a_bootstrap_node_that_comes_back_is_found_again() {
    let keypair = Keypair::generate_ed25519();
    let first = node::start_as(config("c", &[]), keypair.clone()).await.expect("starts");
    let (port, second) = (p2p_port(&first), start(config("c", &[&first])).await);
    until_peers(&second, 1).await;
    first.shutdown().await;
    until_peers(&second, 0).await;
    let mut again = config("c", &[]);
    again.optimum.port = port;
    let first = node::start_as(again, keypair).await.expect("starts again on its port");
    until_peers(&second, 1).await;
    until_peers(&first, 1).await;
}

#[tokio::test]
async fn a_node_started_before_its_bootstrap_node_waits_for_it() {
    let keypair = Keypair::generate_ed25519();
    let probe = start(config("c", &[])).await;
    let port = p2p_port(&probe);
    let mut bootstrap = entry(&probe);
    bootstrap.peer = keypair.public().to_peer_id();
    probe.shutdown().await;
    let mut early = config("c", &[]);
    early.bootstrap_peers = vec![bootstrap];
    let early = start(early).await;
    let mut late = config("c", &[]);
    late.optimum.port = port;
    let late = node::start_as(late, keypair).await.expect("starts");
    until_peers(&early, 1).await;
    until_peers(&late, 1).await;
}

#[tokio::test]
async fn a_node_that_lists_itself_skips_itself() {
    let keypair = Keypair::generate_ed25519();
    let probe = start(config("c", &[])).await;
    let mut own = entry(&probe);
    own.peer = keypair.public().to_peer_id();
    let mut listed = config("c", &[&probe]);
    listed.bootstrap_peers.insert(0, own);
    let node = node::start_as(listed, keypair).await.expect("starts");
    until_peers(&node, 1).await;
}

#[tokio::test]
async fn a_peer_of_another_cluster_is_refused_and_both_sides_log_why() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let here = start(config("here", &[])).await;
    let there = start(config("there", &[&here])).await;
    let (a, b) = (here.peer_id().to_string(), there.peer_id().to_string());
    let reason = "handshake cluster ID does not match";
    log.wait_for(&["peer refused", &a, reason, r#""there" here, "here" at the peer"#]).await;
    log.wait_for(&["peer refused", &b, reason, r#""here" here, "there" at the peer"#]).await;
    until_peers(&here, 0).await;
    until_peers(&there, 0).await;
    until(&here, "the connection is closed", |s| s.counters.connections_inbound == 0).await;
}

#[tokio::test]
async fn nodes_without_a_cluster_id_are_of_one_cluster() {
    let first = start(config("", &[])).await;
    let second = start(config("", &[&first])).await;
    until_peers(&first, 1).await;
    until_peers(&second, 1).await;
}

#[tokio::test]
async fn garbage_and_500_stalled_connections_hurt_nobody() {
    let first = start(config("c", &[])).await;
    let address = ("127.0.0.1", p2p_port(&first));
    let mut stalled = Vec::new();
    for _ in 0..500 {
        stalled.push(TcpStream::connect(address).await.expect("accepted"));
    }
    let mut garbage = TcpStream::connect(address).await.expect("accepted");
    // The other side may hang up before all of it is written.
    let _written = garbage.write_all(&[0xa5; 10_000]).await;
    let mut rest = Vec::new();
    let hung_up = tokio::time::timeout(LIMIT, garbage.read_to_end(&mut rest)).await;
    assert!(hung_up.is_ok(), "garbage is answered by a hang-up");
    let second = start(config("c", &[&first])).await;
    until_peers(&second, 1).await;
    until_peers(&first, 1).await;
    drop(stalled);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_port_and_variable() {
    let first = start(config("c", &[])).await;
    let with = |change: fn(&mut node::Config, u16), port: u16| {
        let mut config = config("c", &[]);
        change(&mut config, port);
        node::start_as(config, Keypair::generate_ed25519())
    };
    let port = p2p_port(&first);
    let error = with(|c, port| c.optimum.port = port, port).await.expect_err("in use");
    assert!(error.to_string().contains(&format!("OPTIMUM_PORT={port}")), "{error}");
    let port = first.sidecar_address().port();
    let error = with(|c, port| c.sidecar_port = port, port).await.expect_err("in use");
    assert!(error.to_string().contains(&format!("SIDECAR_PORT={port}")), "{error}");
    let port = first.api_address().port();
    let error = with(|c, port| c.api_port = port, port).await.expect_err("in use");
    assert!(error.to_string().contains(&format!("API_PORT={port}")), "{error}");
}

#[tokio::test]
async fn after_a_shutdown_all_ports_are_free() {
    let first = start(config("c", &[])).await;
    let mut same = config("c", &[]);
    same.optimum.port = p2p_port(&first);
    same.sidecar_port = first.sidecar_address().port();
    same.api_port = first.api_address().port();
    first.shutdown().await;
    start(same).await.shutdown().await;
}

#[tokio::test]
async fn without_a_bind_address_a_node_listens_on_ipv4_and_where_there_is_ipv6_too() {
    let mut all = config("c", &[]);
    all.bind_address = None;
    let first = start(all).await;
    TcpStream::connect(first.api_address()).await.expect("HTTP on IPv4");
    TcpStream::connect(first.sidecar_address()).await.expect("gRPC on IPv4");
    TcpStream::connect(("127.0.0.1", p2p_port(&first))).await.expect("libp2p on IPv4");
}

#[tokio::test]
async fn nodes_that_speak_quic_listen_on_both_and_reach_each_other_over_udp() {
    let mut settings = config("c", &[]);
    settings.quic = true;
    let first = start(settings).await;
    let addresses: Vec<String> = first.p2p_addresses().iter().map(ToString::to_string).collect();
    let port = p2p_port(&first);
    let over_quic = format!("/ip4/127.0.0.1/udp/{port}/quic-v1");
    assert_eq!(addresses, [format!("/ip4/127.0.0.1/tcp/{port}"), over_quic.clone()]);

    let mut settings = config("c", &[&first]);
    settings.quic = true;
    settings.bootstrap_peers[0].address = over_quic.parse().expect("a multiaddress");
    let second = start(settings).await;
    until_peers(&second, 1).await;
    let status = second.handle().status().await.expect("it runs");
    assert_eq!(status.peers[0].address.to_string(), over_quic);

    let topic = gossip::Topic::new("t").expect("a topic");
    let mut reader = Client::open(&first).await;
    reader.send(api::sidecar::Command::Subscribe, "t", "").await;
    second.handle().subscribe(topic.clone()).await.expect("it runs");
    until(&first, "a mesh over QUIC", |status| {
        status.peers.first().is_some_and(|peer| peer.mesh == ["t"])
    })
    .await;
    let payload = vec![7; 1 << 20].into();
    let published = second.handle().publish(topic, payload).await.expect("it runs");
    let id = published.expect("it was published").to_string();
    assert_eq!(reader.message().await["message_id"], id);
}

#[tokio::test]
async fn peers_are_told_the_announced_address_instead_of_those_listened_on() {
    let middle = start(config("c", &[])).await;
    let mut settings = config("c", &[&middle]);
    // Another way to the same port: a name instead of the number.
    settings.optimum.port = free_port();
    let announced: libp2p::Multiaddr =
        format!("/dns4/localhost/tcp/{}", settings.optimum.port).parse().expect("a multiaddress");
    settings.announce = vec![announced.clone()];
    let told = start(settings).await;
    let status = told.handle().status().await.expect("it runs");
    assert_eq!(status.addresses, std::slice::from_ref(&announced));
    until_peers(&middle, 1).await;
    let newcomer = start(config("c", &[&middle])).await;
    until_peers(&newcomer, 2).await;
    let status = newcomer.handle().status().await.expect("it runs");
    let found = status.peers.iter().find(|peer| peer.peer == told.peer_id()).expect("connected");
    let dialled_by_name = found.address == announced;
    let came_itself = found.address != told.p2p_addresses()[0];
    assert!(dialled_by_name || came_itself, "not by the address that is not told: {found:?}");
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    socket.local_addr().expect("bound").port()
}
