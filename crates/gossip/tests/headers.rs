//! Bad input, one shard and one header at a time: what a hostile or broken peer can send.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use gossip::{
    Config, Fault, Input, message_id,
    wire::{Control, DataFrame, Piece, RefuseReason, ShardStart},
};
use harness::{
    documented, payload,
    puppet::{Crafted, Stage},
    topic,
};

const SECOND: Duration = Duration::from_secs(1);

fn stage() -> Stage {
    Stage::new(documented(), &[1, 2])
}

fn refusals(stage: &Stage, peer: u32) -> Vec<RefuseReason> {
    let refusals = stage.told(peer).into_iter().filter_map(|entry| {
        if let Control::Refuse { reason, .. } = entry { Some(reason) } else { None }
    });
    refusals.collect()
}

fn send_all(stage: &mut Stage, from: u32, message: &Crafted) {
    for index in 0..4 {
        stage.data(from, message.frame(index));
    }
}

#[test]
fn a_message_made_by_hand_is_delivered() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4001));
    send_all(&mut stage, 1, &message);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.deliveries[0].payload, payload(1, 4001));
    assert_eq!(stage.deliveries[0].received_from, Some(1));
    assert_eq!(stage.faults, []);
}

#[test]
fn a_shard_of_a_wrong_length_convicts_its_sender() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut frame = message.frame(0);
    frame.piece.as_mut().expect("a piece").bytes = payload(1, 1001);
    stage.data(1, frame);
    assert!(matches!(stage.faults[..], [(1, Fault::BadShard { .. })]), "{:?}", stage.faults);
}

#[test]
fn a_coefficient_vector_of_a_wrong_length_convicts_its_sender() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut frame = message.frame(0);
    let start = frame.piece.as_mut().and_then(|piece| piece.start.as_mut()).expect("a start");
    start.coefficients = Bytes::from_static(&[1, 0, 0]);
    stage.data(1, frame);
    assert!(matches!(stage.faults[..], [(1, Fault::BadShard { .. })]), "{:?}", stage.faults);
}

#[test]
fn a_zero_coefficient_vector_convicts_its_sender() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    stage.data(1, message.frame_of(&[0, 0, 0, 0]));
    assert!(matches!(stage.faults[..], [(1, Fault::BadShard { .. })]), "{:?}", stage.faults);
}

#[test]
fn a_piece_that_continues_nothing_convicts_its_sender() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    stage.data(1, message.frame(0));
    let piece =
        Piece { generation: message.generation(), offset: 10, start: None, bytes: payload(1, 10) };
    stage.data(1, DataFrame { piece: Some(piece), ..DataFrame::default() });
    assert!(matches!(stage.faults[..], [(1, Fault::BadShard { .. })]), "{:?}", stage.faults);
}

#[test]
fn a_generation_that_the_message_has_not_convicts_its_sender() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut frame = message.frame(0);
    frame.piece.as_mut().expect("a piece").generation.index = 1;
    stage.data(1, frame);
    assert!(matches!(stage.faults[..], [(1, Fault::BadShard { .. })]), "{:?}", stage.faults);
}

#[test]
fn a_shard_of_a_finished_message_is_counted_and_no_fault() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    send_all(&mut stage, 1, &message);
    stage.data(1, message.frame(2));
    stage.data(2, message.frame(3));
    assert_eq!(stage.state.stats().shards_unnecessary, 2);
    stage.wait(20 * SECOND);
    assert_eq!(stage.state.view().retained_messages().count(), 0);
    stage.data(1, message.bare_frame(2));
    assert_eq!(stage.state.stats().shards_unnecessary, 3);
    assert_eq!((stage.deliveries.len(), stage.faults.len()), (1, 0));
}

#[test]
fn a_shard_without_header_is_dropped_and_asked_for_again_with_its_header() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    stage.data(1, message.bare_frame(0));
    assert_eq!(stage.state.stats().shards_without_header, 1);
    assert_eq!(refusals(&stage, 1), [RefuseReason::NoHeader]);
    assert_eq!(stage.state.view().open_messages().count(), 0);
    assert_eq!(stage.faults, []);
    send_all(&mut stage, 1, &message);
    assert_eq!(stage.deliveries.len(), 1);
}

