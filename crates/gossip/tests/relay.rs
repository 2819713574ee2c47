//! What relays pass on, in profile `documented`.

mod harness;

use std::time::Duration;

use gossip::Config;
use harness::{
    documented,
    network::Network,
    payload,
    puppet::{Crafted, Stage},
    topic,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_message_crosses_a_line_of_relays() {
    let mut network = Network::new(6, documented(), 1);
    for name in 1..6 {
        network.connect(name - 1, name);
    }
    let topic = topic("line");
    network.subscribe_all(&topic);
    network.run_for(SECOND);
    network.publish(0, &topic, payload(1, 1 << 20));
    network.run_until_delivered(1, 2 * SECOND);
}

#[test]
fn messages_cross_sparse_random_meshes_of_sixty_nodes_over_many_seeds() {
    for seed in 0..5 {
        let mut network = Network::new(60, documented(), seed);
        for name in 1..60_u32 {
            for step in [1, 7, 23] {
                if name >= step {
                    network.connect(name - step, name);
                }
            }
        }
        let topic = topic("sparse");
        network.subscribe_all(&topic);
        network.run_for(2 * SECOND);
        for index in 0..5 {
            network.publish(index * 11, &topic, payload(u64::from(index), 100_000));
        }
        let took = network.run_until_delivered(5, 30 * SECOND);
        println!("seed {seed}: all within {took:?}");
    }
}

#[test]
fn a_publishers_shard_goes_on_unchanged_to_every_mesh_peer_but_its_sender() {
    let mut stage = Stage::new(documented(), &[1, 2, 3]);
    let message = Crafted::new(1, 5, payload(1, 4000));
    let mut frame = message.frame(2);
    frame.piece.as_mut().and_then(|piece| piece.start.as_mut()).expect("a start").publisher_index =
        Some(9);
    let sent = frame.piece.clone();
    stage.data(1, frame);
    let to: Vec<u32> = stage.data.iter().map(|(to, _)| *to).collect();
    assert_eq!(to, [2, 3]);
    assert!(stage.data.iter().all(|(_, frame)| frame.piece == sent && frame.header.is_some()));
}

#[test]
fn other_shards_are_recoded_only_once_more_than_the_threshold_are_held() {
    let config = Config { forward_threshold: 0.5, ..documented() };
    let mut stage = Stage::new(config, &[1, 2]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    stage.data(1, message.frame(0));
    stage.data(1, message.frame(1));
    assert_eq!(stage.data, [], "two of four are not more than half");
    stage.data(1, message.frame(2));
    let [(2, frame)] = &stage.data[..] else { panic!("one shard for peer 2: {:?}", stage.data) };
    let start = frame.piece.as_ref().and_then(|piece| piece.start.as_ref()).expect("a whole shard");
    assert_eq!(start.publisher_index, None);
    assert_eq!(start.coefficients[3], 0, "fragment 3 was not there to be mixed in");
    assert_ne!(start.coefficients[..3], [0, 0, 1], "not a shard as it came");
}

#[test]
fn a_redundant_shard_is_not_passed_on() {
    let mut stage = Stage::new(documented(), &[1, 2]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut frame = message.frame(0);
    frame.piece.as_mut().and_then(|piece| piece.start.as_mut()).expect("a start").publisher_index =
        Some(0);
    stage.data(1, frame.clone());
    let once = stage.data.len();
    stage.data(1, frame);
    stage.data(1, message.frame(0));
    assert_eq!(stage.data.len(), once);
    assert_eq!(stage.state.stats().shards_duplicate, 1);
    assert_eq!(stage.state.stats().shards_unhelpful, 1);
}

#[test]
fn after_decoding_the_mesh_is_told_and_shards_stop() {
    let mut stage = Stage::new(documented(), &[1, 2]);
    let message = Crafted::new(9, 5, payload(1, 4000));
    for index in 0..4 {
        stage.data(1, message.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
    let hash = message.generation().header;
    for peer in [1, 2] {
        let told = stage.told(peer);
        let idontwant = |entry: &gossip::wire::Control| matches!(entry, gossip::wire::Control::IDontWant(headers) if headers.contains(&hash));
        assert!(told.iter().any(idontwant), "peer {peer} was told {told:?}");
    }
}
