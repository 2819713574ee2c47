//! The driver of a fuzzed state: keeps to the contract, and checks that the state does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use gossip::{
    Config, Delivery, HeaderHash, Input, Job, JobId, Limits, MessageId, Outcome, Output, Profile,
    State, Stats, message_id,
    wire::{Acknowledgement, Control, DataFrame, FRAME_BYTES_MAX, decode_control, encode_control},
};

use super::{
    messages::{TestKeys, fresh},
    peer_of, topic_of,
};

/// Timers that may run out within one wait: a heartbeat is 700 ms and a wait at most 656 s, and
/// other timers must be bounded by what happens, not run in circles.
const TIMEOUTS_PER_WAIT_MAX: usize = 20_000;

/// The most frames that one peer takes at once before something else happens.
const FRAMES_MAX: usize = 100_000;

/// A peer that takes no part before the end, so that nothing is held against it.
const NEWCOMER: u32 = 4;

const HEARTBEAT: Duration = Duration::from_millis(700);

/// A state, and what a driver knows of the world.
pub(super) struct Stage {
    state: State<u32>,
    now: Instant,
    limits: Limits,
    seen_ttl: Duration,
    connected: BTreeSet<u32>,
    jobs: VecDeque<(JobId, Job)>,
    /// Messages delivered, and when.
    delivered: BTreeMap<MessageId, Instant>,
    /// Headers that the state sent to anybody.
    sent_headers: Vec<HeaderHash>,
    /// Epoch and bytes sent on the data stream of each peer.
    sent: BTreeMap<u32, (u32, u64)>,
}

impl Stage {
    /// A state with bounds small enough to be reached, two topics and two peers that subscribed
    /// them.
    pub(super) fn new() -> Self {
        let limits = Limits {
            open_messages_max: 4,
            open_bytes_max: 200_000,
            headers_per_message_max: 2,
            retain_bytes_max: 100_000,
            seen_messages_max: 64,
            publishers_max: 3,
            topics_per_peer_max: 2,
            topics_max: 2,
            pulls_per_heartbeat_max: 8,
            news_per_heartbeat_max: 16,
            control_bytes_max: 4096,
            publish_bytes_max: 100_000,
            jobs_max: 2,
            job_bytes_max: 100_000,
            ..Limits::default()
        };
        let config = Config {
            // The messages that peers bring are this profile's.
            profile: Profile::Documented,
            message_bytes_max: 100_000,
            job_threshold_bytes: 2000,
            limits: limits.clone(),
            ..Config::default()
        };
        let (now, seen_ttl) = (Instant::now(), config.seen_ttl);
        let state = State::new(config, Arc::new(TestKeys(1)), [7; 32], 1_000_000, now);
        let mut new = Self {
            state: state.expect("a sound config"),
            now,
            limits,
            seen_ttl,
            connected: BTreeSet::new(),
            jobs: VecDeque::new(),
            delivered: BTreeMap::new(),
            sent_headers: Vec::new(),
            sent: BTreeMap::new(),
        };
        let topics = [topic_of(0), topic_of(1)];
        for topic in &topics {
            new.input(Input::Subscribe(topic.clone()));
        }
        for peer in 0..2 {
            new.connect(peer);
            let entries = topics.clone().map(Control::Subscribe);
            new.input(Input::Control(peer_of(peer), encode_control(&entries)));
        }
        new
    }

    pub(super) fn input(&mut self, input: Input<u32>) {
        self.state.handle(self.now, input);
        self.drain();
    }

    pub(super) fn connect(&mut self, number: u8) {
        self.admit(peer_of(number));
    }

    fn admit(&mut self, peer: u32) {
        if self.connected.insert(peer) {
            self.input(Input::Connected(peer, gossip::Direction::Inbound));
        }
    }

