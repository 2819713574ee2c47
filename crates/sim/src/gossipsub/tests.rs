use std::collections::BTreeMap;

use super::*;

/// Nodes over links that have a latency and no other limit; a frame is taken when it is offered,
/// unless the link is stopped.
struct Net {
    now: Instant,
    nodes: Vec<GossipSub>,
    flying: BTreeMap<(Instant, u64), (NodeId, NodeId, Frame)>,
    sent: u64,
    delivered: Vec<BTreeMap<MessageId, u32>>,
    copies: u64,
}

const LATENCY: Duration = Duration::from_millis(20);

impl Net {
    fn new(count: u32, config: &Config) -> Self {
        let now = start();
        let node = |id| GossipSub::new(id, config.clone(), u64::from(id), now);
        Self {
            now,
            nodes: (0..count).map(node).collect(),
            flying: BTreeMap::new(),
            sent: 0,
            delivered: vec![BTreeMap::new(); count as usize],
            copies: 0,
        }
    }

    /// Everyone dials so many others.
    fn connect_randomly(&mut self, dials: usize) {
        let mut rng = ChaCha12Rng::seed_from_u64(7);
        let count = self.nodes.len() as NodeId;
        let mut known = BTreeSet::new();
        for a in 0..count {
            for b in (0..count).filter(|b| *b != a).sample(&mut rng, dials) {
                if known.insert((a.min(b), a.max(b))) {
                    self.connect(a, b);
                }
            }
        }
    }

    fn connect(&mut self, a: NodeId, b: NodeId) {
        self.nodes[a as usize].on_connected(self.now, b, Direction::Outbound);
        self.nodes[b as usize].on_connected(self.now, a, Direction::Inbound);
        self.settle(a);
        self.settle(b);
    }

