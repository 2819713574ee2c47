//! What clients are given, by a broker whose nodes, clients and clock are the test's.

use std::time::{Duration, Instant};

use broker::{
    Broker, ClientId, Config, ConnectionId, Input, Limits, MessageId, NodeId, Output, Refusal,
    Topic,
};
use bytes::Bytes;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Any instant will do: the broker only adds to it and compares.
#[expect(clippy::disallowed_methods, reason = "there is no other way to make one")]
fn start() -> Instant {
    Instant::now()
}

struct World {
    broker: Broker,
    now: Instant,
}

impl World {
    /// A broker with so many nodes.
    fn new(nodes: u32, config: Config) -> Self {
        let mut world = Self { broker: Broker::new(config), now: start() };
        for node in 0..nodes {
            world.input(Input::NodeUp(NodeId(node)));
        }
        world.outputs();
        world
    }

    fn input(&mut self, input: Input) {
        self.broker.handle(self.now, input);
    }

    fn subscribe(&mut self, client: &str, topic: &str, threshold: f64) -> Result<(), Refusal> {
        self.broker.subscribe(self.now, &client.into(), &topic.into(), Some(threshold))
    }

    fn connect(&mut self, client: &str, connection: u64) {
        self.broker.connect(client.into(), ConnectionId(connection)).expect("room");
    }

    /// A client that subscribed `t` and has one connection.
    fn client(&mut self, client: &str, threshold: f64, connection: u64) {
        self.subscribe(client, "t", threshold).expect("room");
        self.connect(client, connection);
        self.outputs();
    }

    /// A node tells of a message on `t`; node 0 sends its payload.
    fn heard(&mut self, node: u32, message: u8) {
        let payload = (node == 0).then(|| payload(message));
        self.heard_with(node, message, payload);
    }

    fn heard_with(&mut self, node: u32, message: u8, payload: Option<Bytes>) {
        let (node, message, topic) = (NodeId(node), id(message), Topic::from("t"));
        self.input(Input::Heard { node, message, topic, payload });
    }

    fn fetched(&mut self, node: u32, message: u8, payload: Option<Bytes>) {
        self.input(Input::Fetched { node: NodeId(node), message: id(message), payload });
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.broker.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.broker.poll_output()).collect()
    }

    /// Returns what was given, as client, connections, message, and whether below the threshold.
    fn given(&mut self) -> Vec<(String, Vec<u64>, u8, bool)> {
        let mut all = Vec::new();
        for output in self.outputs() {
            let Output::Deliver { recipients, message, payload: given, is_fallback, .. } = output
            else {
                continue;
            };
            assert_eq!(given, payload(message.0[0]), "another payload");
            for recipient in recipients.iter() {
                let connections = recipient.connections.iter().map(|c| c.0).collect();
                all.push((recipient.client.to_string(), connections, message.0[0], is_fallback));
            }
        }
        all
    }
}

fn id(message: u8) -> MessageId {
    MessageId([message; 32])
}

fn payload(message: u8) -> Bytes {
    vec![message; 10].into()
}

fn given(client: &str, connection: u64, message: u8) -> (String, Vec<u64>, u8, bool) {
    (client.to_owned(), vec![connection], message, false)
}

#[test]
fn a_client_is_given_a_message_once_as_many_nodes_told_of_it_as_it_asked_for() {
    let mut world = World::new(4, Config::default());
    world.client("first", 0.1, 1);
    world.client("most", 0.7, 2);
    world.client("all", 1.0, 3);
    world.heard(0, 7);
    assert_eq!(world.given(), [given("first", 1, 7)]);
    world.heard(1, 7);
    world.heard(1, 7);
    assert_eq!(world.given(), []);
    world.heard(2, 7);
    assert_eq!(world.given(), [given("most", 2, 7)]);
    world.heard(3, 7);
    assert_eq!(world.given(), [given("all", 3, 7)]);
    world.heard(3, 7);
    world.wait(10 * SECOND);
    assert_eq!(world.given(), []);
    assert_eq!(world.broker.undecided().count(), 0);
}

#[test]
fn every_connection_of_a_client_is_given_every_message_of_all_its_topics() {
    let mut world = World::new(1, Config::default());
    // A connection may come before the subscription.
    world.connect("c", 1);
    world.subscribe("c", "t", 0.0).expect("room");
    world.subscribe("c", "other", 0.0).expect("room");
    world.connect("c", 2);
    assert_eq!(world.outputs(), [Output::Join("t".into()), Output::Join("other".into())]);
    world.heard(0, 1);
    let topic = Topic::from("other");
    let payload = Some(payload(2));
    world.input(Input::Heard { node: NodeId(0), message: id(2), topic, payload });
    let both = |message| ("c".to_owned(), vec![1, 2], message, false);
    assert_eq!(world.given(), [both(1), both(2)]);
    world.input(Input::Disconnected(ConnectionId(1)));
    world.heard(0, 3);
    assert_eq!(world.given(), [given("c", 2, 3)]);
}

