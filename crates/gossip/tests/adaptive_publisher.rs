//! A publisher of profile `adaptive` and peers that are moved by hand: whom it serves, and what it
//! does for a message that others do not pass on.

mod harness;

use std::time::Duration;

use gossip::{
    Input, Publish,
    wire::{Bitmap, Control, Fragment},
};
use harness::{adaptive, payload, puppet::Stage, topic};

const SECOND: Duration = Duration::from_secs(1);

fn publish(stage: &mut Stage, bytes: usize) {
    let (topic, payload) = (topic("t"), payload(4, bytes));
    stage.input(Input::Publish(Publish { ticket: 1, topic, payload, published_unix_ns: 1 }));
}

#[test]
fn a_publisher_serves_who_asks_twice_even_what_others_say_that_they_hold() {
    let mut stage = Stage::new(adaptive(), &[1, 2, 3]);
    stage.wait(2 * SECOND);
    publish(&mut stage, 20_000);
    stage.wait(SECOND / 10);
    let generation = stage
        .data
        .iter()
        .find_map(|(_, frame)| Some(frame.fragment.as_ref()?.generation))
        .expect("it leaves");
    // One takes all, and two say that they hold it and give nothing.
    let all = Bitmap::first(20);
    for peer in [2, 3, 3] {
        (1..=3).for_each(|peer| stage.acknowledge_all(peer));
        stage.control(peer, &[Control::Want { generation, fragments: all }]);
        stage.wait(SECOND / 10);
        stage.control(1, &[Control::Have { generation, fragments: all }]);
        stage.control(2, &[Control::Have { generation, fragments: all }]);
    }
    let got: std::collections::BTreeSet<u16> = stage
        .data
        .iter()
        .filter(|(peer, _)| *peer == 3)
        .filter_map(|(_, frame)| Some(frame.fragment.as_ref()?.index))
        .collect();
    assert_eq!(got.len(), 20);
}

#[test]
fn what_nobody_passed_on_leaves_again_to_those_who_passed_on_what_they_got() {
    let mut stage = Stage::new(adaptive(), &[1, 2, 3, 4, 5, 6]);
    stage.wait(2 * SECOND);
    publish(&mut stage, 200_000);
    for _ in 0..5 {
        stage.wait(SECOND / 100);
        (1..=6).for_each(|peer| stage.acknowledge_all(peer));
    }
    let sent: Vec<(u32, Fragment)> = stage
        .data
        .iter()
        .filter_map(|(peer, frame)| Some((*peer, frame.fragment.clone()?)))
        .collect();
    assert_eq!(sent.len(), 64, "each fragment leaves once");
    let mut got: Vec<u32> = sent.iter().map(|&(peer, _)| peer).collect();
    got.dedup();
    assert!(got.len() > 2, "to several: {got:?}");
    let kept = |peer: u32| got[..2].contains(&peer);
    let lost: Vec<u16> =
        sent.iter().filter(|(peer, _)| kept(*peer)).map(|(_, fragment)| fragment.index).collect();
    assert!(!lost.is_empty() && lost.len() < 64);
    let fragments: Bitmap = (0..64).filter(|index| !lost.contains(index)).collect();
    let generation = sent[0].1.generation;
    for peer in (1..=6).filter(|&peer| !kept(peer)) {
        stage.control(peer, &[Control::Have { generation, fragments }]);
    }
    stage.wait(SECOND / 2);
    let again: Vec<(u32, u16)> = stage.data[sent.len()..]
        .iter()
        .filter_map(|(peer, frame)| Some((*peer, frame.fragment.as_ref()?.index)))
        .collect();
    for index in lost {
        assert!(again.iter().any(|&(_, other)| other == index), "fragment {index} leaves again");
    }
    assert!(again.iter().all(|&(peer, _)| !kept(peer)), "who keeps all gets no more: {again:?}");
}