#[test]
fn a_flood_of_shards_without_header_ends_the_connection() {
    let mut stage = stage();
    for sequence in 0..65 {
        let message = Crafted::new(9, sequence, payload(sequence, 40));
        stage.data(1, message.bare_frame(0));
    }
    assert!(matches!(stage.faults[..], [(1, Fault::UnknownHeader { .. })]), "{:?}", stage.faults);
    let message = Crafted::new(9, 500, payload(500, 4000));
    send_all(&mut stage, 2, &message);
    assert_eq!(stage.deliveries.len(), 1, "peer 2 is not harmed");
}

#[test]
fn a_header_with_a_wrong_signature_convicts_its_sender_and_opens_nothing() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut frame = message.frame(0);
    frame.header.as_mut().expect("a header").signature = payload(1, 32);
    stage.data(1, frame);
    assert!(matches!(stage.faults[..], [(1, Fault::BadSignature { .. })]), "{:?}", stage.faults);
    assert_eq!(stage.state.view().open_messages().count(), 0);
    send_all(&mut stage, 2, &message);
    assert_eq!(stage.deliveries.len(), 1, "the right header is welcome");
}

#[test]
fn a_replayed_header_is_refused_when_the_message_is_long_gone() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    send_all(&mut stage, 1, &message);
    stage.wait(100 * SECOND);
    let newer = Crafted::new(9, 6, payload(2, 4000));
    send_all(&mut stage, 1, &newer);
    // Both the seen-cache and the memory of retired headers have forgotten the first by now; the
    // publisher's window has not, since the publisher is not idle.
    stage.wait(30 * SECOND);
    stage.data(2, message.frame(0));
    assert_eq!(refusals(&stage, 2), [RefuseReason::Replayed]);
    assert_eq!(stage.state.stats().headers_replayed, 1);
    assert_eq!((stage.deliveries.len(), stage.faults.len()), (2, 0));
}

#[test]
fn two_headers_under_one_sequence_number_stop_both_and_bar_the_publisher() {
    let mut stage = stage();
    let one = Crafted::new(9, 5, payload(1, 4000));
    let other = Crafted::new(9, 5, payload(2, 4000));
    stage.data(1, one.frame(0));
    stage.data(2, other.frame(0));
    assert_eq!(stage.state.view().open_messages().count(), 0);
    assert_eq!(refusals(&stage, 1), [RefuseReason::Barred]);
    assert_eq!(refusals(&stage, 2), [RefuseReason::Barred]);
    assert_eq!(stage.state.stats().publishers_barred, 1);
    let later = Crafted::new(9, 6, payload(3, 4000));
    stage.data(2, later.frame(0));
    assert_eq!(refusals(&stage, 2).last(), Some(&RefuseReason::Barred));
    stage.wait(601 * SECOND);
    let much_later = Crafted::new(9, 7, payload(4, 4000));
    send_all(&mut stage, 2, &much_later);
    assert_eq!(stage.deliveries.len(), 1, "after ten minutes it may publish again");
}

#[test]
fn a_header_that_claims_another_messages_id_cannot_censor_it() {
    let mut stage = stage();
    let honest = Crafted::new(9, 5, payload(1, 4000));
    let mut liar = Crafted::new(8, 1, payload(2, 4000));
    liar.header.message = honest.header.message;
    for _ in 0..3 {
        send_all(&mut stage, 1, &liar);
    }
    assert_eq!(stage.state.stats().decodes_failed, 3);
    assert_eq!(stage.state.stats().messages_rejected, 1);
    assert_eq!(stage.deliveries, []);
    assert_eq!(refusals(&stage, 1), [RefuseReason::Polluted]);
    send_all(&mut stage, 2, &honest);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(message_id(&stage.deliveries[0].payload), honest.header.message);
}

#[test]
fn an_honest_header_delivers_while_liars_about_its_id_are_open() {
    let mut stage = stage();
    let honest = Crafted::new(9, 5, payload(1, 4000));
    for name in 20..23 {
        let mut liar = Crafted::new(name, 1, payload(u64::from(name), 4000));
        liar.header.message = honest.header.message;
        stage.data(1, liar.frame(0));
    }
    send_all(&mut stage, 2, &honest);
    assert_eq!(stage.deliveries.len(), 1);
    assert_eq!(stage.state.view().open_messages().count(), 0, "the liars are dropped");
    assert_eq!(refusals(&stage, 1), [RefuseReason::Seen; 3]);
}

