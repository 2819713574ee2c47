//! Links by hand: a node that sends what it is told.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::*;
use crate::{
    protocol::{Direction, Event, Lane, Outgoing, Received},
    topology::{Latency, NodeSpec},
};

/// What came: when, where, from whom, how much.
type Log = Rc<RefCell<Vec<(Instant, NodeId, NodeId, u32)>>>;

/// Sends frames of given lengths as soon as it is connected.
struct Sender {
    name: NodeId,
    script: VecDeque<(NodeId, Lane, u32)>,
    events: VecDeque<Event>,
    log: Log,
    asked: u32,
}

impl Protocol for Sender {
    type Frame = u32;

    fn on_connected(&mut self, _: Instant, peer: NodeId, _: Direction) {
        self.events.push_back(Event::Ready(peer, Lane::Data));
        self.events.push_back(Event::Ready(peer, Lane::Control));
    }

    fn on_disconnected(&mut self, _: Instant, _: NodeId) {}

    fn on_frame(&mut self, now: Instant, peer: NodeId, _: Lane, frame: u32) {
        self.log.borrow_mut().push((now, self.name, peer, frame));
    }

    fn publish(&mut self, _: Instant, _: Bytes) {}

    fn on_work_done(&mut self, now: Instant, id: u64) {
        self.log.borrow_mut().push((now, self.name, self.name, id as u32));
    }

