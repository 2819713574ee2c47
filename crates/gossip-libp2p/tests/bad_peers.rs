//! Peers that do not read, write garbage or are not admitted.

mod harness;

use futures::StreamExt as _;
use gossip::Config;
use gossip_libp2p::Versions;
use harness::{
    Node, payload,
    stranger::{Stranger, Writes},
    topic,
};
use libp2p::StreamProtocol;

const DATA_PROTOCOL: StreamProtocol = StreamProtocol::new("/open-optimump2p/gossip/1/data");
const CONTROL_PROTOCOL: StreamProtocol = StreamProtocol::new("/open-optimump2p/gossip/1/control");

async fn meshed(config: Config, count: usize) -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Node::start(config.clone()).await);
    }
    for later in &nodes[1..] {
        later.dial(&nodes[0]);
    }
    for node in &nodes {
        node.subscribe(&topic());
    }
    nodes[0].until_meshed(&topic(), count - 1).await;
    for node in &nodes[1..] {
        node.until_meshed(&topic(), 1).await;
    }
    nodes
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_counted_and_bypassed() {
    // Shards enough that each peer can decode from the publisher alone.
    let config = Config { shard_multiplier: 4.0, ..Config::default() };
    let mut nodes = meshed(config, 3).await;
    let frozen = nodes[2].peer;
    nodes[2].freeze();
    for seed in 0..12 {
        nodes[0].publish(&topic(), payload(seed, 1 << 20));
        assert!(nodes[1].delivery().await == payload(seed, 1 << 20));
    }
    nodes[0]
        .until("the frozen peer counts as stalled", move |swarm| {
            let view = swarm.behaviour().view();
            let stalled = view.peers().any(|peer| peer.peer == frozen && peer.stalled);
            stalled && swarm.behaviour().stats().peers_stalled >= 1
        })
        .await;
}

/// A stranger writes `bytes`; it is put away for `reason`, and nobody else is.
async fn is_put_away(protocol: StreamProtocol, bytes: Vec<u8>, reason: &str) {
    let mut nodes = meshed(Config::default(), 2).await;
    let mut stranger = Stranger::swarm(Writes { protocol, bytes });
    let name = *stranger.local_peer_id();
    stranger.dial(nodes[0].address.clone()).expect("a dial begins");
    let task = tokio::spawn(async move { while stranger.next().await.is_some() {} });
    let (peer, why) = nodes[0].misbehaviour().await;
    assert_eq!(peer, name);
    assert!(why.contains(reason), "{why}");
    nodes[0].until("its connection is closed", move |swarm| !swarm.is_connected(&name)).await;
    nodes[0].publish(&topic(), payload(1, 100_000));
    assert!(nodes[1].delivery().await == payload(1, 100_000));
    task.abort();
}

#[tokio::test]
async fn a_length_that_no_frame_has_ends_that_peer_only() {
    is_put_away(DATA_PROTOCOL, vec![0xff, 0xff, 0xff, 0x7f], "length in front of a frame").await;
}

#[tokio::test]
async fn a_length_of_zero_ends_that_peer_only() {
    is_put_away(CONTROL_PROTOCOL, vec![0], "length in front of a frame").await;
}

#[tokio::test]
async fn a_data_frame_of_nonsense_ends_that_peer_only() {
    is_put_away(DATA_PROTOCOL, [&[100][..], &[0xee; 100]].concat(), "malformed").await;
}

#[tokio::test]
async fn a_control_frame_of_nonsense_ends_that_peer_only() {
    is_put_away(CONTROL_PROTOCOL, [&[100][..], &[0xee; 100]].concat(), "malformed").await;
}

#[tokio::test]
async fn a_peer_admitted_late_misses_nothing_of_what_was_written_before() {
    let mut late = Node::start_where(Config::default(), false, Versions::default()).await;
    let mut early = Node::start(Config::default()).await;
    for node in [&late, &early] {
        node.subscribe(&topic());
    }
    early.dial(&late);
    let (late_peer, early_peer) = (late.peer, early.peer);
    early
        .until("its frames are written", move |swarm| {
            swarm.is_connected(&late_peer) && swarm.behaviour().stats().control_bytes_sent > 0
        })
        .await;
    late.order(move |swarm| {
        let behaviour = swarm.behaviour();
        assert_eq!(behaviour.view().peers().count(), 0);
        assert_eq!(behaviour.stats().control_bytes_received, 0);
    });
    late.order(move |swarm| swarm.behaviour_mut().admit(early_peer));
    for node in [&late, &early] {
        node.until_meshed(&topic(), 1).await;
    }
    early.publish(&topic(), payload(1, 300_000));
    assert!(late.delivery().await == payload(1, 300_000));
    late.publish(&topic(), payload(2, 300_000));
    assert!(early.delivery().await == payload(1, 300_000));
    assert!(early.delivery().await == payload(2, 300_000));
}

#[tokio::test]
async fn a_denied_peer_is_disconnected_and_may_be_admitted_again() {
    let mut nodes = meshed(Config::default(), 2).await;
    let denied = nodes[1].peer;
    nodes[0].order(move |swarm| swarm.behaviour_mut().deny(denied));
    nodes[0].until("it is gone", move |swarm| !swarm.is_connected(&denied)).await;
    nodes[0].until_meshed(&topic(), 0).await;
    let (first, second) = nodes.split_at_mut(1);
    first[0].dial(&second[0]);
    first[0].until_meshed(&topic(), 1).await;
    first[0].publish(&topic(), payload(1, 50_000));
    assert!(second[0].delivery().await == payload(1, 50_000));
}
