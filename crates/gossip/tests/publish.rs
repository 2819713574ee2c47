//! Publish at one node, delivered at the others.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use gossip::{Config, Input, PublishError, Topic, Trace};
use harness::{network::Network, of_each_profile, payload, topic};

const SECOND: Duration = Duration::from_secs(1);

fn mesh_of_four(config: Config, seed: u64) -> (Network, Topic) {
    let mut network = Network::full_mesh(4, config, seed);
    let topic = topic("blocks");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    (network, topic)
}

#[test]
fn a_message_of_any_size_is_delivered_byte_for_byte_at_every_node_once() {
    for (seed, bytes) in
        [1, 2, 3, 4, 5, 1 << 10, 100_000, 1 << 20, 10 << 20].into_iter().enumerate()
    {
        for config in of_each_profile() {
            let config = Config { message_bytes_max: 10 << 20, ..config };
            let (mut network, topic) = mesh_of_four(config, seed as u64);
            let sent = payload(seed as u64, bytes);
            network.publish(2, &topic, sent.clone());
            network.run_until_delivered(1, 5 * SECOND);
            network.run_for(5 * SECOND);
            for (name, node) in &network.nodes {
                assert_eq!(
                    node.payloads(),
                    std::slice::from_ref(&sent),
                    "{bytes} bytes at node {name}"
                );
                assert_eq!(node.faults, [], "{bytes} bytes at node {name}");
            }
        }
    }
}

#[test]
fn two_hundred_messages_of_mixed_sizes_from_all_nodes_at_once_reach_everybody_once() {
    for config in of_each_profile() {
        let (mut network, topic) = mesh_of_four(config, 11);
        let mut sent: Vec<Bytes> = Vec::new();
        for index in 0..200_u64 {
            let bytes = [1, 700, 5_000, 40_000, 300_000][index as usize % 5];
            let payload = payload(1_000 + index, bytes.max(8));
            sent.push(payload.clone());
            network.publish((index % 4) as u32, &topic, payload);
        }
        network.run_until_delivered(200, 60 * SECOND);
        network.run_for(5 * SECOND);
        sent.sort();
        for (name, node) in &network.nodes {
            let mut got = node.payloads();
            got.sort();
            assert!(got == sent, "node {name} got {} of {}", got.len(), sent.len());
            assert_eq!(node.faults, []);
        }
    }
}

#[test]
fn empty_and_oversize_messages_are_refused_with_the_numbers() {
    let config = Config { message_bytes_max: 1000, ..Config::default() };
    let (mut network, topic) = mesh_of_four(config, 1);
    let empty = network.publish(0, &topic, Bytes::new());
    let oversize = network.publish(0, &topic, payload(1, 1001));
    assert_eq!(network.node(0).refused[&empty], PublishError::Empty);
    let expected = PublishError::TooLarge { bytes: 1001, max: 1000 };
    assert_eq!(network.node(0).refused[&oversize], expected);
    assert_eq!(network.node(0).state.stats().publish_refused, 2);
}

#[test]
fn an_equal_payload_is_the_same_message_for_two_minutes() {
    for config in of_each_profile() {
        let (mut network, topic) = mesh_of_four(config, 2);
        network.publish(0, &topic, payload(1, 500));
        network.run_for(SECOND);
        let again = network.publish(0, &topic, payload(1, 500));
        assert!(matches!(network.node(0).refused[&again], PublishError::Duplicate { .. }));
        let elsewhere = network.publish(3, &topic, payload(1, 500));
        assert!(matches!(network.node(3).refused[&elsewhere], PublishError::Duplicate { .. }));
        network.run_for(121 * SECOND);
        network.publish(0, &topic, payload(1, 500));
        network.run_until_delivered(2, 5 * SECOND);
    }
}

