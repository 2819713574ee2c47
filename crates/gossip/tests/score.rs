//! What a peer did is remembered, and decides whom a node has in its meshes.

mod harness;

use std::time::Duration;

use gossip::{
    Config, Direction, Fault, GenerationId, HeaderHash, Input, PeerView,
    wire::{Control, RefuseReason},
};
use harness::{
    documented, payload,
    puppet::{Crafted, Stage},
    topic,
};

const SECOND: Duration = Duration::from_secs(1);

/// What a node knows of a peer.
fn peer_of(stage: &Stage, peer: u32) -> PeerView<u32> {
    let view = stage.state.view();
    let found = view.peers().find(|view| view.peer == peer);
    found.expect("connected")
}

fn score(stage: &Stage, peer: u32) -> f64 {
    peer_of(stage, peer).score
}

fn is_graylisted(stage: &Stage, peer: u32) -> bool {
    peer_of(stage, peer).graylisted
}

/// A header whose signature is wrong.
fn forged() -> gossip::wire::DataFrame {
    let mut frame = Crafted::new(9, 1, payload(1, 4000)).frame(0);
    let signed = frame.header.as_mut().expect("a header");
    signed.header.sequence += 1;
    frame
}

#[test]
fn a_peer_that_brings_innovative_shards_scores_above_a_stranger() {
    let mut stage = Stage::new(documented(), &[1, 2]);
    for sequence in 0..20 {
        let message = Crafted::new(9, sequence, payload(sequence, 4000));
        (0..4).for_each(|index| stage.data(1, message.frame(index)));
    }
    assert!(score(&stage, 1) > 0.5);
    assert!(score(&stage, 2).abs() < 1e-9);
}

#[test]
fn a_convicted_peer_that_comes_again_is_in_no_mesh_and_brings_no_message() {
    let mut stage = Stage::new(documented(), &[1]);
    stage.data(1, forged());
    assert!(matches!(stage.faults[..], [(1, Fault::BadSignature { .. })]), "{:?}", stage.faults);
    stage.wait(700 * SECOND);
    stage.connect(1);
    assert!(is_graylisted(&stage, 1));
    stage.control(1, &[Control::Graft(topic("t"))]);
    assert!(matches!(stage.told(1).last(), Some(Control::Prune { .. })), "{:?}", stage.told(1));
    stage.data(1, Crafted::new(9, 1, payload(1, 4000)).frame(0));
    let refused = stage.told(1).pop();
    assert!(matches!(refused, Some(Control::Refuse { reason: RefuseReason::Busy, .. })));
    stage.wait(5 * SECOND);
    assert_eq!(stage.state.view().mesh(&topic("t")).count(), 0);
    let stats = stage.state.stats();
    assert_eq!(
        (stats.peers_graylisted, stats.grafts_graylisted, stats.headers_graylisted),
        (1, 1, 1)
    );
}

#[test]
fn demerits_fade_while_a_peer_behaves() {
    let mut stage = Stage::new(documented(), &[1]);
    stage.data(1, forged());
    stage.wait(3600 * SECOND);
    stage.connect(1);
    assert!(!is_graylisted(&stage, 1));
    stage.data(1, Crafted::new(9, 1, payload(1, 4000)).frame(0));
    assert_eq!(stage.state.stats().headers_accepted, 1);
}

#[test]
fn a_peer_that_asks_far_beyond_its_allowance_is_graylisted_and_leaves_the_mesh() {
    let mut config = Config::default();
    config.limits.pulls_per_heartbeat_max = 5;
    let mut stage = Stage::new(config, &[1, 2]);
    assert_eq!(stage.state.view().mesh(&topic("t")).count(), 2);
    let generation = GenerationId { header: HeaderHash([1; 32]), index: 0 };
    for _ in 0..200 {
        stage.control(1, &[Control::IWant { generation, shards: 1 }]);
    }
    stage.wait(SECOND);
    assert!(is_graylisted(&stage, 1));
    assert_eq!(stage.state.view().mesh(&topic("t")).collect::<Vec<_>>(), [2]);
    assert_eq!(stage.faults, [], "it is not cut off for that");
}

#[test]
fn strangers_who_fill_a_mesh_leave_room_for_peers_that_this_node_chose() {
    let strangers: Vec<u32> = (1..=12).collect();
    let mut stage = Stage::new(Config::default(), &strangers);
    for &peer in &strangers {
        stage.control(peer, &[Control::Graft(topic("t"))]);
    }
    for peer in [21, 22] {
        stage.input(Input::Connected(peer, Direction::Outbound));
        stage.control(peer, &[Control::Hello, Control::Subscribe(topic("t"))]);
    }
    stage.wait(5 * SECOND);
    let mesh: Vec<u32> = stage.state.view().mesh(&topic("t")).collect();
    assert!(mesh.contains(&21) && mesh.contains(&22), "{mesh:?}");
    assert!(mesh.len() <= 12);
}

#[test]
fn a_mesh_of_useless_members_takes_in_peers_that_bring_shards() {
    let mut stage = Stage::new(documented(), &[1, 2, 3, 4, 5, 6]);
    stage.wait(SECOND);
    stage.connect(7);
    for sequence in 0..40 {
        let message = Crafted::new(9, sequence, payload(sequence, 4000));
        (0..4).for_each(|index| stage.data(7, message.frame(index)));
    }
    assert!(stage.state.view().mesh(&topic("t")).all(|peer| peer != 7));
    stage.wait(61 * SECOND);
    assert!(stage.state.view().mesh(&topic("t")).any(|peer| peer == 7));
    assert_eq!(stage.state.stats().opportunistic_grafts, 1);
}
