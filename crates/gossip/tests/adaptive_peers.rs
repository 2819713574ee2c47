//! One node of profile `adaptive` and peers that are moved by hand: what is false is told from what
//! is true at once, and nobody can hold up or fill a node.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use gossip::{
    Fault, GenerationId, Input, ShardTrace, Trace,
    wire::{Bitmap, Control},
};
use harness::{adaptive, cut::Cut, payload, puppet::Stage, topic};

const SECOND: Duration = Duration::from_secs(1);

fn bad_shard(cut: &Cut, what: &'static str) -> Fault {
    Fault::BadShard { header: cut.signed.header.hash(), what }
}

#[test]
fn a_false_fragment_convicts_its_sender_and_nobody_else_is_held_up() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    stage.data(1, cut.frame(0));
    let mut false_one = cut.frame(1);
    if let Some(fragment) = &mut false_one.fragment {
        let mut bytes = fragment.bytes.to_vec();
        bytes[7] ^= 1;
        fragment.bytes = bytes.into();
    }
    stage.data(2, false_one);
    assert_eq!(stage.faults, [(2, bad_shard(&cut, "it is not what the publisher committed to"))]);
    for index in 1..4 {
        stage.data(1, cut.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.deliveries[0].payload, cut.payload);
}

#[test]
fn a_false_path_convicts_its_sender() {
    let cut = Cut::new(4_000, 4);
    for (peer, hashes) in [(1, 1), (2, 2), (3, 3)] {
        let mut stage = Stage::new(adaptive(), &[peer]);
        let mut frame = cut.frame(0);
        if let Some(fragment) = &mut frame.fragment {
            fragment.path.resize(hashes, fragment.path[0]);
            fragment.path[0].0[10] ^= 1;
        }
        stage.data(peer, frame);
        let what = "it is not what the publisher committed to";
        assert_eq!(stage.faults, [(peer, bad_shard(&cut, what))]);
    }
}

#[test]
fn combinations_alone_make_a_message() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1]);
    for vector in [[1, 2, 3, 4], [5, 6, 7, 9], [1, 0, 0, 11], [2, 7, 1, 8]] {
        assert_eq!(stage.deliveries.len(), 0);
        stage.data(1, cut.combination(&vector));
    }
    assert_eq!(stage.faults, []);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.deliveries[0].payload, cut.payload);
}

#[test]
fn a_false_whole_message_convicts_its_sender_and_the_true_one_is_taken() {
    let cut = Cut::new(500, 1);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    let mut frame = cut.frame(0);
    if let Some(fragment) = &mut frame.fragment {
        fragment.bytes = payload(9, 500);
    }
    stage.data(2, frame);
    assert_eq!(stage.faults, [(2, bad_shard(&cut, "it is not the message that the header names"))]);
    stage.data(1, cut.frame(0));
    assert_eq!(stage.deliveries.len(), 1);
}

#[test]
fn combinations_fill_what_is_missing() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    stage.data(1, cut.frame(2));
    stage.data(2, cut.combination(&[1, 2, 3, 4]));
    stage.data(2, cut.combination(&[5, 6, 7, 9]));
    assert_eq!(stage.deliveries.len(), 0);
    stage.data(1, cut.combination(&[1, 0, 0, 11]));
    assert_eq!(stage.faults, []);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.deliveries[0].payload, cut.payload);
}

/// What a trace says of a shard, if it is about one.
fn shard_of(trace: &Trace<u32>) -> Option<(&'static str, &ShardTrace<u32>)> {
    if let Trace::NewShard(shard) = trace {
        Some(("new", shard))
    } else if let Trace::DuplicateShard(shard) = trace {
        Some(("duplicate", shard))
    } else if let Trace::UnhelpfulShard(shard) = trace {
        Some(("unhelpful", shard))
    } else if let Trace::UnnecessaryShard(shard) = trace {
        Some(("unnecessary", shard))
    } else {
        None
    }
}