#[test]
fn a_fifth_header_for_one_message_id_is_refused_for_now() {
    let mut stage = stage();
    let honest = Crafted::new(9, 5, payload(1, 4000));
    for name in 20..25 {
        let mut liar = Crafted::new(name, 1, payload(u64::from(name), 4000));
        liar.header.message = honest.header.message;
        stage.data(1, liar.frame(0));
    }
    assert_eq!(stage.state.view().open_messages().count(), 4);
    assert_eq!(refusals(&stage, 1), [RefuseReason::TooManyClaims]);
}

#[test]
fn one_polluted_shard_delays_a_message_and_does_not_end_it() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let mut polluted = message.frame(0);
    polluted.piece.as_mut().expect("a piece").bytes = payload(66, 1000);
    stage.data(1, polluted);
    for index in 1..4 {
        stage.data(1, message.frame(index));
    }
    assert_eq!(stage.state.stats().decodes_failed, 1);
    assert_eq!(stage.deliveries, []);
    send_all(&mut stage, 2, &message);
    assert_eq!(stage.deliveries.len(), 1);
}

#[test]
fn headers_that_do_not_fit_this_node_are_refused_with_the_reason() {
    let config = Config { message_bytes_max: 5000, ..documented() };
    let mut stage = Stage::new(config, &[1]);
    let mut foreign = Crafted::new(9, 1, payload(1, 400));
    foreign.header.cluster = Bytes::from_static(b"another");
    let unknown = Crafted::new(9, 2, payload(2, 400)).on(topic("unknown"));
    let large = Crafted::new(9, 3, payload(3, 5001));
    let mut odd = Crafted::new(9, 4, payload(4, 400));
    odd.header.fragment_bytes = 200;
    for message in [&foreign, &unknown, &large, &odd] {
        stage.data(1, message.frame(0));
    }
    let expected = [
        RefuseReason::OtherCluster,
        RefuseReason::NotSubscribed,
        RefuseReason::TooLarge,
        RefuseReason::Shape,
    ];
    assert_eq!(refusals(&stage, 1), expected);
    assert_eq!(stage.state.view().open_messages().count(), 0);
    stage.data(1, foreign.bare_frame(1));
    assert_eq!(stage.state.stats().shards_refused, 5, "a shard on the way is no fault");
    assert_eq!(stage.faults, []);
}

#[test]
fn frames_that_do_not_decode_end_the_connection() {
    for frame in [&[][..], &[0], &[0xff; 40]] {
        let mut stage = stage();
        stage.input(Input::Data(1, Bytes::copy_from_slice(frame)));
        assert!(matches!(stage.faults[..], [(1, Fault::Malformed(_))]), "data {frame:?}");
        let mut stage = self::stage();
        stage.input(Input::Control(2, Bytes::copy_from_slice(frame)));
        assert!(matches!(stage.faults[..], [(2, Fault::Malformed(_))]), "control {frame:?}");
    }
}

#[test]
fn a_shard_in_pieces_that_restarts_counts_from_its_new_start() {
    let mut stage = stage();
    let message = Crafted::new(9, 5, payload(1, 4000));
    let whole = message.frame(0).piece.expect("a piece");
    let first = |bytes: Bytes, start: &ShardStart| Piece {
        generation: message.generation(),
        offset: 0,
        start: Some(start.clone()),
        bytes,
    };
    let start = whole.start.clone().expect("a start");
    let begun = first(whole.bytes.slice(..300), &start);
    let header = Some(message.signed());
    stage.data(1, DataFrame { header, piece: Some(begun.clone()), ..DataFrame::default() });
    stage.data(1, DataFrame { piece: Some(begun), ..DataFrame::default() });
    let rest = Piece {
        generation: message.generation(),
        offset: 300,
        start: None,
        bytes: whole.bytes.slice(300..),
    };
    stage.data(1, DataFrame { piece: Some(rest), ..DataFrame::default() });
    assert_eq!(stage.state.stats().shards_innovative, 1);
    for index in 1..4 {
        stage.data(2, message.frame(index));
    }
    assert_eq!(stage.deliveries.len(), 1);
}
