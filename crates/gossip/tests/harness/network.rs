//! The network: links with latency and bandwidth, a clock that jumps to the next event.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::{
    Config, Delivery, Direction, Fault, Input, JobId, MessageId, Outcome, Output, Publish,
    PublishError, State, Topic, Trace,
};

use super::{start, state_of};

/// A job takes this long.
const JOB_TIME: Duration = Duration::from_millis(2);

/// A node and what came out of it.
pub struct Node {
    pub state: State<u32>,
    pub deliveries: Vec<(Instant, Delivery<u32>)>,
    pub published: BTreeMap<u64, MessageId>,
    pub refused: BTreeMap<u64, PublishError>,
    pub traces: Vec<Trace<u32>>,
    pub faults: Vec<(u32, Fault)>,
    next_ticket: u64,
    dead: bool,
}

impl Node {
    pub fn payloads(&self) -> Vec<Bytes> {
        self.deliveries.iter().map(|(_, delivery)| delivery.payload.clone()).collect()
    }
}

/// One direction between two nodes.
struct Link {
    up: bool,
    /// Counts connections, so that frames of an old one do not arrive on a new one.
    connection: u64,
    latency: Duration,
    bytes_per_second: u64,
    /// The receiver does not read: frames stay on the way.
    stalled: bool,
    data_ready: bool,
    writing: u32,
    busy_until: Instant,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Data { from: u32, to: u32, connection: u64, frame: Bytes },
    Control { from: u32, to: u32, connection: u64, frame: Bytes },
    Written { from: u32, to: u32, connection: u64 },
    WorkDone { node: u32, job: JobId, outcome: u64 },
}

pub struct Network {
    pub now: Instant,
    pub begin: Instant,
    pub nodes: BTreeMap<u32, Node>,
    links: BTreeMap<(u32, u32), Link>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    outcomes: BTreeMap<u64, Outcome>,
    next_event: u64,
    config: Config,
    seed: u64,
    latency: Duration,
    bytes_per_second: u64,
    /// Everything that arrived, hashed: equal seeds must give equal hashes.
    hash: u64,
}

impl Network {
    /// Nodes `0..count`, not connected; links of 5 ms and 125 MB/s.
    pub fn new(count: u32, config: Config, seed: u64) -> Self {
        let begin = start();
        let mut network = Self {
            now: begin,
            begin,
            nodes: BTreeMap::new(),
            links: BTreeMap::new(),
            events: BinaryHeap::new(),
            outcomes: BTreeMap::new(),
            next_event: 0,
            config,
            seed,
            latency: Duration::from_millis(5),
            bytes_per_second: 125_000_000,
            hash: 0,
        };
        for name in 0..count {
            network.add(name);
        }
        network
    }

    /// All nodes connected to each other.
    pub fn full_mesh(count: u32, config: Config, seed: u64) -> Self {
        let mut network = Self::new(count, config, seed);
        for a in 0..count {
            for b in 0..a {
                network.connect(a, b);
            }
        }
        network
    }

    /// The bandwidth and latency of links made from here on.
    pub fn set_links(&mut self, latency: Duration, bytes_per_second: u64) {
        self.latency = latency;
        self.bytes_per_second = bytes_per_second;
    }

    /// Adds a node, or starts a dead one again with nothing but its name.
    pub fn add(&mut self, name: u32) {
        let sequence = 1_000_000 + self.now.duration_since(self.begin).as_nanos() as u64;
        let state = state_of(name, self.config.clone(), self.seed, sequence, self.now);
        let node = Node {
            state,
            deliveries: Vec::new(),
            published: BTreeMap::new(),
            refused: BTreeMap::new(),
            traces: Vec::new(),
            faults: Vec::new(),
            next_ticket: 0,
            dead: false,
        };
        self.nodes.insert(name, node);
    }

    pub fn node(&mut self, name: u32) -> &mut Node {
        self.nodes.get_mut(&name).expect("a node of this name")
    }

