//! The state of one node. This file routes inputs and owns outbox and timers; each concept's
//! handlers are in a file of its own: `peers` (come and go, subscriptions, mesh), `publish`,
//! `receive` (data), `control`, `decode`, `send`, `pull` and `heartbeat`; of profile `adaptive`
//! alone `data_peers`, `fragments`, `asking`, `feeding` and `combining`.

mod asking;
mod combining;
mod control;
mod data_peers;
mod decode;
mod feeding;
mod fragments;
mod heartbeat;
mod peers;
mod publish;
mod pull;
mod receive;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rlnc::Pool;

use crate::{
    Config, ConfigError, Fault, HeaderHash, Input, Keys, MessageId, Output, PeerName, Profile,
    PublisherId, Stats, Topic, TopicStats, View,
    answers::Answers,
    jobs::Jobs,
    message::Messages,
    outbox::Outbox,
    peer::Peer,
    recent::Recent,
    repair::Repairs,
    replay::ReplayWindow,
    rumours::Rumours,
    score::{self, Records},
    topic::TopicState,
    window::{WindowConfig, Windows},
    wire::WireError,
};

/// How many headers of messages that are gone are remembered, so that late shards are no fault.
const RETIRED_MAX: usize = 1 << 16;

/// How long a peer is kept away that did what no mistake explains.
const BAN_LONG: Duration = Duration::from_secs(600);

/// How long a peer is kept away that may be broken rather than hostile.
const BAN_SHORT: Duration = Duration::from_secs(60);

/// How often meshes of low scores are looked at; at 700 ms once a minute (GossipSub v1.1).
const OPPORTUNITY_HEARTBEATS: u32 = 86;

/// Which deadline [`State::poll_timeout`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The heartbeat: mesh upkeep, news, retention.
    Heartbeat,
    /// An acknowledgement has waited long enough.
    Acknowledge,
    /// A message that others hold is to be asked for.
    Repair,
    /// A peer has not acknowledged for too long.
    Window,
    /// Something is to be told or asked for, in profile `adaptive`.
    Fragments,
}

/// The protocol state of one node; see the crate's contract.
pub struct State<P> {
    pub(crate) config: Config,
    keys: Arc<dyn Keys>,
    rng: ChaCha12Rng,
    /// Our own name as a publisher.
    publisher: PublisherId,
    /// The number of the next message that we publish.
    sequence: u64,
    pub(crate) peers: BTreeMap<P, Peer>,
    pub(crate) topics: BTreeMap<Topic, TopicState<P>>,
    pub(crate) messages: Messages<P>,
    pub(crate) windows: Windows<P>,
    replay: ReplayWindow,
    /// Verified messages of a while.
    seen: Recent<MessageId>,
    /// Headers of messages that are gone.
    retired: Recent<HeaderHash>,
    /// Headers of messages dropped undelivered, which may come again.
    dropped: Recent<HeaderHash>,
    repairs: Repairs<P>,
    /// Messages that others tell of and whose header has not come.
    rumours: Rumours<P>,
    /// When who is to be sent an acknowledgement.
    acknowledgements: BTreeSet<(Instant, P)>,
    /// Peers that may not be asked for more fragments until one comes.
    full: BTreeSet<P>,
    /// The same of messages that are fetched late.
    full_late: BTreeSet<P>,
    /// How often one of them had room again.
    had_room_again: u64,
    /// How long answers take.
    answers: Answers<P>,
    /// When something is to be done for a message of profile `adaptive`.
    agenda: BTreeSet<(Instant, HeaderHash)>,
    /// What is held against peers that left.
    records: Records<P>,
    /// Heartbeats until meshes of low scores are looked at.
    opportunity_in: u32,
    jobs: Jobs,
    /// Where the buffers of decoded payloads come from and go back to.
    pool: Pool,
    /// Own messages of which not even one copy has left yet, and their bytes.
    leaving: BTreeMap<HeaderHash, u64>,
    /// Bytes of own messages being hashed or in `leaving`.
    publishing_bytes: u64,
    /// A publish was refused room since the last [`Output::PublishRoom`].
    publish_waits: bool,
    next_heartbeat: Instant,
    outbox: Outbox<P>,
    stats: Stats,
    /// At most `TOPICS_COUNTED_MAX`.
    topic_stats: BTreeMap<Topic, TopicStats>,
}