#[test]
fn what_comes_and_is_delivered_is_counted_topic_by_topic_also_after_it_was_left() {
    let (mut network, blocks) = mesh_of_four(Config::default(), 4);
    let blobs = topic("blobs");
    network.subscribe_all(&blobs);
    network.run_for(SECOND);
    network.publish(0, &blocks, payload(1, 500));
    network.publish(1, &blocks, payload(2, 700));
    network.publish(0, &blobs, payload(3, 9000));
    network.run_until_delivered(3, SECOND);
    network.run_for(SECOND);
    network.input(0, Input::Unsubscribe(blobs.clone()));
    let mut counted = |topic: &Topic| network.node(0).state.topic_stats()[topic];
    let of_blocks = counted(&blocks);
    assert_eq!((of_blocks.delivered, of_blocks.delivered_bytes), (2, 1200));
    assert!(of_blocks.received >= 1, "its own message came from nobody");
    assert!(of_blocks.received_bytes >= 700);
    let of_blobs = counted(&blobs);
    assert_eq!((of_blobs.delivered, of_blobs.delivered_bytes), (1, 9000));
    assert_eq!((of_blobs.throttled, of_blobs.rejected), (0, 0));
}

#[test]
fn publishing_joins_the_topic_and_delivers_to_the_publisher_itself() {
    let mut network = Network::full_mesh(2, Config::default(), 3);
    let topic = topic("new");
    network.publish(0, &topic, payload(1, 100));
    assert_eq!(network.node(0).payloads(), [payload(1, 100)]);
    assert_eq!(network.node(0).state.view().topics().collect::<Vec<_>>(), [&topic]);
}

#[test]
fn a_publish_that_would_join_one_topic_too_many_is_refused_and_others_go_on() {
    let mut config = Config::default();
    config.limits.topics_max = 1;
    let large = config.job_threshold_bytes as usize;
    let mut network = Network::full_mesh(2, config, 3);
    let (first, second) = (topic("first"), topic("second"));
    let raced = network.publish(0, &second, payload(1, large));
    network.publish(0, &first, payload(2, 100));
    network.run_for(SECOND);
    let refused = network.publish(0, &second, payload(3, 100));
    network.publish(0, &first, payload(4, 100));
    network.run_for(SECOND);
    assert_eq!(network.node(0).payloads(), [payload(2, 100), payload(4, 100)]);
    for ticket in [raced, refused] {
        assert_eq!(network.node(0).refused[&ticket], PublishError::TopicsFull { max: 1 });
    }
    assert!(network.node(0).state.accepts_publish());
}

#[test]
fn a_message_published_alone_is_given_to_the_first_peer_that_subscribes() {
    for config in of_each_profile() {
        let mut network = Network::full_mesh(2, config, 4);
        let topic = topic("early");
        network.publish(0, &topic, payload(1, 50_000));
        network.run_for(SECOND);
        network.input(1, Input::Subscribe(topic.clone()));
        network.run_until_delivered(1, SECOND);
        assert_eq!(network.node(1).payloads(), [payload(1, 50_000)]);
        assert_eq!(network.node(0).state.stats().published_without_peers, 0);
    }
}

#[test]
fn a_message_nobody_asked_for_while_it_was_kept_is_counted() {
    let mut network = Network::full_mesh(2, Config::default(), 5);
    network.publish(0, &topic("lonely"), payload(1, 100));
    network.run_for(6 * SECOND);
    assert_eq!(network.node(0).state.stats().published_without_peers, 1);
    assert_eq!(network.node(0).state.view().retained_messages().count(), 0);
}

#[test]
fn publishing_faster_than_the_links_carry_is_refused_as_busy_until_there_is_room() {
    let mut config = Config { message_bytes_max: 4 << 20, ..Config::default() };
    config.limits.publish_bytes_max = 8 << 20;
    let mut network = Network::new(2, config, 6);
    network.set_links(Duration::from_millis(5), 1_000_000);
    network.connect(0, 1);
    let topic = topic("fast");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    let tickets: Vec<u64> =
        (0..4).map(|seed| network.publish(0, &topic, payload(seed, 4 << 20))).collect();
    network.run_for(SECOND / 100);
    assert_eq!(network.node(0).refused[&tickets[2]], PublishError::Busy);
    assert!(!network.node(0).state.accepts_publish());
    network.run_until(60 * SECOND, "room for a publish", |network| {
        network.node(0).state.accepts_publish()
    });
}