#[test]
fn fragments_and_combinations_are_traced_and_counted_under_the_names_of_shards() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    stage.input(Input::Tracing(true));
    for index in [0, 1, 1] {
        stage.data(1, cut.frame(index));
    }
    // Two fragments are missing, and two combinations kept, when the third comes.
    for vector in [[1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 9]] {
        stage.data(2, cut.combination(&vector));
    }
    assert_eq!(stage.deliveries.len(), 0);
    for index in [2, 3] {
        stage.data(1, cut.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
    stage.data(2, cut.combination(&[2, 7, 1, 8]));
    let told = stage.traces.iter().filter_map(shard_of);
    let told = told.map(|(kind, shard)| (kind, shard.received_from, &shard.coefficients[..]));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("new", 1, &[1, 0, 0, 0][..]),
            ("new", 1, &[0, 1, 0, 0]),
            ("duplicate", 1, &[0, 1, 0, 0]),
            ("new", 2, &[1, 2, 3, 4]),
            ("new", 2, &[1, 2, 3, 4]),
            ("unhelpful", 2, &[5, 6, 7, 9]),
            ("new", 1, &[0, 0, 1, 0]),
            ("unnecessary", 1, &[0, 0, 0, 1]),
            ("unnecessary", 2, &[2, 7, 1, 8]),
        ]
    );
    let stats = stage.state.stats();
    assert_eq!((stats.shards_innovative, stats.shards_duplicate), (5, 1));
    assert_eq!((stats.shards_unhelpful, stats.shards_unnecessary), (1, 2));
    let received = |trace: &&Trace<u32>| matches!(trace, Trace::ReceiveRpc { .. });
    assert_eq!(stage.traces.iter().filter(received).count(), 9, "one for each");
}

#[test]
fn a_false_combination_delays_nothing_and_convicts_its_sender_once_the_message_is_there() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2, 3]);
    for index in 0..2 {
        stage.data(1, cut.frame(index));
    }
    stage.data(2, cut.combination(&[1, 2, 3, 4]));
    let mut false_one = cut.combination(&[5, 6, 7, 9]);
    if let Some(start) = false_one.piece.as_mut().and_then(|piece| piece.start.as_mut()) {
        start.coefficients = Bytes::from_static(&[5, 6, 7, 8]);
    }
    stage.data(3, false_one);
    assert_eq!((stage.deliveries.len(), stage.faults.len()), (0, 0));
    for index in 2..4 {
        stage.data(1, cut.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.faults, [(3, bad_shard(&cut, "it is not the combination that it says"))]);
}

#[test]
fn a_false_combination_for_the_last_fragment_forges_nothing() {
    // The hash of the fragment that is missing is known, from the path of its neighbour.
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    for index in 0..3 {
        stage.data(1, cut.frame(index));
    }
    let mut false_one = cut.combination(&[1, 2, 3, 4]);
    if let Some(piece) = &mut false_one.piece {
        piece.bytes = payload(9, piece.bytes.len());
    }
    stage.data(2, false_one);
    assert_eq!((stage.deliveries.len(), stage.faults.len()), (0, 0));
    stage.data(1, cut.frame(3));
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.deliveries[0].payload, cut.payload);
    assert_eq!(stage.faults, [(2, bad_shard(&cut, "it is not the combination that it says"))]);
}

#[test]
fn what_a_peer_says_that_it_holds_is_asked_of_it_and_then_of_another() {
    let cut = Cut::new(64_000, 16);
    let mut stage = Stage::new(adaptive(), &[1, 2, 3]);
    for peer in 1..=3 {
        // Probes are answered at once: all are near.
        let probes: Vec<Control> = stage.told(peer);
        for probe in probes {
            if let Control::Probe(number) = probe {
                stage.control(peer, &[Control::Echo(number)]);
            }
        }
    }
    stage.data(1, cut.frame(0));
    let have = Control::Have { generation: cut.generation(), fragments: Bitmap::first(2) };
    stage.control(2, std::slice::from_ref(&have));
    let want = Control::Want {
        generation: cut.generation(),
        fragments: [1].into_iter().collect::<Bitmap>(),
    };
    assert!(stage.told(2).contains(&want), "it is asked for what is missing");
    stage.control(3, &[have]);
    assert!(!stage.told(3).contains(&want), "not twice at once");
    stage.wait(SECOND);
    assert!(stage.told(3).contains(&want), "who does not answer is replaced");
}