    pub(super) fn reset_streams(&mut self, number: u8) {
        let peer = peer_of(number);
        if self.connected.contains(&peer) {
            self.sent.remove(&peer);
            self.input(Input::StreamsReset(peer));
        }
    }

    pub(super) fn disconnect(&mut self, number: u8) {
        let peer = peer_of(number);
        if self.connected.remove(&peer) {
            self.gone(peer);
        }
    }

    fn gone(&mut self, peer: u32) {
        self.sent.remove(&peer);
        self.input(Input::Disconnected(peer));
        assert!(self.state.next_data(self.now, peer).is_none(), "data for a peer that is gone");
        assert!(self.state.next_control(self.now, peer).is_none(), "control for one that is gone");
    }

    /// Takes one data frame of a peer and reads it as the peer would.
    pub(super) fn next_data(&mut self, peer: u32) {
        self.take_data(peer);
        self.drain();
    }

    fn take_data(&mut self, peer: u32) -> bool {
        let Some(frame) = self.state.next_data(self.now, peer) else { return false };
        assert!(self.connected.contains(&peer), "data for a peer that is not connected");
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let bytes = frame.len() as u64;
        let frame = DataFrame::decode(frame.to_bytes()).expect("its own frames decode");
        let sent = self.sent.entry(peer).or_default();
        if let Some(epoch) = frame.epoch {
            *sent = (epoch, 0);
        }
        sent.1 += bytes;
        if let Some(signed) = frame.header {
            self.sent_headers.push(signed.header.hash());
        }
        true
    }

    /// Takes one control frame of a peer and reads it as the peer would.
    pub(super) fn next_control(&mut self, peer: u32) {
        self.take_control(peer);
        self.drain();
    }

    fn take_control(&mut self, peer: u32) -> bool {
        let Some(frame) = self.state.next_control(self.now, peer) else { return false };
        assert!(self.connected.contains(&peer), "control for a peer that is not connected");
        assert!(frame.len() <= FRAME_BYTES_MAX);
        decode_control(frame.to_bytes()).expect("its own frames decode");
        true
    }

    /// Takes all the frames there are for a peer, and acknowledges them as it should.
    pub(super) fn serve(&mut self, peer: u32) {
        let mut frames = 0;
        while self.take_data(peer) {
            frames += 1;
            assert!(frames < FRAMES_MAX, "data without end");
            let (epoch, bytes) = self.sent(peer);
            let taken = Acknowledgement { epoch, bytes, waited: Duration::ZERO };
            self.input(Input::Control(peer, encode_control(&[Control::Acknowledge(taken)])));
        }
        while self.take_control(peer) {
            frames += 1;
            assert!(frames < FRAMES_MAX, "control without end");
        }
        self.drain();
    }

    /// Gives the oldest job back, as `outcome` if there is one, else as its result.
    pub(super) fn finish_job(&mut self, outcome: Option<Outcome>) {
        if let Some((id, job)) = self.jobs.pop_front() {
            let outcome = outcome.unwrap_or_else(|| job.run());
            self.input(Input::WorkDone(id, outcome));
        }
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TIMEOUTS_PER_WAIT_MAX {
            let due = self.state.poll_timeout().filter(|(at, _)| *at <= end);
            let Some((at, _)) = due else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.state.handle_timeout(self.now);
            self.drain();
        }
        panic!("the timer {:?} runs in circles", self.state.poll_timeout());
    }

    /// Returns the epoch of the data stream to `peer` and the bytes sent on it.
    pub(super) fn sent(&self, peer: u32) -> (u32, u64) {
        self.sent.get(&peer).copied().unwrap_or_default()
    }

    /// Returns a header that the state sent to somebody.
    pub(super) fn sent_header(&self, number: u8) -> Option<HeaderHash> {
        let len = self.sent_headers.len();
        (len > 0).then(|| self.sent_headers[usize::from(number) % len])
    }