    fn next_frame(&mut self, _: Instant, peer: NodeId, lane: Lane) -> Option<Outgoing<u32>> {
        let place = self.script.iter().position(|&(to, of, _)| to == peer && of == lane)?;
        let (.., bytes) = self.script.remove(place)?;
        self.asked += 1;
        Some(Outgoing { frame: bytes, bytes, payload_bytes: bytes })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn received(&self) -> Received {
        Received::default()
    }

    fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}

/// Megabyte per second per node, so that 1000 bytes take a millisecond; 10 ms apart.
fn line(
    nodes: usize,
    model: LinkModel,
    script: &[(NodeId, NodeId, Lane, u32)],
) -> (Network<Sender>, Log) {
    let spec = NodeSpec { up_bps: 8_000_000, down_bps: 8_000_000 };
    line_of(vec![spec; nodes], model, script, 1)
}

fn line_of(
    nodes: Vec<NodeSpec>,
    model: LinkModel,
    script: &[(NodeId, NodeId, Lane, u32)],
    seed: u64,
) -> (Network<Sender>, Log) {
    let count = nodes.len() as NodeId;
    let topology = Topology {
        name: String::new(),
        nodes,
        latency: Latency::Uniform(Duration::from_millis(10)),
        dials: (0..count).flat_map(|a| (0..a).map(move |b| (a, b))).collect(),
    };
    let log = Log::default();
    let script = script.to_vec();
    let kept = Rc::clone(&log);
    let make = move |name, _, _| Sender {
        name,
        script: script
            .iter()
            .filter(|(from, ..)| *from == name)
            .map(|&(_, to, lane, bytes)| (to, lane, bytes))
            .collect(),
        events: VecDeque::new(),
        log: Rc::clone(&kept),
        asked: 0,
    };
    let mut network = Network::new(Arc::new(topology), model, seed, Box::new(make));
    network.start_all(Duration::ZERO);
    (network, log)
}

/// Returns what came in milliseconds: when, where, from whom, how much.
fn arrivals(network: &Network<Sender>, log: &Log) -> Vec<(f64, NodeId, NodeId, u32)> {
    let ms = |at: Instant| (at - network.begin).as_nanos() as f64 / 1e6;
    log.borrow().iter().map(|&(at, to, from, bytes)| (ms(at), to, from, bytes)).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_frame_takes_its_length_over_the_rate_the_latency_and_one_packet_more() {
    let (mut network, log) = line(2, LinkModel::plain(), &[(0, 1, Lane::Data, 10_000)]);
    network.run_until(SECOND);
    // 10 ms to send, 10 ms on the way, 1.5 ms for the last packet.
    assert_eq!(arrivals(&network, &log), [(21.5, 1, 0, 10_000)]);
}

#[test]
fn an_uplink_serves_connections_in_turns_one_frame_each() {
    let script = [1, 1, 1, 2, 2, 2].map(|to| (0, to, Lane::Data, 2_000));
    let (mut network, log) = line(3, LinkModel::plain(), &script);
    network.run_until(SECOND);
    let order: Vec<NodeId> = arrivals(&network, &log).iter().map(|&(_, to, ..)| to).collect();
    assert_eq!(order, [1, 2, 1, 2, 1, 2]);
}

#[test]
fn a_long_frame_is_served_in_slices_so_that_others_have_their_turn() {
    let script = [(0, 1, Lane::Data, 100 << 10), (0, 2, Lane::Data, 1_000)];
    let (mut network, log) = line(3, LinkModel::plain(), &script);
    network.run_until(SECOND);
    let come = arrivals(&network, &log);
    assert_eq!((come[0].1, come[1].1), (2, 1));
    let whole = f64::from(100 << 10) / 1000.0 + 1.0 + 10.0 + 1.5;
    assert!((come[1].0 - whole).abs() < 1e-3, "{come:?}");
}

#[test]
fn control_leaves_before_data_that_has_not_begun() {
    let script = [(0, 1, Lane::Data, 4_000), (0, 1, Lane::Data, 4_001), (0, 1, Lane::Control, 100)];
    let (mut network, log) = line(2, LinkModel::plain(), &script);
    network.run_until(SECOND);
    let order: Vec<u32> = arrivals(&network, &log).iter().map(|&(.., bytes)| bytes).collect();
    assert_eq!(order, [100, 4_000, 4_001]);
}

#[test]
fn a_writer_holds_two_data_frames_and_no_more() {
    let script: Vec<_> = (0..10).map(|_| (0, 1, Lane::Data, 10_000)).collect();
    let (mut network, _) = line(2, LinkModel::plain(), &script);
    network.run_until(Duration::from_millis(1));
    assert_eq!(network.protocol(0).map(|node| node.asked), Some(2));
    network.run_until(Duration::from_millis(15));
    assert_eq!(network.protocol(0).map(|node| node.asked), Some(3));
    let unbounded = LinkModel { queue_bytes: None, ..LinkModel::plain() };
    let (mut network, _) = line(2, unbounded, &script);
    network.run_until(Duration::from_millis(1));
    assert_eq!(network.protocol(0).map(|node| node.asked), Some(10));
}

#[test]
fn senders_share_the_downlink_of_one_receiver() {
    let script: Vec<_> = (1..=4).map(|from| (from, 0, Lane::Data, 20_000)).collect();
    let (mut network, log) = line(5, LinkModel::plain(), &script);
    network.run_until(SECOND);
    let last = arrivals(&network, &log).last().map(|&(at, ..)| at);
    assert_eq!(last, Some(10.0 + 4.0 * 20.0));
}

#[test]
fn a_fast_receiver_takes_many_slow_senders_at_once() {
    let mut nodes = vec![NodeSpec { up_bps: 8_000_000, down_bps: 8_000_000 }; 5];
    nodes[0].down_bps = 80_000_000;
    let script: Vec<_> = (1..=4).map(|from| (from, 0, Lane::Data, 20_000)).collect();
    let (mut network, log) = line_of(nodes, LinkModel::plain(), &script, 1);
    network.run_until(SECOND);
    assert!(arrivals(&network, &log).iter().all(|&(at, ..)| (at - 30.15).abs() < 1e-6));
}

#[test]
fn slow_start_makes_a_cold_connection_wait_for_acknowledgements() {
    let model = LinkModel { slow_start: Some(SlowStart::default()), ..LinkModel::plain() };
    let mut nodes = vec![NodeSpec::symmetric(1000); 2];
    nodes[0].up_bps = 1_000_000_000;
    let script: Vec<_> = (0..8).map(|_| (0, 1, Lane::Data, 14_600)).collect();
    let (mut network, log) = line_of(nodes, model, &script, 1);
    network.run_until(SECOND);
    let rounds: Vec<u32> =
        arrivals(&network, &log).iter().map(|&(at, ..)| ((at - 10.0) / 20.0) as u32).collect();
    assert_eq!(rounds, [0, 1, 1, 2, 2, 2, 2, 3]);
}

#[test]
fn a_loss_delays_what_follows_on_its_connection_and_nothing_else() {
    let loss = Some(Loss { share: 0.2, congestion_control: false });
    let model = LinkModel { loss, ..LinkModel::plain() };
    let script: Vec<_> = (0..200).map(|place| (0, 1 + place % 2, Lane::Data, 1_000)).collect();
    let (mut network, log) = line(3, model, &script);
    network.run_until(10 * SECOND);
    let come = arrivals(&network, &log);
    assert_eq!(come.len(), 200);
    for receiver in [1, 2] {
        let times: Vec<f64> =
            come.iter().filter(|(_, to, ..)| *to == receiver).map(|&(at, ..)| at).collect();
        let late = times.windows(2).filter(|pair| pair[1] - pair[0] > 15.0).count();
        assert!((5..40).contains(&late), "{late} gaps of a round trip among 100 frames");
    }
}

#[test]
fn congestion_control_makes_losses_cost_rate_and_not_only_delay() {
    let script: Vec<_> = (0..300).map(|_| (0, 1, Lane::Data, 14_600)).collect();
    let end = |congestion_control| {
        let loss = Some(Loss { share: 0.01, congestion_control });
        let slow_start = Some(SlowStart::default());
        let model = LinkModel { slow_start, loss, ..LinkModel::plain() };
        let (mut network, log) = line_of(vec![NodeSpec::symmetric(100); 2], model, &script, 1);
        network.run_until(100 * SECOND);
        assert_eq!(log.borrow().len(), 300);
        arrivals(&network, &log).last().map_or(0.0, |&(at, ..)| at)
    };
    let (delay_only, limited) = (end(false), end(true));
    assert!(limited > 1.5 * delay_only, "{delay_only} {limited}");
}

#[test]
fn jitter_never_reorders_a_connection() {
    let model = LinkModel { jitter: 0.5, ..LinkModel::plain() };
    let script: Vec<_> = (0..100).map(|place| (0, 1, Lane::Data, 100 + place)).collect();
    let (mut network, log) = line(2, model, &script);
    network.run_until(SECOND);
    let order: Vec<u32> = arrivals(&network, &log).iter().map(|&(.., bytes)| bytes).collect();
    assert_eq!(order, (100..200).collect::<Vec<u32>>());
}

#[test]
fn where_only_payload_costs_a_chunk_takes_a_round_and_the_latency() {
    let script: Vec<_> = (0..3).map(|_| (0, 1, Lane::Data, 10_000)).collect();
    let (mut network, log) = line(2, LinkModel::rounds(), &script);
    network.run_until(SECOND);
    let times: Vec<f64> = arrivals(&network, &log).iter().map(|&(at, ..)| at).collect();
    assert_eq!(times, [20.0, 30.0, 40.0]);
}

#[test]
fn what_is_on_the_way_when_a_connection_closes_never_arrives() {
    let script: Vec<_> = (0..10).map(|_| (0, 1, Lane::Data, 10_000)).collect();
    let (mut network, log) = line(2, LinkModel::plain(), &script);
    network.at(Duration::from_millis(45), Action::Cut(0, 1));
    network.run_until(SECOND);
    assert_eq!(log.borrow().len(), 3);
    assert_eq!(network.usage(0).data_sent, 50_000);
    assert_eq!(network.usage(1).data_received, 30_000);
    network.at(SECOND, Action::Connect(0, 1));
    network.run_until(2 * SECOND);
    assert_eq!(network.usage(1).data_received, 10_000 * (log.borrow().len() as u64));
    assert!(log.borrow().len() > 3, "what the node had not given out goes on the new connection");
}

#[test]
fn a_crashed_node_comes_back_with_nothing_and_is_connected_again() {
    let (mut network, log) = line(2, LinkModel::plain(), &[(0, 1, Lane::Data, 1_000)]);
    network.at(Duration::from_millis(100), Action::Crash(0));
    network.at(Duration::from_millis(200), Action::Start(0));
    network.run_until(SECOND);
    assert_eq!(network.starts(0), 2);
    assert_eq!(log.borrow().len(), 2, "each life sent its frame");
    assert_eq!(network.connections().count(), 1);
}

#[test]
fn a_split_network_is_whole_again_when_it_is_healed() {
    let (mut network, _) = line(4, LinkModel::plain(), &[]);
    network.at(Duration::from_millis(10), Action::Split(vec![true, true, false, false]));
    network.run_until(Duration::from_millis(20));
    assert_eq!(network.connections().collect::<Vec<_>>().len(), 2);
    network.at(Duration::from_millis(30), Action::Connect(0, 2));
    network.run_until(Duration::from_millis(40));
    assert_eq!(network.connections().count(), 2, "nothing connects across the split");
    network.at(Duration::from_millis(50), Action::Heal);
    network.run_until(SECOND);
    assert_eq!(network.connections().count(), 6);
}

#[test]
fn a_dropper_sends_control_and_no_data() {
    let script = [(0, 1, Lane::Data, 1_000), (0, 1, Lane::Control, 100)];
    let (mut network, log) = line(2, LinkModel::plain(), &script);
    network.at(Duration::ZERO, Action::Drop(0));
    network.run_until(SECOND);
    // Started first, it had given its first frame to the writer by then, or not at all.
    let kinds: Vec<u32> = arrivals(&network, &log).iter().map(|&(.., bytes)| bytes).collect();
    assert!(kinds.contains(&100));
    assert!(network.protocol(0).is_some_and(|node| node.asked <= 2));
}

#[test]
fn work_of_one_node_is_done_one_after_the_other() {
    let (mut network, log) = line(2, LinkModel::plain(), &[]);
    network.run_until(Duration::from_millis(1));
    for id in 0..2 {
        network.nodes[0]
            .protocol
            .as_mut()
            .expect("a node")
            .events
            .push_back(Event::Work { id, time: Duration::from_millis(5) });
    }
    network.call(0, |_, _| ());
    network.run_until(SECOND);
    let ends: Vec<f64> = arrivals(&network, &log).iter().map(|&(at, ..)| at).collect();
    assert_eq!(ends, [6.0, 11.0]);
}

#[test]
fn a_convicted_peer_is_cut_off_and_never_comes_back() {
    let (mut network, _) = line(2, LinkModel::plain(), &[]);
    network.run_until(Duration::from_millis(1));
    let node = network.nodes[0].protocol.as_mut().expect("a node");
    node.events.push_back(Event::Convicted(1));
    network.call(0, |_, _| ());
    network.work_off();
    assert_eq!(network.connections().count(), 0);
    network.at(Duration::from_millis(2), Action::Connect(1, 0));
    network.run_until(SECOND);
    assert_eq!(network.connections().count(), 0);
    assert_eq!(network.convictions().len(), 1);
}

#[test]
fn equal_seeds_give_equal_hashes_and_others_do_not() {
    let loss = Some(Loss { share: 0.1, congestion_control: true });
    let model = LinkModel { loss, ..LinkModel::default() };
    let script: Vec<_> =
        (0..200).map(|place| (place % 5, (place + 1) % 5, Lane::Data, 5_000)).collect();
    let hash = |seed| {
        let nodes = vec![NodeSpec::symmetric(10); 5];
        let (mut network, _) = line_of(nodes, model.clone(), &script, seed);
        network.run_until(10 * SECOND);
        network.trace_hash()
    };
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn the_fluid_model_agrees_with_frames_where_flows_are_long() {
    let script: Vec<_> = (0..6)
        .flat_map(|from| (0..6).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
        .flat_map(|(from, to)| [(from, to, Lane::Data, 100_000); 5])
        .collect();
    let mut nodes = vec![NodeSpec::symmetric(10); 6];
    nodes[0] = NodeSpec::symmetric(40);
    let end = |sharing| {
        let model = LinkModel { sharing, ..LinkModel::plain() };
        let (mut network, log) = line_of(nodes.clone(), model, &script, 1);
        network.run_until(100 * SECOND);
        assert_eq!(log.borrow().len(), script.len());
        arrivals(&network, &log).last().map_or(0.0, |&(at, ..)| at)
    };
    let (frames, fluid) = (end(Sharing::Frames), end(Sharing::Fluid));
    // 2.5 MB through 10 Mbit/s take 2 s.
    assert!(fluid > 2000.0 && (frames - fluid).abs() < 0.1 * fluid, "{frames} {fluid}");
}

#[test]
fn fluid_flows_share_an_uplink_at_the_same_time() {
    let script = [1, 2].map(|to| (0, to, Lane::Data, 10_000));
    let model = LinkModel { sharing: Sharing::Fluid, ..LinkModel::plain() };
    let (mut network, log) = line(3, model, &script);
    network.run_until(SECOND);
    let times: Vec<f64> = arrivals(&network, &log).iter().map(|&(at, ..)| at).collect();
    assert_eq!(times, [30.0, 30.0]);
}

#[test]
fn a_fluid_flow_ends_with_its_connection_and_the_others_have_its_share() {
    let script = [1, 2].map(|to| (0, to, Lane::Data, 10_000));
    let model = LinkModel { sharing: Sharing::Fluid, ..LinkModel::plain() };
    let (mut network, log) = line(3, model, &script);
    network.at(Duration::from_millis(10), Action::Cut(0, 2));
    network.run_until(SECOND);
    assert_eq!(arrivals(&network, &log), [(25.0, 1, 0, 10_000)]);
}
