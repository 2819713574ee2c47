//! Messages between real swarms.

mod harness;

use gossip::Config;
use gossip_libp2p::Behaviour;
use harness::{Node, payload, topic};
use libp2p::{
    Swarm,
    swarm::dial_opts::{DialOpts, PeerCondition},
};

async fn pair() -> (Node, Node) {
    let (a, b) = (Node::start(Config::default()).await, Node::start(Config::default()).await);
    a.dial(&b);
    for node in [&a, &b] {
        node.subscribe(&topic());
    }
    for node in [&a, &b] {
        node.until_meshed(&topic(), 1).await;
    }
    (a, b)
}

#[tokio::test]
async fn two_swarms_exchange_messages_of_many_sizes_both_ways() {
    let (mut a, mut b) = pair().await;
    for (seed, bytes) in [8, 100, 16_384, 65_537, 1 << 20].into_iter().enumerate() {
        for way in [seed, 100 + seed] {
            let message = payload(way as u64, bytes);
            a.publish(&topic(), message.clone());
            assert!(b.delivery().await == message, "{bytes} bytes");
            assert!(a.delivery().await == message, "{bytes} bytes, to the publisher");
            std::mem::swap(&mut a, &mut b);
        }
    }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_messages_and_restored_loses_none() {
    let (mut a, mut b) = pair().await;
    for seed in 0..8 {
        a.publish(&topic(), payload(seed, 1 << 20));
    }
    let first = b.delivery().await;
    let peer = b.peer;
    a.order(move |swarm| swarm.disconnect_peer_id(peer).expect("it was connected"));
    a.until("the connection is cut", move |swarm| !swarm.is_connected(&peer)).await;
    a.dial(&b);
    let mut got = vec![first];
    while got.len() < 8 {
        got.push(b.delivery().await);
    }
    got.sort();
    let mut sent: Vec<_> = (0..8).map(|seed| payload(seed, 1 << 20)).collect();
    sent.sort();
    assert!(got == sent);
}

#[tokio::test]
async fn simultaneous_dials_end_in_one_working_link() {
    let (mut a, mut b) =
        (Node::start(Config::default()).await, Node::start(Config::default()).await);
    a.dial(&b);
    b.dial(&a);
    for node in [&a, &b] {
        node.subscribe(&topic());
    }
    for node in [&a, &b] {
        node.until_meshed(&topic(), 1).await;
    }
    for seed in 0..4 {
        a.publish(&topic(), payload(seed, 100_000));
        assert!(b.delivery().await == payload(seed, 100_000));
        b.publish(&topic(), payload(50 + seed, 100_000));
        assert!(b.delivery().await == payload(50 + seed, 100_000));
        assert!(a.delivery().await == payload(seed, 100_000));
        assert!(a.delivery().await == payload(50 + seed, 100_000));
    }
}

#[tokio::test]
async fn four_swarms_in_a_full_mesh_deliver_everything_once() {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(Node::start(Config::default()).await);
    }
    for later in 1..4 {
        for earlier in 0..later {
            nodes[later].dial(&nodes[earlier]);
        }
    }
    for node in &nodes {
        node.subscribe(&topic());
    }
    for node in &nodes {
        node.until_meshed(&topic(), 3).await;
    }
    let mut sent = Vec::new();
    for seed in 0..40_usize {
        let message = payload(seed as u64, [8, 900, 30_000, 400_000][seed % 4]);
        nodes[seed % 3].publish(&topic(), message.clone());
        sent.push(message);
    }
    sent.sort();
    for node in &mut nodes {
        let mut got = Vec::new();
        while got.len() < sent.len() {
            got.push(node.delivery().await);
        }
        got.sort();
        assert!(got == sent);
    }
}

#[tokio::test]
async fn streams_open_anew_on_the_second_connection_when_the_first_closes() {
    let (mut a, mut b) = pair().await;
    let options = DialOpts::peer_id(b.peer)
        .addresses(vec![b.address.clone()])
        .condition(PeerCondition::Always)
        .build();
    a.order(move |swarm| swarm.dial(options).expect("a dial begins"));
    let two = |swarm: &mut Swarm<Behaviour>| {
        swarm.network_info().connection_counters().num_established() == 2
    };
    a.until("a second connection", two).await;
    b.until("a second connection", two).await;
    let (from, to) = (a.first_connection(), a.peer);
    for seed in 0..6 {
        a.publish(&topic(), payload(seed, 1 << 20));
    }
    let mut got = vec![b.delivery().await];
    a.order(move |swarm| assert!(swarm.close_connection(from), "the first connection is there"));
    b.until("the first connection is closed", move |swarm| {
        swarm.network_info().connection_counters().num_established() == 1 && swarm.is_connected(&to)
    })
    .await;
    while got.len() < 6 {
        got.push(b.delivery().await);
    }
    got.sort();
    let mut sent: Vec<_> = (0..6).map(|seed| payload(seed, 1 << 20)).collect();
    sent.sort();
    assert!(got == sent);
    b.publish(&topic(), payload(99, 1 << 20));
    while a.delivery().await != payload(99, 1 << 20) {}
}

#[tokio::test]
async fn nodes_of_neighbouring_versions_speak_the_newest_that_both_know() {
    let mut old = Node::start_speaking(Config::default(), &[1]).await;
    let mut both = Node::start_speaking(Config::default(), &[2, 1]).await;
    let mut new = Node::start_speaking(Config::default(), &[3, 2]).await;
    both.dial(&old);
    both.dial(&new);
    new.dial(&old);
    for node in [&old, &both, &new] {
        node.subscribe(&topic());
    }
    both.until_meshed(&topic(), 2).await;
    for (seed, size) in [(1, 100), (2, 300_000)] {
        old.publish(&topic(), payload(seed, size));
        // Old and new have no version in common: what passes, passes through the one between.
        for node in [&mut both, &mut new] {
            assert!(node.delivery().await == payload(seed, size));
        }
    }
}