    fn settle(&mut self, id: NodeId) {
        let node = &mut self.nodes[id as usize];
        while let Some(event) = node.poll_event() {
            match event {
                Event::Ready(to, lane) => {
                    while let Some(out) = node.next_frame(self.now, to, lane) {
                        self.copies +=
                            u64::from(matches!(out.frame, Frame::Piece { last: true, .. }));
                        self.sent += 1;
                        self.flying.insert((self.now + LATENCY, self.sent), (id, to, out.frame));
                    }
                }
                Event::Delivered(message) => {
                    *self.delivered[id as usize].entry(message).or_default() += 1;
                }
                Event::Work { .. } | Event::Convicted(_) => panic!("never asked for: {event:?}"),
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due =
                self.nodes.iter().filter_map(|node| Some((node.poll_timeout()?, node.id))).min();
            let (heartbeat, id) = due.expect("heartbeats never end");
            let flying = self.flying.keys().next().map_or(end, |key| key.0);
            if heartbeat.min(flying) >= end {
                break;
            }
            if heartbeat < flying {
                self.now = heartbeat;
                self.nodes[id as usize].handle_timeout(heartbeat);
                self.settle(id);
            } else if let Some(((at, _), (from, to, frame))) = self.flying.pop_first() {
                self.now = at;
                self.nodes[to as usize].on_frame(at, from, Lane::Data, frame);
                self.settle(to);
            }
        }
        self.now = end;
    }

    fn publish(&mut self, id: NodeId, payload: Bytes) {
        self.nodes[id as usize].publish(self.now, payload);
        self.settle(id);
    }
}

#[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
fn start() -> Instant {
    Instant::now()
}

fn message(byte: u8, bytes: usize) -> (MessageId, Bytes) {
    let payload = Bytes::from(vec![byte; bytes]);
    (gossip::message_id(&payload), payload)
}

/// One node with `peers` that are in its mesh, and whose connections take one frame.
fn node_with_mesh(peers: u32, config: &Config) -> (GossipSub, Instant) {
    let now = start();
    // What waits is looked at here, not what the connection has taken.
    let config = Config { connection_buffer_bytes: 1, ..config.clone() };
    let mut node = GossipSub::new(0, config, 1, now);
    for peer in 1..=peers {
        node.on_connected(now, peer, Direction::Outbound);
        node.on_frame(now, peer, Lane::Data, Frame::Subscribe);
        node.on_frame(now, peer, Lane::Data, Frame::Graft);
        drain(&mut node, now, peer);
    }
    assert_eq!(node.mesh().count(), peers as usize);
    (node, now)
}

fn drain(node: &mut GossipSub, now: Instant, peer: NodeId) -> Vec<Frame> {
    let frames = std::iter::from_fn(|| node.next_frame(now, peer, Lane::Data));
    frames.map(|out| out.frame).collect()
}

fn copies_of(frames: &[Frame], id: MessageId) -> usize {
    let last = |frame: &&Frame| matches!(frame, Frame::Piece { message, last: true, .. } if message.id == id);
    frames.iter().filter(last).count()
}

fn give(node: &mut GossipSub, now: Instant, from: NodeId, message: Message) {
    let bytes = message.bytes as u32;
    node.on_frame(now, from, Lane::Data, Frame::Piece { message, bytes, last: true });
}

#[test]
fn a_mesh_forms_within_its_bounds_and_both_sides_agree() {
    let mut net = Net::new(40, &Config::default());
    net.connect_randomly(10);
    net.run(Duration::from_secs(10));
    for node in &net.nodes {
        let size = node.mesh().count();
        assert!((6..12).contains(&size), "node {} has {size} peers in its mesh", node.id);
        for peer in node.mesh() {
            assert!(net.nodes[peer as usize].mesh.contains(node.id), "{} and {peer}", node.id);
        }
    }
}

#[test]
fn a_message_is_delivered_to_all_and_once() {
    let mut net = Net::new(40, &Config::default());
    net.connect_randomly(10);
    net.run(Duration::from_secs(5));
    let (id, payload) = message(1, 100_000);
    net.publish(3, payload);
    net.run(Duration::from_secs(5));
    for delivered in &net.delivered {
        assert_eq!(delivered.get(&id), Some(&1));
    }
    let received: u64 = net.nodes.iter().map(|node| node.received().useful).sum();
    assert_eq!(received, 39 * 100_000);
    let wasted: u64 =
        net.nodes.iter().map(|node| node.received().duplicate + node.received().late).sum();
    assert_eq!(wasted, (net.copies - 39) * 100_000);
}

#[test]
fn equal_seeds_give_equal_runs() {
    let run = || {
        let mut net = Net::new(20, &Config::default());
        net.connect_randomly(6);
        net.run(Duration::from_secs(3));
        net.publish(0, message(1, 50_000).1);
        net.run(Duration::from_secs(3));
        (net.sent, net.copies, net.nodes[7].mesh().collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_byte_that_stands_for_many_makes_the_same_frames() {
    let frames = |scale: u32| {
        let config = Config { payload_scale: scale, ..Config::default() };
        let (mut node, now) = node_with_mesh(1, &config);
        node.publish(now, message(1, 102_400 / scale as usize).1);
        std::iter::from_fn(|| node.next_frame(now, 1, Lane::Data))
            .map(|out| (out.bytes, out.payload_bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(frames(1), frames(64));
    assert_eq!(frames(1).len(), 7);
}

#[test]
fn idontwant_takes_away_copies_that_have_not_begun_to_leave() {
    let (mut node, now) = node_with_mesh(2, &Config::default());
    let (begun, first) = message(1, 40_000);
    let (queued, second) = message(2, 40_000);
    node.publish(now, first);
    node.publish(now, second);
    let piece = node.next_frame(now, 1, Lane::Data);
    assert!(piece.is_some_and(|out| matches!(out.frame, Frame::Piece { last: false, .. })));
    node.on_frame(now, 1, Lane::Data, Frame::IDontWant(begun));
    node.on_frame(now, 1, Lane::Data, Frame::IDontWant(queued));
    let spared = drain(&mut node, now, 1);
    assert_eq!((copies_of(&spared, begun), copies_of(&spared, queued)), (1, 0));
    let other = drain(&mut node, now, 2);
    assert_eq!((copies_of(&other, begun), copies_of(&other, queued)), (1, 1));
}

#[test]
fn who_said_idontwant_is_passed_over_when_the_message_comes() {
    let (mut node, now) = node_with_mesh(3, &Config::default());
    let message = Message { id: message(1, 1).0, author: 99, bytes: 5000 };
    node.on_frame(now, 2, Lane::Data, Frame::IDontWant(message.id));
    give(&mut node, now, 1, message);
    assert_eq!(copies_of(&drain(&mut node, now, 1), message.id), 0);
    assert_eq!(copies_of(&drain(&mut node, now, 2), message.id), 0);
    assert_eq!(copies_of(&drain(&mut node, now, 3), message.id), 1);
}

#[test]
fn a_long_message_is_answered_by_idontwant_and_a_short_one_is_not() {
    for (bytes, expected) in [(999, false), (1001, true)] {
        let (mut node, now) = node_with_mesh(2, &Config::default());
        let message = Message { id: message(1, 1).0, author: 99, bytes };
        give(&mut node, now, 1, message);
        let frames = drain(&mut node, now, 2);
        assert_eq!(frames.first() == Some(&Frame::IDontWant(message.id)), expected, "{frames:?}");
        assert!(drain(&mut node, now, 1).is_empty(), "who sent it has it");
    }
}

#[test]
fn control_waits_for_the_message_that_is_leaving_and_passes_the_ones_behind_it() {
    let (mut node, now) = node_with_mesh(2, &Config::default());
    node.publish(now, message(1, 20_000).1);
    node.publish(now, message(2, 20_000).1);
    assert!(node.next_frame(now, 1, Lane::Data).is_some());
    let other = Message { id: message(3, 1).0, author: 99, bytes: 5000 };
    give(&mut node, now, 2, other);
    let frames = drain(&mut node, now, 1);
    assert!(matches!(frames[0], Frame::Piece { last: true, .. }), "{frames:?}");
    assert_eq!(frames[1], Frame::IDontWant(other.id));
}

#[test]
fn iwant_brings_a_message_that_was_missed() {
    let (mut node, now) = node_with_mesh(1, &Config::default());
    node.on_connected(now, 9, Direction::Inbound);
    let (id, payload) = message(1, 3000);
    let ids: std::sync::Arc<[MessageId]> = vec![id].into();
    node.on_frame(now, 9, Lane::Data, Frame::IHave(ids.clone()));
    assert_eq!(drain(&mut node, now, 9), [Frame::Subscribe, Frame::IWant(ids.clone())]);
    node.on_frame(now, 1, Lane::Data, Frame::IHave(ids.clone()));
    assert_eq!(drain(&mut node, now, 1), [], "it is on its way");

    let (mut holder, now) = node_with_mesh(0, &Config::default());
    holder.on_connected(now, 0, Direction::Outbound);
    holder.publish(now, payload);
    for asked in 1..=4 {
        holder.on_frame(now, 0, Lane::Data, Frame::IWant(ids.clone()));
        let frames = drain(&mut holder, now, 0);
        assert_eq!(copies_of(&frames, id), usize::from(asked <= 3), "asked {asked} times");
        for frame in frames {
            node.on_frame(now, 9, Lane::Data, frame);
        }
    }
    let delivered = std::iter::from_fn(|| node.poll_event()).filter(|e| *e == Event::Delivered(id));
    assert_eq!(delivered.count(), 1);
}

#[test]
fn a_broken_promise_lets_another_peer_be_asked() {
    for (followup, asks) in [(None, 0), (Some(Duration::from_secs(3)), 1)] {
        let config = Config { iwant_followup: followup, ..Config::default() };
        let (mut node, now) = node_with_mesh(2, &config);
        let ids: std::sync::Arc<[MessageId]> = vec![message(1, 1).0].into();
        node.on_frame(now, 1, Lane::Data, Frame::IHave(ids.clone()));
        node.on_frame(now + Duration::from_secs(4), 2, Lane::Data, Frame::IHave(ids));
        let asked = drain(&mut node, now, 2);
        assert_eq!(asked.iter().filter(|f| matches!(f, Frame::IWant(_))).count(), asks);
    }
}

#[test]
fn what_waited_too_long_is_dropped() {
    let (mut node, now) = node_with_mesh(2, &Config::default());
    node.publish(now, message(0, 40_000).1);
    let (own, payload) = message(1, 2000);
    node.publish(now, payload);
    let passed_on = Message { id: message(2, 1).0, author: 99, bytes: 2000 };
    give(&mut node, now, 2, passed_on);
    let frames = drain(&mut node, now + Duration::from_secs(2), 1);
    assert_eq!((copies_of(&frames, own), copies_of(&frames, passed_on.id)), (1, 0));
    assert_eq!(node.dropped(), 1);
    let frames = drain(&mut node, now + Duration::from_secs(6), 2);
    assert_eq!(copies_of(&frames, own), 0);
    assert_eq!(node.dropped(), 2);
}

#[test]
fn flood_publish_goes_to_peers_outside_the_mesh_too() {
    for (flood_publish, expected) in [(false, 8), (true, 20)] {
        let config = Config { flood_publish, ..Config::default() };
        let (mut node, now) = node_with_mesh(8, &config);
        for peer in 9..=20 {
            node.on_connected(now, peer, Direction::Inbound);
            node.on_frame(now, peer, Lane::Data, Frame::Subscribe);
        }
        let (id, payload) = message(1, 2000);
        node.publish(now, payload);
        let sent = (1..=20).map(|peer| copies_of(&drain(&mut node, now, peer), id)).sum::<usize>();
        assert_eq!(sent, expected);
    }
}

#[test]
fn what_the_connection_has_taken_is_not_taken_back() {
    let (node, now) = node_with_mesh(1, &Config::default());
    let config = Config { connection_buffer_bytes: 60_000, ..node.config.clone() };
    let mut node = GossipSub { config, ..node };
    let (first, payload) = message(1, 40_000);
    node.publish(now, payload);
    let (second, payload) = message(2, 40_000);
    node.publish(now, payload);
    let (third, payload) = message(3, 40_000);
    node.publish(now, payload);
    for id in [first, second, third] {
        node.on_frame(now, 1, Lane::Data, Frame::IDontWant(id));
    }
    let frames = drain(&mut node, now, 1);
    assert_eq!([first, second, third].map(|id| copies_of(&frames, id)), [1, 1, 0]);
}

#[test]
fn a_node_that_withholds_sends_control_and_no_message() {
    let (mut node, now) = node_with_mesh(3, &Config { withholds: true, ..Config::default() });
    let message = Message { id: message(1, 1).0, author: 99, bytes: 5000 };
    give(&mut node, now, 1, message);
    assert_eq!(drain(&mut node, now, 2), [Frame::IDontWant(message.id)]);
}
