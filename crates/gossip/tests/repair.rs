//! What is lost comes back: cut links, restarts, late subscribers, pulls.

mod harness;

use std::time::Duration;

use gossip::{
    Config, Input,
    wire::{Control, News},
};
use harness::{
    documented,
    network::Network,
    of_each_profile, payload,
    puppet::{Crafted, Stage},
    topic,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_link_cut_in_the_middle_of_a_message_and_restored_delivers_it() {
    for config in of_each_profile() {
        for at_ms in [1, 20, 80, 200, 600] {
            let mut network = Network::new(2, config.clone(), at_ms);
            network.set_links(Duration::from_millis(10), 1_500_000);
            network.connect(0, 1);
            let topic = topic("cut");
            network.subscribe_all(&topic);
            network.run_for(SECOND);
            network.publish(0, &topic, payload(1, 1 << 20));
            network.run_for(Duration::from_millis(at_ms));
            network.cut(0, 1);
            network.run_for(Duration::from_millis(500));
            assert!(network.node(1).deliveries.is_empty(), "cut after {at_ms} ms");
            network.connect(0, 1);
            network.run_until_delivered(1, 10 * SECOND);
        }
    }
}

#[test]
fn the_bootstrap_dies_while_messages_flow_and_the_others_miss_nothing() {
    for config in of_each_profile() {
        let heartbeat = config.heartbeat;
        let mut network = Network::full_mesh(4, config, 2);
        let topic = topic("crash");
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        for index in 0..30_u64 {
            network.publish(1 + (index % 3) as u32, &topic, payload(index, 200_000));
            network.run_for(Duration::from_millis(3));
            if index == 10 {
                network.kill(0);
            }
        }
        network.run_until_delivered(30, 20 * SECOND);

        network.add(0);
        network.input(0, Input::Subscribe(topic.clone()));
        for other in 1..4 {
            network.connect(0, other);
        }
        network.run_for(2 * heartbeat);
        network.publish(2, &topic, payload(99, 200_000));
        network.run_until(5 * SECOND, "the message at the node that came back", |network| {
            network.node(0).payloads().contains(&payload(99, 200_000))
        });
    }
}

#[test]
fn who_comes_late_gets_several_fragments_of_a_peer_in_a_round_trip() {
    let mut network = Network::new(3, Config::default(), 5);
    network.set_links(Duration::from_millis(40), 12_500_000);
    network.connect(0, 1);
    let topic = topic("late");
    network.subscribe_all(&topic);
    network.run_for(2 * SECOND);
    network.publish(0, &topic, payload(1, 1 << 20));
    network.run_until(5 * SECOND, "the message at node 1", |network| {
        !network.node(1).deliveries.is_empty()
    });
    network.connect(1, 2);
    // The next heartbeat tells of it. 64 fragments, one in a round trip of 80 ms, would take 5 s.
    network.run_until_delivered(1, 5 * SECOND / 2);
    assert_eq!(network.node(2).faults, []);
}

#[test]
fn a_node_that_restarts_with_the_same_name_may_publish_again() {
    for config in of_each_profile() {
        let mut network = Network::full_mesh(3, config, 3);
        let topic = topic("again");
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        network.publish(0, &topic, payload(1, 1000));
        network.run_until_delivered(1, SECOND);
        network.kill(0);
        network.run_for(SECOND);
        network.add(0);
        network.input(0, Input::Subscribe(topic.clone()));
        network.connect(0, 1);
        network.connect(0, 2);
        network.run_for(SECOND);
        network.publish(0, &topic, payload(2, 1000));
        network.run_until_delivered(2, SECOND);
    }
}

#[test]
fn streams_opened_anew_lose_nothing() {
    for config in of_each_profile() {
        let mut network = Network::new(2, config, 4);
        network.set_links(Duration::from_millis(10), 1_500_000);
        network.connect(0, 1);
        let topic = topic("reset");
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        network.publish(0, &topic, payload(1, 1 << 20));
        network.run_for(Duration::from_millis(150));
        network.input(0, Input::StreamsReset(1));
        network.run_until_delivered(1, 10 * SECOND);
        assert_eq!(network.node(1).faults, []);
    }
}

#[test]
fn news_of_an_unknown_message_brings_a_pull_after_a_round_trip_and_not_before() {
    for config in of_each_profile() {
        let mut stage = Stage::new(config, &[1]);
        let message = Crafted::new(9, 5, payload(1, 4000));
        let news = News { header: message.generation().header, message: message.header.message };
        stage.control(1, &[Control::IHave { topic: topic("t"), news: vec![news] }]);
        let pull = Control::IWant { generation: message.generation(), shards: 256 };
        assert!(!stage.told(1).contains(&pull));
        stage.wait(Duration::from_millis(150));
        assert!(stage.told(1).contains(&pull));
    }
}

#[test]
fn a_stalled_message_is_pulled_from_a_peer_that_has_it_for_what_is_missing() {
    let mut stage = Stage::new(documented(), &[1, 2]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    stage.data(1, message.frame(0));
    stage.control(2, &[Control::IDontWant(vec![message.generation().header])]);
    stage.wait(SECOND);
    let pull = Control::IWant { generation: message.generation(), shards: 3 };
    assert!(stage.told(2).contains(&pull), "{:?}", stage.told(2));
    assert!(!stage.told(1).contains(&pull), "peer 1 did not say that it has it");
}

#[test]
fn pulls_of_one_peer_bring_a_message_once_and_not_more() {
    let mut stage = Stage::new(documented(), &[1]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    for index in 0..4 {
        stage.data(1, message.frame(index));
    }
    stage.data.clear();
    stage.connect(2);
    for _ in 0..10 {
        stage.control(2, &[Control::IWant { generation: message.generation(), shards: 256 }]);
    }
    let shards = stage.data.iter().filter(|(to, frame)| *to == 2 && frame.piece.is_some()).count();
    assert!((4..=6).contains(&shards), "{shards} shards of 4 fragments");
    assert!(stage.state.stats().pulls_ignored > 0);
}

#[test]
fn a_pull_of_a_message_no_longer_kept_is_answered_gone() {
    let mut stage = Stage::new(documented(), &[1]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    for index in 0..4 {
        stage.data(1, message.frame(index));
    }
    stage.wait(6 * SECOND);
    stage.control(1, &[Control::IWant { generation: message.generation(), shards: 4 }]);
    assert!(stage.told(1).contains(&Control::Gone(message.generation().header)));
    assert_eq!(stage.state.stats().pulls_gone, 1);
}

#[test]
fn retention_is_bounded_in_bytes_and_the_oldest_go_first() {
    let mut config = Config::default();
    config.limits.retain_bytes_max = 100_000;
    let mut network = Network::new(1, config, 1);
    let topic = topic("kept");
    for seed in 0..20 {
        network.publish(0, &topic, payload(seed, 10_000));
    }
    let node = network.node(0);
    assert_eq!(node.state.view().retained_messages().count(), 9);
    let newest = node.published.values().next_back().copied().expect("published");
    assert!(node.state.view().retained_messages().any(|message| message == newest));
    assert_eq!(node.state.stats().retention_evicted, 11);
}

#[test]
fn a_shard_refused_halfway_starts_over_with_its_header() {
    let mut config = documented();
    // Room for one shard in pieces at the receiver; two messages begin at the same time.
    config.limits.partial_bytes_max = 300_000;
    let mut network = Network::new(2, config, 12);
    network.set_links(Duration::from_millis(10), 1_000_000);
    network.connect(0, 1);
    let topic = topic("halfway");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    for seed in 0..4 {
        network.publish(0, &topic, payload(seed, 1 << 20));
    }
    network.run_until_delivered(4, 60 * SECOND);
    assert!(network.node(1).state.stats().shards_refused > 0);
    assert_eq!((network.node(0).faults.len(), network.node(1).faults.len()), (0, 0));
}
