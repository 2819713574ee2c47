//! One state with peers that are moved by hand: what a hostile or broken peer can do.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::{
    Config, Delivery, Direction, Fault, GenerationId, Header, Input, Job, JobId, Outcome, Output,
    SignedHeader, State, Topic, Trace, message_id,
    wire::{
        Acknowledgement, Control, DataFrame, Piece, ShardStart, decode_control, encode_control,
    },
};
use rlnc::{Encoder, Shape};

use super::{TestKeys, start, state_of, topic};

/// A state, and everything it did to the world.
pub struct Stage {
    pub state: State<u32>,
    pub now: Instant,
    pub deliveries: Vec<Delivery<u32>>,
    pub faults: Vec<(u32, Fault)>,
    pub control: Vec<(u32, Control)>,
    pub data: Vec<(u32, DataFrame)>,
    pub traces: Vec<Trace<u32>>,
    /// Jobs are kept in `jobs` instead of run at once.
    pub holds_jobs: bool,
    pub jobs: VecDeque<(JobId, Job)>,
}

impl Stage {
    /// A state named 0 that subscribed "t", with `peers` connected and subscribed too.
    pub fn new(config: Config, peers: &[u32]) -> Self {
        let now = start();
        let state = state_of(0, config, 7, 1_000_000, now);
        let mut new = Self {
            state,
            now,
            deliveries: Vec::new(),
            faults: Vec::new(),
            control: Vec::new(),
            data: Vec::new(),
            traces: Vec::new(),
            holds_jobs: false,
            jobs: VecDeque::new(),
        };
        new.input(Input::Subscribe(topic("t")));
        for &peer in peers {
            new.connect(peer);
        }
        new
    }

    pub fn connect(&mut self, peer: u32) {
        self.input(Input::Connected(peer, Direction::Inbound));
        self.control(peer, &[Control::Hello, Control::Subscribe(topic("t"))]);
    }

    /// Brings back the oldest job held, with `outcome` or with its own.
    pub fn finish_job(&mut self, outcome: Option<Outcome>) {
        let (id, job) = self.jobs.pop_front().expect("a job is held");
        self.input(Input::WorkDone(id, outcome.unwrap_or_else(|| job.run())));
    }

    /// Gives one input and runs everything that it brings, jobs included unless they are held.
    pub fn input(&mut self, input: Input<u32>) {
        self.state.handle(self.now, input);
        self.settle();
    }

    pub fn control(&mut self, from: u32, entries: &[Control]) {
        self.input(Input::Control(from, encode_control(entries)));
    }

    pub fn data(&mut self, from: u32, frame: DataFrame) {
        self.input(Input::Data(from, frame.encode().to_bytes()));
    }

    /// The peer has got all data that left to it, if any.
    pub fn acknowledge_all(&mut self, peer: u32) {
        let sent = || self.data.iter().filter(|(to, _)| *to == peer).map(|(_, frame)| frame);
        let Some(epoch) = sent().find_map(|frame| frame.epoch) else { return };
        let bytes = sent().map(|frame| frame.clone().encode().len() as u64).sum();
        let acknowledgement = Acknowledgement { epoch, bytes, waited: Duration::ZERO };
        self.control(peer, &[Control::Acknowledge(acknowledgement)]);
    }

    /// Lets time pass, timers included.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.state.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.state.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        while let Some(output) = self.state.poll_output() {
            match output {
                Output::DataReady(peer) => {
                    while let Some(frame) = self.state.next_data(self.now, peer) {
                        let frame = DataFrame::decode(frame.to_bytes()).expect("own frames decode");
                        self.data.push((peer, frame));
                    }
                }
                Output::ControlReady(peer) => {
                    while let Some(frame) = self.state.next_control(self.now, peer) {
                        let entries = decode_control(frame.to_bytes()).expect("own frames decode");
                        self.control.extend(entries.into_iter().map(|entry| (peer, entry)));
                    }
                }
                Output::Deliver(delivery) => self.deliveries.push(delivery),
                Output::Work(job, work) if self.holds_jobs => self.jobs.push_back((job, work)),
                Output::Work(job, work) => {
                    self.state.handle(self.now, Input::WorkDone(job, work.run()));
                }
                Output::Disconnect { peer, fault, .. } => self.faults.push((peer, fault)),
                Output::Published { .. } | Output::PublishRefused { .. } | Output::PublishRoom => {}
                Output::Trace(trace) => self.traces.push(trace),
            }
        }
    }

    /// Returns what `peer` was told, acknowledgements and subscriptions left out.
    pub fn told(&self, peer: u32) -> Vec<Control> {
        let of_peer = self.control.iter().filter(|(to, _)| *to == peer).map(|(_, entry)| entry);
        let dull = |entry: &&Control| {
            matches!(entry, Control::Acknowledge(_) | Control::Hello | Control::Subscribe(_))
        };
        of_peer.filter(|entry| !dull(entry)).cloned().collect()
    }
}

/// A message made by hand.
pub struct Crafted {
    pub header: Header,
    pub payload: Bytes,
    pub shape: Shape,
}

impl Crafted {
    /// A sound message of publisher `name` on "t", four fragments.
    pub fn new(name: u32, sequence: u64, payload: Bytes) -> Self {
        let shape = Shape::for_payload(payload.len() as u64, 4).expect("a sound shape");
        let header = Header {
            cluster: Bytes::new(),
            topic: topic("t"),
            payload_bytes: payload.len() as u64,
            fragments: 4,
            fragment_bytes: shape.fragment_bytes(),
            publisher: TestKeys::publisher_of(name),
            public_key: None,
            sequence,
            published_unix_ns: 0,
            message: message_id(&payload),
            root: Bytes::new(),
        };
        Self { header, payload, shape }
    }

    pub fn on(mut self, topic: Topic) -> Self {
        self.header.topic = topic;
        self
    }

    fn name(&self) -> u32 {
        let bytes = self.header.publisher.as_bytes();
        u32::from_be_bytes(bytes[..].try_into().expect("four bytes"))
    }

    pub fn signed(&self) -> SignedHeader {
        self.header.clone().sign(&TestKeys(self.name()))
    }

    pub fn generation(&self) -> GenerationId {
        GenerationId { header: self.header.hash(), index: 0 }
    }

    /// Shard `index`: the plain fragment as a coded shard, with its header in front.
    pub fn frame(&self, index: usize) -> DataFrame {
        let mut coefficients = vec![0; 4];
        coefficients[index % 4] = 1;
        self.frame_of(&coefficients)
    }

    /// The shard of a coefficient vector, with its header in front, in one piece.
    pub fn frame_of(&self, coefficients: &[u8]) -> DataFrame {
        let encoder = Encoder::new(self.shape, self.payload.clone()).expect("a sound message");
        let mut bytes = vec![0; self.shape.fragment_bytes() as usize];
        let all = 0..bytes.len();
        encoder.write_range(coefficients, all, &mut bytes);
        let start = ShardStart {
            publisher_index: None,
            coefficients: Bytes::copy_from_slice(coefficients),
        };
        let piece = Piece {
            generation: self.generation(),
            offset: 0,
            start: Some(start),
            bytes: bytes.into(),
        };
        DataFrame { header: Some(self.signed()), piece: Some(piece), ..DataFrame::default() }
    }

    /// The same without header.
    pub fn bare_frame(&self, index: usize) -> DataFrame {
        DataFrame { header: None, ..self.frame(index) }
    }
}