#[test]
fn who_is_near_and_never_answers_does_not_hold_up_what_somebody_far_has() {
    let cut = Cut::new(64_000, 16);
    let mut stage = Stage::new(adaptive(), &[1, 2, 3]);
    for peer in [2, 3] {
        for probe in stage.told(peer) {
            if let Control::Probe(number) = probe {
                stage.control(peer, &[Control::Echo(number)]);
            }
        }
    }
    stage.data(1, cut.frame(0));
    let have = Control::Have { generation: cut.generation(), fragments: Bitmap::first(2) };
    for peer in 1..=3 {
        stage.control(peer, std::slice::from_ref(&have));
    }
    stage.wait(5 * SECOND);
    let wants = |control: &Control| matches!(control, Control::Want { .. });
    assert!(stage.told(1).iter().any(wants), "it answers a bit later than they do not");
}

#[test]
fn a_message_is_asked_for_of_who_tells_of_it_before_its_header_has_come() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    let have = Control::Have { generation: cut.generation(), fragments: Bitmap::first(3) };
    stage.control(2, &[have]);
    stage.wait(SECOND);
    let asks = |control: &Control| matches!(control, Control::Want { generation, .. } if *generation == cut.generation());
    assert!(stage.told(2).iter().any(asks));
    stage.data(2, cut.frame(2));
    let wanted: Vec<Control> = stage.told(2).into_iter().filter(asks).collect();
    assert!(wanted.len() > 1, "what it told of before counts: {wanted:?}");
}

/// Returns how often peer `to` was sent a fragment.
fn sent_to(stage: &Stage, to: u32) -> usize {
    stage.data.iter().filter(|(peer, frame)| *peer == to && frame.fragment.is_some()).count()
}