#[test]
fn a_peer_that_does_not_read_delays_nobody_else() {
    let (mut network, topic) = mesh_of_four(Config::default(), 7);
    for other in 0..3 {
        network.stall(other, 3);
    }
    for seed in 0..20 {
        network.publish(0, &topic, payload(seed, 500_000));
    }
    network.run_until(20 * SECOND, "twenty messages at nodes 1 and 2", |network| {
        [1, 2].iter().all(|name| network.node(*name).deliveries.len() == 20)
    });
    assert!(network.node(3).deliveries.is_empty());
}

#[test]
fn equal_seeds_and_equal_calls_give_equal_traffic() {
    let run = |config: &Config, seed| {
        let mut network = Network::full_mesh(20, config.clone(), seed);
        let topic = topic("equal");
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        for index in 0..10 {
            network.publish(index, &topic, payload(u64::from(index), 70_000));
        }
        network.run_until_delivered(10, 20 * SECOND);
        network.trace_hash()
    };
    for config in of_each_profile() {
        assert_eq!(run(&config, 1), run(&config, 1));
        assert_ne!(run(&config, 1), run(&config, 2));
    }
}

#[test]
fn the_traces_of_a_message_tell_publish_shards_and_delivery_with_its_topic() {
    // Four coded shards, and a whole message.
    for (config, shards) in of_each_profile().into_iter().zip([4, 1]) {
        let mut network = Network::full_mesh(2, config.clone(), 8);
        let topic = topic("traced");
        for name in [0, 1] {
            network.input(name, Input::Tracing(true));
        }
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        network.publish(0, &topic, payload(1, 1000));
        network.run_until_delivered(1, SECOND);
        network.run_for(SECOND);
        let count = |traces: &[Trace<u32>], wanted: fn(&Trace<u32>) -> bool| {
            traces.iter().filter(|trace| wanted(trace)).count()
        };
        let publisher = &network.nodes[&0].traces;
        assert_eq!(count(publisher, |t| matches!(t, Trace::Publish { .. })), 1);
        assert_eq!(count(publisher, |t| matches!(t, Trace::Join { .. })), 1);
        assert_eq!(count(publisher, |t| matches!(t, Trace::Graft { .. })), 1);
        let receiver = &network.nodes[&1].traces;
        assert_eq!(count(receiver, |t| matches!(t, Trace::NewShard(_))), shards);
        assert_eq!(
            count(
                receiver,
                |t| matches!(t, Trace::Deliver { topic, .. } if topic.as_str() == "traced")
            ),
            1
        );
        let not_tracing = Network::full_mesh(2, config, 8);
        assert!(not_tracing.nodes[&0].traces.is_empty());
    }
}

#[test]
fn messages_that_wait_for_a_slow_link_longer_than_they_are_retained_still_arrive() {
    for config in of_each_profile() {
        let mut network = Network::new(3, config, 9);
        network.set_links(Duration::from_millis(10), 1_000_000);
        network.connect(0, 1);
        network.connect(1, 2);
        let topic = topic("slow");
        network.subscribe_all(&topic);
        network.run_for(SECOND);
        for seed in 0..20 {
            network.publish(0, &topic, payload(seed, 1 << 20));
        }
        let took = network.run_until_delivered(20, 90 * SECOND);
        assert!(took > 20 * SECOND, "20 MiB over 1 MB/s: {took:?}");
        for node in network.nodes.values() {
            assert_eq!(node.deliveries.len(), 20);
        }
    }
}

#[test]
fn a_node_alone_publishes_as_fast_as_it_likes() {
    let mut config = Config::default();
    config.limits.publish_bytes_max = 1 << 20;
    let mut network = Network::new(1, config, 10);
    let topic = topic("alone");
    for seed in 0..10 {
        network.publish(0, &topic, payload(seed, 200_000));
    }
    assert_eq!(network.node(0).deliveries.len(), 10);
    assert!(network.node(0).refused.is_empty());
}
