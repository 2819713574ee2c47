//! What holds whatever happens in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use broker::{Broker, Config, ConnectionId, Input, Limits, MessageId, NodeId, Output, Recipient};
use bytes::Bytes;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Subscribe { client: u8, topic: u8, tenths: u8 },
    Connect { client: u8 },
    Disconnect { which: usize },
    Node { node: u32, up: bool },
    Heard { node: u32, message: u8 },
    AnswerFetch { found: bool },
    Wait { millis: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..4_u8, 0..2_u8, 0..=10_u8)
            .prop_map(|(client, topic, tenths)| Step::Subscribe { client, topic, tenths }),
        2 => (0..4_u8).prop_map(|client| Step::Connect { client }),
        1 => any::<usize>().prop_map(|which| Step::Disconnect { which }),
        1 => (0..4_u32, any::<bool>()).prop_map(|(node, up)| Step::Node { node, up }),
        8 => (0..4_u32, 0..12_u8).prop_map(|(node, message)| Step::Heard { node, message }),
        2 => any::<bool>().prop_map(|found| Step::AnswerFetch { found }),
        2 => (0..3000_u64).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 1..150)
}

/// The broker, and what the world knows of it.
struct World {
    broker: Broker,
    now: Instant,
    nodes: BTreeSet<NodeId>,
    source: Option<NodeId>,
    joined: BTreeSet<String>,
    thresholds: BTreeMap<(String, String), f64>,
    connections: BTreeMap<u64, String>,
    next_connection: u64,
    heard: BTreeMap<u8, BTreeSet<NodeId>>,
    fetches: Vec<(NodeId, MessageId)>,
    given: BTreeSet<(u64, u8)>,
}

/// Messages of even number are on one topic, the others on another.
fn topic_of(message: u8) -> String {
    format!("topic-{}", message % 2)
}

