//! Subscriptions and the control mesh.

mod harness;

use std::time::Duration;

use gossip::{Config, Input, wire::Control};
use harness::{network::Network, payload, puppet::Stage, topic};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_meshes_of_forty_nodes_stay_between_their_bounds() {
    let config = Config::default();
    let (low, high) = (config.mesh.low, config.mesh.high);
    let mut network = Network::full_mesh(40, config, 1);
    let topic = topic("wide");
    network.subscribe_all(&topic);
    network.run_for(5 * SECOND);
    for (name, node) in &network.nodes {
        let mesh = node.state.view().mesh(&topic).count();
        assert!((low..=high).contains(&mesh), "node {name} has {mesh} mesh peers");
    }
    network.publish(17, &topic, payload(1, 200_000));
    network.run_until_delivered(1, 5 * SECOND);
}

#[test]
fn mesh_links_are_known_at_both_ends() {
    let mut network = Network::full_mesh(12, Config::default(), 2);
    let topic = topic("both");
    network.subscribe_all(&topic);
    network.run_for(10 * SECOND);
    for (&name, node) in &network.nodes {
        for peer in node.state.view().mesh(&topic) {
            let other = &network.nodes[&peer].state;
            assert!(other.view().mesh(&topic).any(|back| back == name), "{name} and {peer}");
        }
    }
}

#[test]
fn who_unsubscribes_leaves_every_mesh_and_gets_no_more_messages() {
    let mut network = Network::full_mesh(4, Config::default(), 3);
    let topic = topic("left");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    network.input(3, Input::Unsubscribe(topic.clone()));
    network.run_for(SECOND);
    network.publish(0, &topic, payload(1, 10_000));
    network.run_for(3 * SECOND);
    assert!(network.node(3).deliveries.is_empty());
    assert_eq!(network.node(2).deliveries.len(), 1);
    for name in 0..3 {
        assert!(network.node(name).state.view().mesh(&topic).all(|peer| peer != 3));
    }
}

#[test]
fn a_node_alone_or_with_too_few_peers_does_not_retry_in_a_storm() {
    let mut network = Network::full_mesh(2, Config::default(), 4);
    let topic = topic("few");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    let before = network.node(0).state.stats().control_bytes_sent;
    network.run_for(60 * SECOND);
    assert_eq!(network.node(0).state.stats().control_bytes_sent, before);
}

#[test]
fn messages_of_a_topic_do_not_go_to_peers_that_did_not_subscribe_it() {
    let mut network = Network::full_mesh(4, Config::default(), 5);
    let topic = topic("some");
    for name in [0, 1] {
        network.input(name, Input::Subscribe(topic.clone()));
    }
    network.run_for(SECOND);
    network.publish(0, &topic, payload(1, 10_000));
    network.run_for(3 * SECOND);
    assert_eq!(network.node(1).deliveries.len(), 1);
    for name in [2, 3] {
        assert_eq!(network.node(name).state.stats().data_bytes_received, 0);
    }
}

#[test]
fn a_peer_that_no_longer_says_it_is_subscribed_leaves_the_mesh_at_the_next_heartbeat() {
    let mut stage = Stage::new(Config::default(), &[1, 2]);
    let mesh = |stage: &Stage| stage.state.view().mesh(&topic("t")).collect::<Vec<_>>();
    assert_eq!(mesh(&stage), [1, 2]);
    stage.control(1, &[Control::Hello]);
    stage.control(2, &[Control::Hello, Control::Subscribe(topic("t"))]);
    stage.wait(SECOND);
    assert_eq!(mesh(&stage), [2]);
}