    pub fn connect(&mut self, a: u32, b: u32) {
        for (from, to) in [(a, b), (b, a)] {
            let connection = self.links.get(&(from, to)).map_or(0, |link| link.connection + 1);
            let link = Link {
                up: true,
                connection,
                latency: self.latency,
                bytes_per_second: self.bytes_per_second,
                stalled: false,
                data_ready: false,
                writing: 0,
                busy_until: self.now,
            };
            self.links.insert((from, to), link);
        }
        self.input(a, Input::Connected(b, Direction::Outbound));
        self.input(b, Input::Connected(a, Direction::Inbound));
    }

    pub fn cut(&mut self, a: u32, b: u32) {
        for pair in [(a, b), (b, a)] {
            if let Some(link) = self.links.get_mut(&pair) {
                link.up = false;
                link.connection += 1;
            }
        }
        self.input(a, Input::Disconnected(b));
        self.input(b, Input::Disconnected(a));
    }

    /// The node stops, and its peers see their connections close.
    pub fn kill(&mut self, name: u32) {
        self.node(name).dead = true;
        let others: Vec<u32> = self.nodes.keys().copied().filter(|&other| other != name).collect();
        for other in others {
            if self.links.get(&(name, other)).is_some_and(|link| link.up) {
                self.cut(name, other);
            }
        }
    }

    /// `to` reads nothing of what `from` sends any more.
    pub fn stall(&mut self, from: u32, to: u32) {
        self.links.get_mut(&(from, to)).expect("a link").stalled = true;
    }