impl<P: PeerName> State<P> {
    /// Makes a state without peers and topics.
    ///
    /// `sequence` is the number of the first message published: the Unix time in nanoseconds, so
    /// that a node that starts again does not use a number twice.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if `config` cannot work.
    pub fn new(
        config: Config,
        keys: Arc<dyn Keys>,
        seed: [u8; 32],
        sequence: u64,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            publisher: keys.publisher(),
            rng: ChaCha12Rng::from_seed(seed),
            sequence,
            peers: BTreeMap::new(),
            topics: BTreeMap::new(),
            messages: Messages::new(),
            windows: Windows::new(WindowConfig {
                limited: config.windows,
                paced: config.profile == Profile::Adaptive,
                near_rtt: config.adaptive.near_rtt,
            }),
            replay: ReplayWindow::new(config.limits.publishers_max),
            seen: Recent::new(config.seen_ttl, config.limits.seen_messages_max),
            retired: Recent::new(config.seen_ttl, RETIRED_MAX),
            dropped: Recent::new(config.seen_ttl, RETIRED_MAX),
            repairs: Repairs::new(),
            rumours: Rumours::new(),
            acknowledgements: BTreeSet::new(),
            full: BTreeSet::new(),
            full_late: BTreeSet::new(),
            had_room_again: 0,
            answers: Answers::default(),
            agenda: BTreeSet::new(),
            records: Records::new(),
            opportunity_in: OPPORTUNITY_HEARTBEATS,
            jobs: Jobs::default(),
            pool: Pool::new(config.limits.idle_bytes_max),
            leaving: BTreeMap::new(),
            publishing_bytes: 0,
            publish_waits: false,
            next_heartbeat: now + config.heartbeat,
            outbox: Outbox::new(),
            stats: Stats::default(),
            topic_stats: BTreeMap::new(),
            config,
            keys,
        })
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input<P>) {
        match input {
            Input::Connected(peer, direction) => self.on_connected(now, peer, direction),
            Input::StreamsReset(peer) => self.on_streams_reset(now, peer),
            Input::Disconnected(peer) => self.on_disconnected(peer),
            Input::Data(peer, frame) => self.on_data(now, peer, frame),
            Input::Control(peer, frame) => self.on_control(now, peer, frame),
            Input::Malformed(peer, error) => self.on_malformed(peer, error),
            Input::Subscribe(topic) => self.subscribe(now, &topic),
            Input::Unsubscribe(topic) => self.unsubscribe(now, &topic),
            Input::Publish(publish) => self.publish(now, publish),
            Input::WorkDone(job, outcome) => self.on_work_done(now, job, outcome),
            Input::Tracing(on) => self.outbox.set_tracing(on),
        }
        self.settle();
    }

    /// Does what is due; a call before [`State::poll_timeout`] does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next_heartbeat {
            self.heartbeat(now);
            // After a long pause one heartbeat is enough; the rhythm starts anew.
            self.next_heartbeat = (self.next_heartbeat + self.config.heartbeat).max(now);
        }
        self.repair(now);
        self.attend(now);
        self.stats.peers_stalled += self.windows.handle_timeout(now);
        self.acknowledge(now);
        self.settle();
    }

    /// Returns the next deadline and what it is for.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        [
            Some((self.next_heartbeat, Timer::Heartbeat)),
            self.acknowledgements.first().map(|&(at, _)| (at, Timer::Acknowledge)),
            self.repairs.next_due().map(|at| (at, Timer::Repair)),
            self.windows.poll_timeout().map(|at| (at, Timer::Window)),
            self.agenda.first().map(|&(at, _)| (at, Timer::Fragments)),
            self.rumours.next_due().map(|at| (at, Timer::Fragments)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns what is to be done, until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outbox.pop()
    }

    /// Returns a read-only picture.
    pub fn view(&self) -> View<'_, P> {
        View { state: self }
    }

    /// Returns the counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the counters of each topic that was ever subscribed, as many as are kept.
    pub fn topic_stats(&self) -> &BTreeMap<Topic, TopicStats> {
        &self.topic_stats
    }

    /// Counts in a topic that was subscribed.
    fn count(&mut self, topic: &Topic, count: impl FnOnce(&mut TopicStats)) {
        if let Some(stats) = self.topic_stats.get_mut(topic) {
            count(stats);
        }
    }

    /// Gives out what the last call made possible: jobs, and data for peers whose window opened.
    fn settle(&mut self) {
        while let Some((id, job)) = self.jobs.start(&self.config.limits) {
            self.outbox.push(Output::Work(id, job));
        }
        while let Some(peer) = self.windows.poll_ready() {
            if self.peers.get(&peer).is_none_or(|state| state.queue.is_empty()) {
                self.windows.decline(peer);
            }
            self.tell_data_ready(peer);
        }
        self.tell_publish_room();
    }

    fn on_malformed(&mut self, peer: P, error: WireError) {
        if self.peers.contains_key(&peer) {
            self.disconnect(peer, Fault::Malformed(error));
        }
    }

    /// Ends a peer that broke a rule. Nothing more is taken from it or sent to it; the driver
    /// answers with [`Input::Disconnected`].
    fn disconnect(&mut self, peer: P, fault: Fault) {
        self.hold_against(peer, score::demerits(&fault));
        let ban = match fault {
            Fault::BadSignature { .. } | Fault::BadShard { .. } => BAN_LONG,
            Fault::Malformed(_)
            | Fault::UnknownHeader { .. }
            | Fault::OtherProfile
            | Fault::BadAcknowledgement { .. }
            | Fault::Flood { .. } => BAN_SHORT,
            Fault::ControlBacklog { .. } => Duration::ZERO,
        };
        self.stats.peers_disconnected += 1;
        if matches!(fault, Fault::ControlBacklog { .. }) {
            self.stats.control_backlogs += 1;
        }
        self.outbox.push(Output::Disconnect { peer, fault, ban });
        self.on_disconnected(peer);
    }

    /// Counts something against a peer. Its meshes are left at the next heartbeat.
    fn hold_against(&mut self, peer: P, demerits: f64) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let before = state.record.is_graylisted();
        state.record.on_demerits(demerits);
        self.stats.peers_graylisted += u64::from(!before && state.record.is_graylisted());
    }

    /// Tells the driver that control waits for `peer`.
    fn tell_control_ready(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let bytes = state.control.bytes();
        if bytes > self.config.limits.control_bytes_max {
            return self.disconnect(peer, Fault::ControlBacklog { bytes });
        }
        if !std::mem::replace(&mut state.control_ready, true) {
            self.outbox.push(Output::ControlReady(peer));
            self.schedule_acknowledgement(peer);
        }
    }

    /// Tells the driver that data waits for `peer`, if some does.
    fn tell_data_ready(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if !state.queue.is_empty() && !std::mem::replace(&mut state.data_ready, true) {
            self.outbox.push(Output::DataReady(peer));
        }
    }
}
