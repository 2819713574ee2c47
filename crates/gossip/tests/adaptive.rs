//! Profile `adaptive` in networks: fragments spread, and everybody has every message once.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use gossip::{Input, Topic};
use harness::{adaptive, network::Network, payload, topic};

const SECOND: Duration = Duration::from_secs(1);

fn mesh(count: u32, seed: u64) -> (Network, Topic) {
    let mut network = Network::full_mesh(count, adaptive(), seed);
    let topic = topic("blocks");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    (network, topic)
}

fn assert_all_have(network: &Network, sent: &[Bytes]) {
    for (name, node) in &network.nodes {
        assert_eq!(node.faults, [], "node {name}");
        let mut got = node.payloads();
        got.sort();
        assert!(got == sent, "node {name} got {} of {}", got.len(), sent.len());
    }
}

#[test]
fn a_message_of_any_size_is_delivered_byte_for_byte_at_every_node_once() {
    let sizes = [1, 100, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20, 3_000_000, 10 << 20];
    for (seed, bytes) in sizes.into_iter().enumerate() {
        let (mut network, topic) = mesh(5, seed as u64);
        let sent = payload(seed as u64, bytes);
        network.publish(2, &topic, sent.clone());
        network.run_until_delivered(1, 5 * SECOND);
        network.run_for(5 * SECOND);
        assert_all_have(&network, std::slice::from_ref(&sent));
    }
}

#[test]
fn two_hundred_messages_of_mixed_sizes_from_all_nodes_at_once_reach_everybody_once() {
    let (mut network, topic) = mesh(4, 11);
    let mut sent: Vec<Bytes> = Vec::new();
    for index in 0..200_u64 {
        let bytes = [8, 700, 5_000, 40_000, 300_000][index as usize % 5];
        let payload = payload(1_000 + index, bytes);
        sent.push(payload.clone());
        network.publish((index % 4) as u32, &topic, payload);
    }
    network.run_until_delivered(200, 60 * SECOND);
    network.run_for(5 * SECOND);
    sent.sort();
    assert_all_have(&network, &sent);
}

#[test]
fn where_nobody_is_near_all_are_fed_and_have_the_message() {
    let mut network = Network::new(0, adaptive(), 3);
    network.set_links(Duration::from_millis(90), 6_250_000);
    for name in 0..12 {
        network.add(name);
    }
    for a in 0..12 {
        for b in 0..a {
            network.connect(a, b);
        }
    }
    let topic = topic("blocks");
    network.subscribe_all(&topic);
    network.run_for(3 * SECOND);
    let sent = payload(3, 1 << 20);
    network.publish(7, &topic, sent.clone());
    network.run_until_delivered(1, 10 * SECOND);
    network.run_for(5 * SECOND);
    assert_all_have(&network, &[sent]);
}

#[test]
fn a_node_that_comes_later_gets_what_the_others_keep() {
    for bytes in [1_000, 1 << 20] {
        let (mut network, topic) = mesh(3, 5);
        let sent = payload(5, bytes);
        network.publish(0, &topic, sent.clone());
        network.run_until_delivered(1, 5 * SECOND);
        network.add(9);
        network.connect(9, 1);
        network.input(9, Input::Subscribe(topic.clone()));
        network.run_until_delivered(1, 10 * SECOND);
        assert_all_have(&network, &[sent]);
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = |seed| {
        let (mut network, topic) = mesh(6, seed);
        network.publish(1, &topic, payload(1, 500_000));
        network.run_until_delivered(1, 5 * SECOND);
        network.trace_hash()
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8), run(9));
}

#[test]
fn what_takes_longer_than_others_keep_it_is_kept_while_it_is_asked_for() {
    let mut network = Network::new(0, adaptive(), 9);
    network.set_links(Duration::from_millis(5), 500_000);
    for name in 0..5 {
        network.add(name);
        (0..name).for_each(|other| network.connect(name, other));
    }
    let topic = topic("blocks");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    let mut sent: Vec<Bytes> = (0..60).map(|seed| payload(seed, 300_000)).collect();
    for (index, message) in (0..).zip(&sent) {
        network.publish(index % 5, &topic, message.clone());
    }
    network.run_until_delivered(sent.len(), 60 * SECOND);
    network.run_for(5 * SECOND);
    sent.sort();
    assert_all_have(&network, &sent);
}
