//! The coded gossip protocol in the network: [`gossip::State`] itself, driven as a node drives it.

mod cost;
mod keys;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gossip::{
    COMMITMENT_BYTES, Config, ConfigError, Fault, GenerationId, Input, Job, JobId, Output, Publish,
    State, Stats, Topic, View, wire::DataFrame,
};

use crate::protocol::{Direction, Event, Lane, NodeId, Outgoing, Protocol, Received};

pub use cost::{HASH_BYTES_PER_SECOND, MULTIPLY_BYTES_PER_SECOND, SIGNATURE_CHECK_TIME};
pub use keys::SimKeys;

/// The one topic of the network.
pub const TOPIC: &str = "simulated";

/// The Unix time at which networks begin, in nanoseconds: what sequence numbers begin with.
const UNIX_NS: u64 = 1_700_000_000_000_000_000;

/// A frame on the way, and what is in it, so that the receiver need not look.
#[derive(Clone, Debug, Default)]
pub struct CodedFrame {
    /// What is on the wire, payload divided by the scale.
    pub bytes: Bytes,
    /// Bytes of the header in it.
    header: u32,
    /// Bytes of the coefficient vector in it.
    coefficients: u32,
    /// Payload, scaled.
    payload: u32,
    /// Where the shard is at its end, scaled.
    end: u64,
}

impl CodedFrame {
    /// A frame made by hand, of which nothing is known; its payload is not scaled.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, ..Self::default() }
    }
}

/// A node that runs [`State`].
pub struct Coded {
    state: State<NodeId>,
    topic: Topic,
    scale: u32,
    begin: Instant,
    next_ticket: u64,
    jobs: BTreeMap<u64, (JobId, Job)>,
    next_job: u64,
    received: Received,
    payload_received: u64,
    cpu: Duration,
    /// The shard that is on the way to each peer in pieces: how many multiplications a byte costs.
    coding: BTreeMap<(NodeId, GenerationId), usize>,
    refused: u64,
    faults: Vec<(NodeId, Fault)>,
}

impl Coded {
    /// Makes a node that has joined the topic. `config` has sizes as they are, not scaled.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if `config` cannot work.
    pub fn new(
        config: &Config,
        name: NodeId,
        starts: u32,
        seed: u64,
        begin: Instant,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let topic = Topic::new(TOPIC).expect("a sound topic");
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes[8..12].copy_from_slice(&name.to_be_bytes());
        bytes[12..16].copy_from_slice(&starts.to_be_bytes());
        let sequence = UNIX_NS + now.duration_since(begin).as_nanos() as u64;
        let scale = config.payload_scale;
        let keys = Arc::new(SimKeys(name));
        let mut state = State::new(scaled(config), keys, bytes, sequence, now)?;
        state.handle(now, Input::Subscribe(topic.clone()));
        Ok(Self {
            state,
            topic,
            scale,
            begin,
            next_ticket: 0,
            jobs: BTreeMap::new(),
            next_job: 0,
            received: Received::default(),
            payload_received: 0,
            cpu: Duration::ZERO,
            coding: BTreeMap::new(),
            refused: 0,
            faults: Vec::new(),
        })
    }

    /// Returns a read-only picture of the state.
    pub fn view(&self) -> View<'_, NodeId> {
        self.state.view()
    }

    /// Returns the counters of the state.
    pub fn stats(&self) -> &Stats {
        self.state.stats()
    }

    /// Returns how many publishes were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the rules that were broken, and by whom.
    pub fn faults(&self) -> &[(NodeId, Fault)] {
        &self.faults
    }

    /// Takes a data frame, and counts what its shard turned out to be.
    fn take_data(&mut self, now: Instant, peer: NodeId, frame: CodedFrame) {
        let CodedFrame { bytes, header, coefficients, payload, end } = frame;
        self.received.header += u64::from(header);
        self.received.coefficients += u64::from(coefficients);
        self.payload_received += u64::from(payload);
        let count = |stats: &Stats| {
            [stats.shards_innovative, stats.shards_duplicate, stats.shards_unhelpful]
        };
        let before = count(self.state.stats());
        let headers = self.state.stats().headers_accepted;
        self.state.handle(now, Input::Data(peer, bytes));
        let after = count(self.state.stats());
        let [useful, duplicate, dependent] =
            [0, 1, 2].map(|kind| (after[kind] - before[kind]) * end);
        self.received.useful += useful;
        self.received.duplicate += duplicate;
        self.received.dependent += dependent;
        let checks = self.state.stats().headers_accepted - headers;
        self.cpu += SIGNATURE_CHECK_TIME * checks as u32;
    }

    /// Looks at a data frame that leaves; returns it with what is in it and its length on the wire.
    fn weigh(&mut self, peer: NodeId, frame: &gossip::wire::Frame) -> Outgoing<CodedFrame> {
        let scale = u64::from(self.scale);
        let payload = frame.body.len() as u64 * scale;
        let mut bytes = frame.head.len() as u64 + payload;
        let encoded = frame.to_bytes();
        let mut weighed =
            CodedFrame { bytes: encoded.clone(), payload: payload as u32, ..CodedFrame::default() };
        // Own frames decode; if one did not, the receiver would say so.
        if let Ok(mut data) = DataFrame::decode(encoded) {
            if let Some(header) = data.header.take() {
                let without = data.clone().encode().len();
                weighed.header = (weighed.bytes.len() - without) as u32;
                let header = header.header;
                let lengths = [header.payload_bytes, header.fragment_bytes.into()];
                bytes += lengths.map(|length| varint_growth(length, scale)).iter().sum::<u64>();
            }
            if let Some(fragment) = &data.fragment {
                weighed.header += (fragment.path.len() * COMMITMENT_BYTES) as u32;
                weighed.end = fragment.bytes.len() as u64 * scale;
                self.cpu += cost::hash(payload);
            }
            if let Some(piece) = &data.piece {
                let offset = u64::from(piece.offset);
                weighed.end = (offset + piece.bytes.len() as u64) * scale;
                if let Some(start) = &piece.start {
                    weighed.coefficients = start.coefficients.len() as u32;
                    let recoded = start.publisher_index.is_none();
                    let factor = if recoded { start.coefficients.len() } else { 0 };
                    self.coding.insert((peer, piece.generation), factor);
                } else {
                    bytes += varint_growth(offset, scale);
                }
                let factor = self.coding.get(&(peer, piece.generation)).copied().unwrap_or(0);
                self.cpu += cost::multiply(payload * factor as u64);
            }
        }
        Outgoing { frame: weighed, bytes: bytes as u32, payload_bytes: payload as u32 }
    }

    fn give_out(&mut self, id: JobId, job: Job) -> Event {
        let time = cost::job(&job, self.scale);
        self.cpu += time;
        let name = self.next_job;
        self.next_job += 1;
        self.jobs.insert(name, (id, job));
        Event::Work { id: name, time }
    }
}