fn payload(message: u8) -> Bytes {
    vec![message; 1 + usize::from(message)].into()
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
    fn new() -> Self {
        let limits = Limits { pending_max: 6, pending_bytes_max: 40, ..Limits::default() };
        // Longer than any run, so that nothing may be given twice.
        let remember = Duration::from_secs(100_000);
        Self {
            broker: Broker::new(Config { limits, remember, ..Config::default() }),
            now: Instant::now(),
            nodes: BTreeSet::new(),
            source: None,
            joined: BTreeSet::new(),
            thresholds: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            heard: BTreeMap::new(),
            fetches: Vec::new(),
            given: BTreeSet::new(),
        }
    }

    fn input(&mut self, input: Input) {
        self.broker.handle(self.now, input);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Subscribe { client, topic, tenths } => {
                let (client, topic) = (format!("client-{client}"), format!("topic-{topic}"));
                let threshold = f64::from(tenths) / 10.0;
                let (id, name) = (client.as_str().into(), topic.as_str().into());
                self.broker.subscribe(self.now, &id, &name, Some(threshold)).expect("room");
                let effective = if tenths == 0 { 0.1 } else { threshold };
                self.thresholds.insert((client, topic), effective);
            }
            Step::Connect { client } => {
                let client = format!("client-{client}");
                let connection = ConnectionId(self.next_connection);
                self.broker.connect(client.as_str().into(), connection).expect("room");
                self.connections.insert(self.next_connection, client);
                self.next_connection += 1;
            }
            Step::Disconnect { which } => {
                let open: Vec<u64> = self.connections.keys().copied().collect();
                let Some(&connection) = open.get(which % open.len().max(1)) else { return };
                self.connections.remove(&connection);
                self.input(Input::Disconnected(ConnectionId(connection)));
            }
            Step::Node { node, up } => {
                let node = NodeId(node);
                if up && self.nodes.insert(node) {
                    self.input(Input::NodeUp(node));
                } else if !up && self.nodes.remove(&node) {
                    self.source = self.source.filter(|source| *source != node);
                    self.input(Input::NodeDown(node));
                    self.drain();
                    self.lose_fetches(node);
                }
            }
            Step::Heard { node, message } => self.hear(NodeId(node), message),
            Step::AnswerFetch { found } => self.answer(found),
            Step::Wait { millis } => self.wait(Duration::from_millis(millis)),
        }
    }

    fn hear(&mut self, node: NodeId, message: u8) {
        if !self.nodes.contains(&node) {
            return;
        }
        let topic = topic_of(message);
        if self.joined.contains(&topic) {
            self.heard.entry(message).or_default().insert(node);
        }
        let payload = (self.source == Some(node)).then(|| payload(message));
        let (message, topic) = (MessageId([message; 32]), topic.as_str().into());
        self.input(Input::Heard { node, message, topic, payload });
    }

    fn answer(&mut self, found: bool) {
        let Some((node, message)) = self.fetches.pop() else { return };
        let payload = found.then(|| payload(message.0[0]));
        self.input(Input::Fetched { node, message, payload });
    }

    fn lose_fetches(&mut self, node: NodeId) {
        let lost: Vec<_> = self.fetches.extract_if(.., |(asked, _)| *asked == node).collect();
        for (node, message) in lost {
            self.input(Input::Fetched { node, message, payload: None });
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..1000 {
            let Some(due) = self.broker.poll_timeout().filter(|due| *due <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(due);
            self.broker.handle_timeout(self.now);
            self.drain();
        }
        panic!("the timer {:?} runs in circles", self.broker.poll_timeout());
    }

    fn drain(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Join(topic) => assert!(self.joined.insert(topic.to_string())),
                Output::Leave(topic) => assert!(self.joined.remove(&*topic)),
                Output::Source(node) => {
                    assert!(self.nodes.contains(&node), "a source that is not connected");
                    self.source = Some(node);
                }
                Output::Fetch { node, message } => {
                    assert!(self.nodes.contains(&node), "asks one that is not connected");
                    assert!(
                        self.heard[&message.0[0]].contains(&node),
                        "asks one that knows nothing"
                    );
                    self.fetches.push((node, message));
                }
                Output::Deliver { recipients, message, topic, payload: given, is_fallback } => {
                    let message = message.0[0];
                    assert_eq!(given, payload(message));
                    assert_eq!(&*topic, topic_of(message));
                    for Recipient { client, connections } in recipients.iter() {
                        self.check_delivery(message, &topic, client, connections, is_fallback);
                    }
                }
            }
        }
    }

    fn check_delivery(
        &mut self,
        message: u8,
        topic: &str,
        client: &str,
        connections: &[ConnectionId],
        is_fallback: bool,
    ) {
        let threshold = self.thresholds[&(client.to_owned(), topic.to_owned())];
        let required = (threshold * self.nodes.len() as f64 - 1e-9).ceil().max(1.0);
        let heard = self.heard[&message].intersection(&self.nodes).count();
        let enough = heard as f64 >= required;
        assert_eq!(is_fallback, !enough, "{message}");
        let own = self.connections.iter().filter(|(_, owner)| **owner == *client);
        let own: Vec<_> = own.map(|(number, _)| ConnectionId(*number)).collect();
        assert_eq!(connections, own, "all connections that the client has now");
        for ConnectionId(connection) in connections {
            assert!(self.given.insert((*connection, message)), "given twice");
        }
    }

    fn check(&self) {
        assert!(self.broker.undecided().count() <= 6);
        assert!(self.broker.nodes().eq(self.nodes.iter().copied()));
        let topics: Vec<_> = self.broker.topics().map(ToString::to_string).collect();
        assert!(topics.iter().eq(self.joined.iter()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_is_given_a_message_twice_or_too_early_and_nothing_is_undecided_for_ever(
        steps in steps()
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.drain();
            world.check();
        }
        while !world.fetches.is_empty() {
            world.answer(false);
            world.drain();
        }
        world.wait(Duration::from_secs(60));
        prop_assert_eq!(world.broker.undecided().count(), 0);
    }

    #[test]
    fn a_message_of_all_nodes_reaches_every_connection_whatever_the_order(
        order in Just((0..12_u8).flat_map(|m| (0..3_u32).map(move |n| (m, n))).collect::<Vec<_>>())
            .prop_shuffle(),
        thresholds in prop::collection::vec(1..=10_u8, 4),
    ) {
        let mut world = World::new();
        for node in 0..3 {
            world.step(&Step::Node { node, up: true });
            world.drain();
        }
        for (client, tenths) in (0..).zip(thresholds) {
            world.step(&Step::Connect { client });
            for topic in 0..2 {
                world.step(&Step::Subscribe { client, topic, tenths });
            }
            world.drain();
        }
        for (message, node) in order {
            world.step(&Step::Heard { node: NodeId(node).0, message });
            world.drain();
            world.step(&Step::AnswerFetch { found: true });
            world.drain();
        }
        for _ in 0..20 {
            world.wait(Duration::from_secs(1));
            world.answer(true);
            world.drain();
        }
        let missing: Vec<_> = (0..4_u64)
            .flat_map(|connection| (0..12).map(move |message| (connection, message)))
            .filter(|pair| !world.given.contains(pair))
            .collect();
        // At the bound the oldest is decided at once; without its payload it is lost, and counted.
        let lost = world.broker.stats().payloads_missing;
        prop_assert!(missing.len() as u64 <= 4 * lost, "{:?}, {} lost", missing, lost);
    }
}