    fn drain(&mut self) {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::Deliver(delivery) => self.deliver(&delivery),
                Output::Work(id, job) => self.jobs.push_back((id, job)),
                Output::Disconnect { peer, .. } => {
                    assert!(self.connected.remove(&peer), "disconnects one that is not connected");
                    self.gone(peer);
                }
                Output::DataReady(peer) | Output::ControlReady(peer) => {
                    // The writer may have no room just now. A verdict may have come in between.
                    assert!(peer <= NEWCOMER);
                }
                _ => {}
            }
        }
    }

    fn deliver(&mut self, delivery: &Delivery<u32>) {
        let Delivery { message, payload, .. } = delivery;
        assert_eq!(message_id(payload), *message, "delivered what was not verified");
        let before = self.delivered.insert(*message, self.now);
        let again = before.is_some_and(|before| self.now < before + self.seen_ttl);
        assert!(!again || self.state.stats().seen_evicted > 0, "delivered a message twice");
    }

    /// Checks what must hold after each operation.
    pub(super) fn check(&self) {
        let view = self.state.view();
        let open: Vec<_> = view.open_messages().collect();
        assert!(open.len() <= self.limits.open_messages_max, "too many open messages");
        assert!(open.iter().all(|message| message.rank <= message.fragments));
        assert!(view.topics().count() <= self.limits.topics_max, "too many topics");
        assert!(self.jobs.len() <= self.limits.jobs_max, "too many jobs");

        let peers: BTreeMap<_, _> = view.peers().map(|peer| (peer.peer, peer)).collect();
        assert!(peers.keys().eq(self.connected.iter()), "other peers than those connected");
        for peer in peers.values() {
            assert!(peer.topics.len() <= self.limits.topics_per_peer_max, "too many topics");
        }
    }

    /// Checks that only subscribed peers are in a mesh; a heartbeat must have come since the last
    /// change.
    fn check_meshes(&self) {
        let view = self.state.view();
        let peers: BTreeMap<_, _> = view.peers().map(|peer| (peer.peer, peer.topics)).collect();
        for topic in view.topics() {
            for peer in view.mesh(topic) {
                let subscribed = peers.get(&peer).is_some_and(|topics| topics.contains(topic));
                assert!(subscribed, "a peer in the mesh of a topic that it did not subscribe");
            }
        }
    }

    /// Checks that nothing that happened keeps a newcomer's sound message from being delivered, or
    /// an own one from being published.
    fn check_service(&mut self) {
        assert!(self.state.accepts_publish(), "nothing is under way, and publishes are refused");
        for other in 1..3 {
            self.input(Input::Unsubscribe(topic_of(other)));
        }
        self.input(Input::Subscribe(topic_of(0)));
        let peer = NEWCOMER;
        self.admit(peer);
        let entries = [Control::Hello, Control::Subscribe(topic_of(0))];
        self.input(Input::Control(peer, encode_control(&entries)));
        let (frames, message) = fresh();
        for frame in frames {
            self.input(Input::Data(peer, frame.encode().to_bytes()));
        }
        assert!(self.delivered.contains_key(&message), "a sound message is not delivered");
    }

    /// Lets everything come to rest and checks that nothing is held for ever.
    pub(super) fn finish(mut self) -> Stats {
        while !self.jobs.is_empty() {
            self.finish_job(None);
        }
        for peer in self.connected.clone() {
            self.serve(peer);
        }
        self.wait(HEARTBEAT);
        self.check_meshes();
        for peer in 0..4 {
            self.disconnect(peer);
        }
        self.wait(Duration::from_mins(1));
        while !self.jobs.is_empty() {
            self.finish_job(None);
        }
        self.wait(Duration::from_mins(1));
        self.check();
        let view = self.state.view();
        assert_eq!(view.open_messages().count(), 0, "an open message outlived its time");
        assert_eq!(view.retained_messages().count(), 0, "a retained message outlived its time");
        self.check_service();
        self.state.stats().clone()
    }
}
