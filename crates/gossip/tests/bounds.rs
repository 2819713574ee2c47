//! Everything that a peer can fill has a bound, a defined outcome at the bound, and a counter.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use gossip::{
    Config, Fault, GenerationId, HeaderHash, Input,
    wire::{Bitmap, Control, DataFrame, Fragment, News, RefuseReason},
};
use harness::{
    adaptive,
    cut::Cut,
    documented, payload,
    puppet::{Crafted, Stage},
    topic,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn open_messages_are_bounded_and_a_newcomer_of_the_same_peer_is_refused_for_now() {
    let mut config = documented();
    config.limits.open_messages_max = 10;
    let mut stage = Stage::new(config, &[1]);
    for sequence in 0..15 {
        stage.data(1, Crafted::new(9, sequence, payload(sequence, 4000)).frame(0));
    }
    assert_eq!(stage.state.view().open_messages().count(), 10);
    let busy =
        |entry: &Control| matches!(entry, Control::Refuse { reason: RefuseReason::Busy, .. });
    assert_eq!(stage.told(1).iter().filter(|entry| busy(entry)).count(), 5);
    assert_eq!(stage.state.stats().headers_refused, 5);
}

#[test]
fn a_peer_that_holds_much_gives_way_to_one_that_holds_little() {
    let mut config = documented();
    config.limits.open_bytes_max = 100_000;
    let mut stage = Stage::new(config, &[1, 2]);
    for sequence in 0..30 {
        stage.data(1, Crafted::new(9, sequence, payload(sequence, 4000)).frame(0));
    }
    let full = stage.state.view().open_messages().count();
    assert!(full < 30);
    let honest = Crafted::new(8, 1, payload(100, 4000));
    for index in 0..4 {
        stage.data(2, honest.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.state.stats().messages_evicted, 1);
    assert_eq!(stage.state.view().open_messages().count(), full - 1);
}

#[test]
fn what_is_complete_makes_room_for_as_much_again() {
    let mut config = adaptive();
    config.limits.open_bytes_max = 70_000;
    let mut stage = Stage::new(config, &[1]);
    for publisher in 1..=20 {
        let cut = Cut::by(publisher, 64_000, 16);
        (0..16).for_each(|index| stage.data(1, cut.frame(index)));
        assert_eq!(stage.deliveries.len(), publisher as usize);
    }
    assert_eq!(stage.state.stats().headers_refused, 0);
}

#[test]
fn shards_that_come_in_pieces_are_bounded_and_the_message_is_refused_for_now() {
    let mut config = documented();
    config.limits.partial_bytes_max = 5_000;
    let mut stage = Stage::new(config, &[1]);
    for sequence in 0..8 {
        let mut begun = Crafted::new(9, sequence, payload(sequence, 4000)).frame(0);
        let piece = begun.piece.as_mut().expect("a piece");
        piece.bytes = piece.bytes.slice(..10);
        stage.data(1, begun);
    }
    let busy =
        |entry: &Control| matches!(entry, Control::Refuse { reason: RefuseReason::Busy, .. });
    assert_eq!(stage.told(1).iter().filter(|entry| busy(entry)).count(), 3);
    assert_eq!(stage.state.stats().shards_refused, 3);
    assert_eq!(stage.faults, []);
}

#[test]
fn an_open_message_of_which_nothing_comes_is_dropped_in_time() {
    let mut stage = Stage::new(documented(), &[1]);
    stage.data(1, Crafted::new(9, 1, payload(1, 4000)).frame(0));
    stage.wait(documented().open_ttl + SECOND);
    assert_eq!(stage.state.view().open_messages().count(), 0);
    assert_eq!(stage.state.stats().messages_expired, 1);
}

#[test]
fn signature_checks_of_a_peer_are_bounded_per_second() {
    let mut config = documented();
    config.limits.signature_checks_per_second_max = 20;
    let mut stage = Stage::new(config, &[1, 2]);
    for sequence in 0..30 {
        stage.data(1, Crafted::new(9, sequence, payload(sequence, 40)).frame(0));
    }
    assert_eq!(stage.state.stats().headers_accepted, 20);
    stage.data(2, Crafted::new(8, 1, payload(99, 40)).frame(0));
    assert_eq!(stage.state.stats().headers_accepted, 21, "peer 2 has an allowance of its own");
    stage.wait(SECOND);
    stage.data(1, Crafted::new(9, 40, payload(40, 40)).frame(0));
    assert_eq!(stage.state.stats().headers_accepted, 22);
}

#[test]
fn a_peer_that_does_not_read_its_control_stream_is_disconnected_at_the_bound() {
    let mut config = Config::default();
    config.limits.control_bytes_max = 2000;
    let now = harness::start();
    let mut state = harness::state_of(0, config, 1, 1, now);
    state.handle(now, Input::Connected(1, gossip::Direction::Inbound));
    for byte in 0..200 {
        let generation = GenerationId { header: HeaderHash([byte; 32]), index: 0 };
        let pull = gossip::wire::encode_control(&[Control::IWant { generation, shards: 1 }]);
        state.handle(now, Input::Control(1, pull));
    }
    let mut faults = Vec::new();
    while let Some(output) = state.poll_output() {
        if let gossip::Output::Disconnect { peer, fault, .. } = output {
            faults.push((peer, fault));
        }
    }
    assert!(matches!(faults[..], [(1, Fault::ControlBacklog { .. })]), "{faults:?}");
    assert_eq!(state.stats().control_backlogs, 1);
    assert_eq!(state.view().peers().count(), 0);
}

#[test]
fn pulls_and_news_beyond_the_allowance_of_a_heartbeat_are_ignored_and_counted() {
    let mut config = Config::default();
    config.limits.pulls_per_heartbeat_max = 5;
    config.limits.news_per_heartbeat_max = 5;
    let mut stage = Stage::new(config, &[1]);
    for byte in 0..8 {
        let (header, message) = (HeaderHash([byte; 32]), gossip::MessageId([byte; 32]));
        let generation = GenerationId { header, index: 0 };
        stage.control(1, &[Control::IWant { generation, shards: 1 }]);
        let news = vec![News { header, message }];
        stage.control(1, &[Control::IHave { topic: topic("t"), news }]);
    }
    assert_eq!(stage.state.stats().pulls_gone, 5);
    assert_eq!(stage.state.stats().pulls_ignored, 3);
    assert_eq!(stage.state.stats().news_ignored, 3);
    stage.wait(SECOND);
    let generation = GenerationId { header: HeaderHash([99; 32]), index: 0 };
    stage.control(1, &[Control::IWant { generation, shards: 1 }]);
    assert_eq!(stage.state.stats().pulls_gone, 6);
}

#[test]
fn news_that_never_come_true_are_given_up() {
    let mut stage = Stage::new(Config::default(), &[1]);
    let news = vec![News { header: HeaderHash([1; 32]), message: gossip::MessageId([2; 32]) }];
    stage.control(1, &[Control::IHave { topic: topic("t"), news }]);
    stage.wait(60 * SECOND);
    assert_eq!(stage.state.stats().pulls_sent, 16);
    assert_eq!(stage.state.stats().repairs_dropped, 1);
}

#[test]
fn subscriptions_of_a_peer_are_bounded() {
    let mut config = Config::default();
    config.limits.topics_per_peer_max = 10;
    let mut stage = Stage::new(config, &[1]);
    for index in 0..20 {
        stage.control(1, &[Control::Subscribe(topic(&format!("topic {index}")))]);
    }
    let peer = stage.state.view().peers().next().expect("peer 1");
    assert_eq!(peer.topics.len(), 10);
    assert_eq!(stage.state.stats().subscriptions_ignored, 11);
}

#[test]
fn a_topic_is_1_to_1024_bytes_and_the_error_says_so() {
    let error = gossip::Topic::new("").expect_err("empty");
    assert_eq!(error.to_string(), "the topic is empty; a topic has 1 to 1024 bytes");
    let error = gossip::Topic::new(&"x".repeat(1 << 20)).expect_err("a megabyte");
    assert_eq!(error.to_string(), "the topic has 1048576 bytes; at most 1024 are allowed");
}

#[test]
fn settings_that_cannot_work_are_refused_with_the_numbers() {
    let check = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate().expect_err("a bad setting").to_string()
    };
    assert!(check(|c| c.mesh.low = 7).contains("low 7, target 6, high 12"));
    assert!(check(|c| c.shard_factor = 0).contains("1 to 256"));
    assert!(check(|c| c.shard_multiplier = 0.5).contains("0.5"));
    assert!(check(|c| c.shard_multiplier = f64::NAN).contains("NaN"));
    assert!(check(|c| c.forward_threshold = 1.5).contains("1.5"));
    assert!(check(|c| c.message_bytes_max = 1 << 40).contains("67108864"));
}

#[test]
fn a_graft_does_not_go_around_the_bound_of_topics_of_a_peer() {
    let mut config = Config::default();
    config.limits.topics_per_peer_max = 1;
    let mut stage = Stage::new(config, &[1]);
    stage.input(Input::Subscribe(topic("other")));
    stage.control(1, &[Control::Graft(topic("other"))]);
    assert_eq!(stage.state.view().mesh(&topic("other")).count(), 0);
    assert_eq!(stage.state.stats().subscriptions_ignored, 1);
    let pruned = |entry: &Control| matches!(entry, Control::Prune { .. });
    assert_eq!(stage.told(1).iter().filter(|entry| pruned(entry)).count(), 1);
}

#[test]
fn a_million_small_control_messages_fill_nothing_and_cost_the_sender_its_standing() {
    let mut stage = Stage::new(Config::default(), &[1, 2]);
    let limits = Config::default().limits;
    let id = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    for number in 0..1_000_000 {
        let (header, message) = (HeaderHash(id(number)), gossip::MessageId(id(number)));
        let generation = GenerationId { header, index: 0 };
        let entry = match number % 4 {
            0 => Control::IHave { topic: topic("t"), news: vec![News { header, message }] },
            1 => Control::IWant { generation, shards: 1 },
            2 => Control::Subscribe(topic(&format!("topic {number}"))),
            _ => Control::IDontWant(vec![header]),
        };
        stage.control(1, &[entry]);
        // Kept short: what it was answered is not of interest.
        stage.control.clear();
    }
    let stats = stage.state.stats();
    let pulls_max = u64::from(limits.pulls_per_heartbeat_max);
    assert_eq!(stats.pulls_gone, pulls_max, "one heartbeat's allowance");
    assert_eq!(stats.pulls_ignored, 250_000 - pulls_max);
    assert!(stats.news_ignored >= 250_000 - u64::from(limits.news_per_heartbeat_max));
    // It subscribed "t" before.
    let topics_max = limits.topics_per_peer_max as u64 - 1;
    assert_eq!(stats.subscriptions_ignored, 250_000 - topics_max);
    stage.wait(SECOND);
    let view = stage.state.view();
    let standing = |name: u32| view.peers().find(|peer| peer.peer == name).expect("connected");
    assert!(standing(1).graylisted);
    assert_eq!(standing(1).topics.len(), limits.topics_per_peer_max);
    assert_eq!((standing(1).mesh.len(), standing(2).mesh.len()), (0, 1));
    assert!(view.open_messages().next().is_none());
}

#[test]
fn who_sends_what_the_profile_does_not_have_is_disconnected() {
    let generation = GenerationId { header: HeaderHash([1; 32]), index: 0 };
    for entry in [
        Control::Probe(1),
        Control::DataGraft(topic("t")),
        Control::Have { generation, fragments: Bitmap::first(3) },
    ] {
        let mut stage = Stage::new(documented(), &[1]);
        stage.control(1, &[entry]);
        assert_eq!(stage.faults, [(1, Fault::OtherProfile)]);
    }
    let bytes = Bytes::from_static(&[1]);
    let fragment = Fragment { generation, index: 0, hops: 0, path: Vec::new(), bytes };
    let mut stage = Stage::new(documented(), &[1]);
    stage.data(1, DataFrame { fragment: Some(fragment), ..DataFrame::default() });
    assert_eq!(stage.faults, [(1, Fault::OtherProfile)]);
}