impl Protocol for Coded {
    type Frame = CodedFrame;

    fn on_connected(&mut self, now: Instant, peer: NodeId, direction: Direction) {
        self.state.handle(now, Input::Connected(peer, direction));
    }

    fn on_disconnected(&mut self, now: Instant, peer: NodeId) {
        self.state.handle(now, Input::Disconnected(peer));
        self.coding.retain(|&(of, _), _| of != peer);
    }

    fn on_frame(&mut self, now: Instant, peer: NodeId, lane: Lane, frame: CodedFrame) {
        match lane {
            Lane::Data => self.take_data(now, peer, frame),
            Lane::Control => self.state.handle(now, Input::Control(peer, frame.bytes)),
        }
    }

    fn publish(&mut self, now: Instant, payload: Bytes) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let published_unix_ns = UNIX_NS + now.duration_since(self.begin).as_nanos() as u64;
        let topic = self.topic.clone();
        self.state
            .handle(now, Input::Publish(Publish { ticket, topic, payload, published_unix_ns }));
    }

    fn on_work_done(&mut self, now: Instant, id: u64) {
        if let Some((id, job)) = self.jobs.remove(&id) {
            self.state.handle(now, Input::WorkDone(id, job.run()));
        }
    }

    fn next_frame(
        &mut self,
        now: Instant,
        peer: NodeId,
        lane: Lane,
    ) -> Option<Outgoing<CodedFrame>> {
        match lane {
            Lane::Data => {
                let frame = self.state.next_data(now, peer)?;
                Some(self.weigh(peer, &frame))
            }
            Lane::Control => {
                let frame = self.state.next_control(now, peer)?;
                let bytes = frame.len() as u32;
                let frame = CodedFrame { bytes: frame.head, ..CodedFrame::default() };
                Some(Outgoing { frame, bytes, payload_bytes: 0 })
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.state.poll_timeout().map(|(at, _)| at)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.state.handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<Event> {
        loop {
            return Some(match self.state.poll_output()? {
                Output::DataReady(peer) => Event::Ready(peer, Lane::Data),
                Output::ControlReady(peer) => Event::Ready(peer, Lane::Control),
                Output::Deliver(delivery) => Event::Delivered(delivery.message),
                Output::Work(id, job) => self.give_out(id, job),
                Output::Disconnect { peer, fault, .. } => {
                    self.faults.push((peer, fault));
                    Event::Convicted(peer)
                }
                Output::PublishRefused { .. } => {
                    self.refused += 1;
                    continue;
                }
                Output::Published { .. } | Output::PublishRoom | Output::Trace(_) => continue,
            });
        }
    }

    fn received(&self) -> Received {
        let Received { useful, duplicate, dependent, .. } = self.received;
        // The rest came when the message was complete, or never became a whole shard.
        let late = self.payload_received.saturating_sub(useful + duplicate + dependent);
        Received { late, ..self.received }
    }

    fn cpu(&self) -> Duration {
        self.cpu
    }
}

/// Returns `config` for payloads divided by its scale: the sizes that the state compares with those
/// of payloads.
fn scaled(config: &Config) -> Config {
    let scale = u64::from(config.payload_scale);
    let mut scaled = config.clone();
    scaled.message_bytes_max = (scaled.message_bytes_max / scale).max(1);
    scaled.job_threshold_bytes /= scale;
    let limits = &mut scaled.limits;
    limits.open_bytes_max /= scale;
    limits.partial_bytes_max /= scale;
    limits.retain_bytes_max /= scale;
    limits.publish_bytes_max /= scale;
    limits.job_bytes_max /= scale;
    scaled
}

/// Returns how many bytes more a length takes on the wire when it is not divided by the scale.
fn varint_growth(length: u64, scale: u64) -> u64 {
    let encoded = |value: u64| u64::from((64 - value.leading_zeros()).div_ceil(7).max(1));
    encoded(length * scale) - encoded(length)
}