/// Takes what `cut` has of fragments, all from peer 1.
fn take_all(stage: &mut Stage, cut: &Cut) {
    for index in 0..cut.shape.fragments() {
        stage.data(1, cut.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
}

#[test]
fn who_asks_for_the_same_again_and_again_gets_about_one_message_more() {
    let cut = Cut::new(4_000, 4);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    take_all(&mut stage, &cut);
    let want = Control::Want { generation: cut.generation(), fragments: Bitmap::first(4) };
    for _ in 0..50 {
        stage.control(2, std::slice::from_ref(&want));
    }
    let sent = sent_to(&stage, 2);
    assert!((8..=16).contains(&sent), "{sent} fragments for a message of 4");
}

#[test]
fn who_asks_for_what_there_is_not_is_answered_up_to_a_bound_in_a_heartbeat() {
    let mut config = adaptive();
    config.limits.pulls_per_heartbeat_max = 10;
    let mut stage = Stage::new(config, &[1]);
    let generation = Cut::new(4_000, 4).generation();
    let want = Control::Want { generation, fragments: Bitmap::first(4) };
    stage.control(1, &vec![want; 100]);
    let gone = stage.told(1).into_iter().filter(|control| matches!(control, Control::Gone(_)));
    assert_eq!(gone.count(), 10);
    assert_eq!(stage.faults, []);
}

/// What a peer says that it holds of a message that there is not.
fn rumour(number: u8) -> Control {
    let generation = GenerationId { header: gossip::HeaderHash([number; 32]), index: 0 };
    Control::Have { generation, fragments: Bitmap::first(3) }
}

fn asked(stage: &Stage, peer: u32) -> usize {
    stage.told(peer).iter().filter(|control| matches!(control, Control::Want { .. })).count()
}

#[test]
fn who_tells_of_a_message_and_then_that_it_is_gone_is_not_asked_for_it_again() {
    let mut stage = Stage::new(adaptive(), &[1]);
    stage.control(1, &[rumour(7)]);
    stage.wait(SECOND / 2);
    let before = asked(&stage, 1);
    assert!(before > 0);
    stage.control(1, &[Control::Gone(gossip::HeaderHash([7; 32]))]);
    stage.wait(5 * SECOND);
    assert_eq!(asked(&stage, 1), before);
}

#[test]
fn who_tells_of_many_messages_that_there_are_not_is_asked_for_few_of_them_at_a_time() {
    let mut stage = Stage::new(adaptive(), &[1]);
    let rumours: Vec<Control> = (0..250).map(rumour).collect();
    stage.control(1, &rumours);
    stage.wait(10 * SECOND);
    let asked = asked(&stage, 1);
    assert!((100..1500).contains(&asked), "it was asked {asked} times in ten seconds");
}

#[test]
fn who_comes_as_a_data_peer_and_goes_all_the_time_has_others_told_once_of_it() {
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    stage.wait(2 * SECOND);
    let feeds = |stage: &Stage| {
        stage.told(2).iter().filter(|control| matches!(control, Control::Feed { .. })).count()
    };
    let before = feeds(&stage);
    let topic = topic("t");
    let prune = Control::DataPrune { topic: topic.clone(), backoff: SECOND };
    let flood = (0..100).flat_map(|_| [prune.clone(), Control::DataGraft(topic.clone())]);
    let flood: Vec<Control> = flood.collect();
    (0..20).for_each(|_| stage.control(1, &flood));
    stage.wait(2 * SECOND);
    assert!(feeds(&stage) <= before + 1);
}

#[test]
fn who_is_told_how_to_feed_has_been_told_before_that_it_is_a_data_peer() {
    let mut stage = Stage::new(adaptive(), &[1, 2, 3]);
    stage.wait(2 * SECOND);
    for peer in 1..=3 {
        let told = stage.told(peer);
        let place = |wanted: fn(&Control) -> bool| told.iter().position(wanted);
        let graft = place(|control| matches!(control, Control::DataGraft(_)));
        let feed = place(|control| matches!(control, Control::Feed { .. }));
        assert!(graft.is_some() && graft < feed, "peer {peer} was told {told:?}");
    }
}

#[test]
fn a_message_that_a_liar_sent_false_is_asked_of_who_is_known_to_hold_it() {
    let cut = Cut::new(500, 1);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    let mut frame = cut.frame(0);
    if let Some(fragment) = &mut frame.fragment {
        fragment.bytes = payload(9, 500);
    }
    let have = Control::Have { generation: cut.generation(), fragments: Bitmap::first(1) };
    stage.control(1, &[have]);
    let before = asked(&stage, 1);
    stage.data(2, frame);
    stage.wait(SECOND);
    assert!(asked(&stage, 1) > before);
}

#[test]
fn a_message_is_kept_while_somebody_asks_for_what_it_lacks_of_it() {
    let cut = Cut::new(8_000, 8);
    let mut stage = Stage::new(adaptive(), &[1, 2]);
    take_all(&mut stage, &cut);
    for index in 0..8 {
        stage.wait(3 * SECOND);
        stage.acknowledge_all(2);
        let fragments = [index].into_iter().collect();
        stage.control(2, &[Control::Want { generation: cut.generation(), fragments }]);
        assert_eq!(sent_to(&stage, 2), usize::from(index) + 1);
    }
    stage.wait(6 * SECOND);
    assert_eq!(stage.state.view().retained_messages().count(), 0, "then it goes");
}

#[test]
fn a_message_that_waits_for_room_at_who_holds_it_is_asked_for_when_there_is_some() {
    let cuts = [Cut::by(1, 8_000, 8), Cut::by(2, 8_000, 8), Cut::by(3, 8_000, 8)];
    let mut stage = Stage::new(adaptive(), &[1]);
    for cut in &cuts {
        stage.data(1, cut.frame(0));
        let have = Control::Have { generation: cut.generation(), fragments: Bitmap::first(8) };
        stage.control(1, &[have]);
    }
    let mut answered = 0;
    for _ in 0..40 {
        stage.wait(SECOND / 20);
        let told = stage.told(1);
        for control in &told[answered..] {
            let Control::Want { generation, fragments } = control else { continue };
            let cut = cuts.iter().find(|cut| cut.generation() == *generation);
            let cut = cut.expect("what was told of is asked for");
            fragments.iter().for_each(|index| stage.data(1, cut.frame(index)));
        }
        answered = told.len();
    }
    assert_eq!(stage.deliveries.len(), 3);
}