#[test]
fn what_too_few_nodes_tell_of_is_given_after_the_fallback_delay_and_says_so() {
    let mut world = World::new(4, Config::default());
    world.client("all", 1.0, 1);
    world.heard(0, 7);
    world.wait(1999 * MILLI);
    assert_eq!(world.given(), []);
    world.wait(MILLI);
    assert_eq!(world.given(), [("all".to_owned(), vec![1], 7, true)]);
    world.heard(1, 7);
    assert_eq!(world.given(), []);
    assert_eq!(world.broker.stats().fallback_deliveries, 1);
}

#[test]
fn a_node_that_goes_makes_fewer_enough_and_another_the_source() {
    let mut world = World::new(3, Config::default());
    world.client("all", 1.0, 1);
    world.heard(0, 7);
    world.heard(1, 7);
    world.input(Input::NodeDown(NodeId(2)));
    assert_eq!(world.given(), [given("all", 1, 7)]);
    world.input(Input::NodeDown(NodeId(0)));
    assert_eq!(world.outputs(), [Output::Source(NodeId(1))]);
    world.input(Input::NodeDown(NodeId(1)));
    assert_eq!(world.outputs(), []);
    world.input(Input::NodeUp(NodeId(2)));
    assert_eq!(world.outputs(), [Output::Source(NodeId(2))]);
}

#[test]
fn a_payload_that_the_source_does_not_send_is_fetched_where_it_was_told_of() {
    let mut world = World::new(3, Config::default());
    world.client("c", 0.1, 1);
    world.heard(1, 7);
    world.heard(2, 7);
    world.wait(199 * MILLI);
    assert_eq!(world.outputs(), []);
    world.wait(MILLI);
    assert_eq!(world.outputs(), [Output::Fetch { node: NodeId(1), message: id(7) }]);
    // It does not have it any more, the next is asked.
    world.fetched(1, 7, None);
    assert_eq!(world.outputs(), [Output::Fetch { node: NodeId(2), message: id(7) }]);
    world.fetched(2, 7, Some(payload(7)));
    assert_eq!(world.given(), [given("c", 1, 7)]);
    // The source is merely slow.
    world.heard(0, 7);
    assert_eq!(world.given(), []);
}

#[test]
fn a_payload_that_nobody_gives_is_waited_for_and_then_given_up() {
    let mut world = World::new(2, Config::default());
    world.client("c", 0.1, 1);
    world.heard(1, 7);
    world.wait(SECOND);
    world.fetched(1, 7, None);
    world.outputs();
    world.wait(9 * SECOND);
    assert_eq!(world.broker.undecided().count(), 1);
    // It comes after all.
    world.heard(0, 7);
    assert_eq!(world.given(), [given("c", 1, 7)]);
    world.heard(1, 8);
    world.wait(SECOND);
    world.fetched(1, 8, None);
    world.wait(14 * SECOND);
    assert_eq!(world.broker.undecided().count(), 0);
    assert_eq!(world.broker.stats().payloads_missing, 1);
}

#[test]
fn a_client_that_changes_its_threshold_is_not_given_a_message_twice() {
    let mut world = World::new(2, Config::default());
    world.client("c", 0.1, 1);
    world.client("all", 1.0, 2);
    world.heard(0, 7);
    assert_eq!(world.given(), [given("c", 1, 7)]);
    world.subscribe("c", "t", 1.0).expect("again");
    world.heard(1, 7);
    assert_eq!(world.given(), [given("all", 2, 7)]);
}

#[test]
fn a_client_that_stays_away_loses_its_subscriptions_and_its_topics_are_left() {
    let mut world = World::new(1, Config { subscription_ttl: 60 * SECOND, ..Config::default() });
    world.client("stays", 0.1, 1);
    world.client("leaves", 0.1, 2);
    world.subscribe("leaves", "own", 0.1).expect("room");
    world.subscribe("never came", "third", 0.1).expect("room");
    world.outputs();
    world.wait(59 * SECOND);
    world.input(Input::Disconnected(ConnectionId(2)));
    world.wait(SECOND);
    assert_eq!(world.outputs(), [Output::Leave("third".into())]);
    world.wait(59 * SECOND);
    assert_eq!(world.outputs(), [Output::Leave("own".into())]);
    assert_eq!(world.broker.stats().clients_expired, 2);
    assert_eq!(world.broker.clients(), 1);
    // Coming back in time keeps them.
    world.input(Input::Disconnected(ConnectionId(1)));
    world.wait(30 * SECOND);
    world.connect("stays", 3);
    world.wait(3600 * SECOND);
    world.heard(0, 7);
    assert_eq!(world.given(), [given("stays", 3, 7)]);
}