    pub fn subscribe_all(&mut self, topic: &Topic) {
        for name in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.input(name, Input::Subscribe(topic.clone()));
        }
    }

    /// Publishes and returns the ticket.
    pub fn publish(&mut self, name: u32, topic: &Topic, payload: Bytes) -> u64 {
        let published_unix_ns = self.now.duration_since(self.begin).as_nanos() as u64;
        let node = self.node(name);
        let ticket = node.next_ticket;
        node.next_ticket += 1;
        let topic = topic.clone();
        self.input(name, Input::Publish(Publish { ticket, topic, payload, published_unix_ns }));
        ticket
    }

    pub fn input(&mut self, name: u32, input: Input<u32>) {
        let now = self.now;
        let node = self.node(name);
        if node.dead {
            return;
        }
        node.state.handle(now, input);
        self.drain(name);
    }

    /// Runs for `time`.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, and fails when that takes longer than `limit`; returns how long it took.
    pub fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let (begin, end) = (self.now, self.now + limit);
        while !done(self) {
            assert!(self.step(end), "not within {limit:?}: {what}; replay with seed {}", self.seed);
        }
        self.now - begin
    }

    /// Runs until every living node that subscribed has delivered `count` messages.
    pub fn run_until_delivered(&mut self, count: usize, limit: Duration) -> Duration {
        self.run_until(limit, &format!("{count} deliveries everywhere"), |network| {
            let mut living = network.nodes.values().filter(|node| !node.dead);
            living.all(|node| node.deliveries.len() >= count)
        })
    }

    pub fn trace_hash(&self) -> u64 {
        self.hash
    }

    /// Does the next thing up to `end`; `false` when there is none.
    fn step(&mut self, end: Instant) -> bool {
        let living = self.nodes.iter().filter(|(_, node)| !node.dead);
        let timer =
            living.filter_map(|(&name, node)| Some((node.state.poll_timeout()?.0, name))).min();
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        match (timer, event) {
            (Some((at, name)), event) if at <= end && event.is_none_or(|event| at < event) => {
                self.now = self.now.max(at);
                let now = self.now;
                self.node(name).state.handle_timeout(now);
                self.drain(name);
                true
            }
            (_, Some(at)) if at <= end => {
                let Some(Reverse((at, _, event))) = self.events.pop() else { return false };
                self.now = self.now.max(at);
                self.happen(event);
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Data { from, to, connection, frame } => {
                if self.arrives(from, to, connection, &frame) {
                    self.input(to, Input::Data(from, frame));
                }
            }
            Event::Control { from, to, connection, frame } => {
                if self.arrives(from, to, connection, &frame) {
                    self.input(to, Input::Control(from, frame));
                }
            }
            Event::Written { from, to, connection } => {
                let Some(link) = self.links.get_mut(&(from, to)) else { return };
                if link.connection == connection {
                    link.writing -= 1;
                    self.pump(from, to);
                }
            }
            Event::WorkDone { node, job, outcome } => {
                let outcome = self.outcomes.remove(&outcome).expect("an outcome");
                self.input(node, Input::WorkDone(job, outcome));
            }
        }
    }

    fn arrives(&mut self, from: u32, to: u32, connection: u64, frame: &Bytes) -> bool {
        let link = &self.links[&(from, to)];
        if !link.up || link.stalled || link.connection != connection {
            return false;
        }
        let at = self.now.duration_since(self.begin).as_nanos() as u64;
        for byte in at.to_be_bytes().iter().chain(frame.iter()) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        true
    }

    /// Drains a node's outputs, then lets its writers fetch what they have room for.
    fn drain(&mut self, name: u32) {
        while let Some(output) = self.node(name).state.poll_output() {
            self.apply(name, output);
        }
    }

    fn apply(&mut self, name: u32, output: Output<u32>) {
        let now = self.now;
        match output {
            Output::DataReady(peer) => {
                if let Some(link) = self.links.get_mut(&(name, peer)) {
                    link.data_ready = true;
                }
                self.pump(name, peer);
            }
            Output::ControlReady(peer) => self.pump_control(name, peer),
            Output::Deliver(delivery) => self.node(name).deliveries.push((now, delivery)),
            Output::Published { ticket, message, .. } => {
                self.node(name).published.insert(ticket, message);
            }
            Output::PublishRefused { ticket, error, .. } => {
                self.node(name).refused.insert(ticket, error);
            }
            Output::PublishRoom => {}
            Output::Trace(trace) => self.node(name).traces.push(trace),
            Output::Work(job, work) => {
                let outcome = self.next_event;
                self.outcomes.insert(outcome, work.run());
                self.schedule(now + JOB_TIME, Event::WorkDone { node: name, job, outcome });
            }
            Output::Disconnect { peer, fault, .. } => {
                self.node(name).faults.push((peer, fault));
                if self.links.contains_key(&(name, peer)) {
                    self.cut(name, peer);
                }
            }
        }
    }

    /// A writer holds the frame being written and one more.
    fn pump(&mut self, from: u32, to: u32) {
        let now = self.now;
        loop {
            let Some(link) = self.links.get(&(from, to)) else { return };
            if !link.up || !link.data_ready || link.writing >= 2 || self.node(from).dead {
                return;
            }
            let frame = self.node(from).state.next_data(now, to);
            let link = self.links.get_mut(&(from, to)).expect("looked up above");
            let Some(frame) = frame else {
                link.data_ready = false;
                return self.drain(from);
            };
            let bytes = frame.len() as u64;
            let time = Duration::from_nanos(bytes * 1_000_000_000 / link.bytes_per_second);
            link.busy_until = link.busy_until.max(now) + time;
            link.writing += 1;
            let (written, arrives) = (link.busy_until, link.busy_until + link.latency);
            let connection = link.connection;
            self.schedule(written, Event::Written { from, to, connection });
            let frame = frame.to_bytes();
            self.schedule(arrives, Event::Data { from, to, connection, frame });
            self.drain(from);
        }
    }

    fn pump_control(&mut self, from: u32, to: u32) {
        let now = self.now;
        while let Some(frame) = self.node(from).state.next_control(now, to) {
            let Some(link) = self.links.get(&(from, to)).filter(|link| link.up) else { return };
            let (connection, at) = (link.connection, now + link.latency);
            let frame = frame.to_bytes();
            self.schedule(at, Event::Control { from, to, connection, frame });
        }
        self.drain(from);
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.events.push(Reverse((at, self.next_event, event)));
        self.next_event += 1;
    }
}