#[test]
fn messages_of_topics_that_nobody_subscribed_are_not_kept() {
    let mut world = World::new(1, Config::default());
    world.heard(0, 7);
    assert_eq!(world.broker.undecided().count(), 0);
    assert_eq!(world.broker.stats().unwanted, 1);
}

#[test]
fn wrong_thresholds_and_what_is_beyond_a_bound_are_refused_with_the_reason() {
    let limits =
        Limits { clients_max: 2, topics_per_client_max: 2, topics_max: 3, ..Limits::default() };
    let mut world = World::new(1, Config { limits, ..Config::default() });
    for wrong in [-0.1, 1.01, f64::NAN, f64::INFINITY] {
        let refusal = world.subscribe("a", "t", wrong).expect_err("no share");
        assert!(refusal.to_string().starts_with("invalid threshold"), "{refusal}");
    }
    assert_eq!(world.broker.clients(), 0);
    world.subscribe("a", "1", 0.0).expect("room");
    world.subscribe("a", "2", 1.0).expect("room");
    assert_eq!(world.subscribe("a", "3", 0.5), Err(Refusal::ClientTopics(2)));
    world.subscribe("a", "2", 0.5).expect("known already");
    world.subscribe("b", "3", 0.5).expect("room");
    assert_eq!(world.subscribe("b", "4", 0.5), Err(Refusal::Topics(3)));
    world.subscribe("b", "1", 0.5).expect("room");
    assert_eq!(world.subscribe("c", "1", 0.5), Err(Refusal::Clients(2)));
    let refused = world.broker.connect("c".into(), ConnectionId(1));
    assert_eq!(refused, Err(Refusal::Clients(2)));
    let stats = world.broker.stats();
    assert_eq!((stats.subscriptions_refused, stats.connections_refused), (3, 1));
    let topics: Vec<_> = world.broker.topics_of("a").map(|(t, share)| (&**t, share)).collect();
    assert_eq!(topics, [("1", 0.1), ("2", 0.5)]);
}

#[test]
fn at_the_bound_the_oldest_message_is_decided_at_once_with_what_is_here() {
    let limits = Limits { pending_max: 2, ..Limits::default() };
    let mut world = World::new(2, Config { limits, ..Config::default() });
    world.client("all", 1.0, 1);
    for message in 0..4 {
        world.heard(0, message);
        world.wait(MILLI);
    }
    let fallback = |message| ("all".to_owned(), vec![1], message, true);
    assert_eq!(world.given(), [fallback(0), fallback(1)]);
    assert_eq!(world.broker.undecided().count(), 2);
    assert_eq!(world.broker.stats().decided_early, 2);
}

#[test]
fn payload_bytes_are_bounded_too_and_one_longer_than_the_bound_still_passes() {
    let limits = Limits { pending_bytes_max: 15, ..Limits::default() };
    let mut world = World::new(2, Config { limits, ..Config::default() });
    world.client("all", 1.0, 1);
    world.heard(0, 1);
    world.heard(0, 2);
    assert_eq!(world.given(), [("all".to_owned(), vec![1], 1, true)]);
    let limits = Limits { pending_bytes_max: 5, ..Limits::default() };
    let mut world = World::new(2, Config { limits, ..Config::default() });
    world.client("all", 1.0, 1);
    world.heard(0, 3);
    world.heard(1, 3);
    assert_eq!(world.given(), [given("all", 1, 3)]);
}

#[test]
fn a_message_told_of_again_long_after_is_given_again_and_not_before() {
    let mut world = World::new(1, Config::default());
    world.client("c", 0.1, 1);
    world.heard(0, 7);
    world.given();
    world.wait(119 * SECOND);
    world.heard(0, 7);
    assert_eq!(world.given(), []);
    world.wait(SECOND);
    world.heard(0, 7);
    assert_eq!(world.given(), [given("c", 1, 7)]);
}

#[test]
fn a_client_without_a_connection_misses_what_comes_and_that_is_counted() {
    let mut world = World::new(1, Config::default());
    let client: ClientId = "c".into();
    world.broker.subscribe(world.now, &client, &"t".into(), None).expect("room");
    world.heard(0, 7);
    world.connect("c", 1);
    assert_eq!(world.given(), []);
    assert_eq!(world.broker.stats().unattended, 1);
}
