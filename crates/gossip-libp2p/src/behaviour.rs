//! The behaviour: owns the state, moves frames between it and the connections.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use gossip::{
    Delivery, Direction, Input, JobId, MessageId, Outcome, Output, Publish, PublishError, State,
    Stats, Topic, TopicStats, Trace, View,
    wire::{FRAME_BYTES_MAX, WireError},
};
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, ToSwarm, behaviour::ConnectionEstablished,
    },
};
use tokio::{
    task::{self, JoinSet},
    time::{Sleep, sleep_until},
};
use tracing::{debug, trace};

use crate::{
    handler::{Command, Handler, Place, Report},
    links::{Link, Links},
    upgrade::{Kind, Versions},
};

/// What the protocol has to tell.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message for the application.
    Delivered(Delivery<PeerId>),
    /// Something that a trace reader wants to know.
    Traced(Trace<PeerId>),
    /// A message of this node is on its way.
    Published {
        /// The ticket of [`Publish`].
        ticket: u64,
        /// Its id.
        message: MessageId,
        /// Where it was published.
        topic: Topic,
    },
    /// A message of this node was not published.
    PublishRefused {
        /// The ticket of [`Publish`].
        ticket: u64,
        /// Where it was to be published.
        topic: Topic,
        /// Why not.
        error: PublishError,
    },
    /// [`Behaviour::accepts_publish`] is true again.
    PublishRoom,
    /// A peer broke a rule. Its connections are being closed; keep it away for `ban`.
    Misbehaved {
        /// Who.
        peer: PeerId,
        /// Which rule, as text for a log.
        reason: String,
        /// How long.
        ban: Duration,
    },
}

/// Which way a data frame moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was chosen for the peer and handed to its writer.
    Out,
    /// It came from the peer and was taken in.
    In,
}

/// Told of each data frame: which way, from or to whom, and its bytes.
type Observer = Box<dyn FnMut(Moved, PeerId, usize) + Send>;

/// The gossip protocol as a libp2p behaviour.
pub struct Behaviour {
    state: State<PeerId>,
    versions: Versions,
    links: Links,
    /// Taken in since the last poll, where there is a clock.
    /// A frame comes with its place in the intake of its connection.
    inputs: VecDeque<(Input<PeerId>, Option<Place>)>,
    actions: VecDeque<ToSwarm<Event, Command>>,
    /// Peers whose data writer may be filled, in the order the state said so; a peer is in it
    /// once at most.
    ready: VecDeque<PeerId>,
    jobs: JoinSet<Outcome>,
    job_ids: HashMap<task::Id, JobId>,
    timer: Pin<Box<Sleep>>,
    waker: Option<Waker>,
    observer: Option<Observer>,
}

impl Behaviour {
    /// Drives `state`, on streams of these versions. Must be called inside a tokio runtime.
    pub fn new(state: State<PeerId>, versions: Versions) -> Self {
        let deadline = state.poll_timeout().map(|(at, _)| at);
        let timer = match deadline {
            Some(at) => sleep_until(at.into()),
            None => tokio::time::sleep(Duration::ZERO),
        };
        Self {
            state,
            versions,
            links: Links::new(),
            inputs: VecDeque::new(),
            actions: VecDeque::new(),
            ready: VecDeque::new(),
            jobs: JoinSet::new(),
            job_ids: HashMap::new(),
            timer: Box::pin(timer),
            waker: None,
            observer: None,
        }
    }

    /// Tells `observer` of every data frame from here on; for measurements.
    pub fn observe_data(&mut self, observer: impl FnMut(Moved, PeerId, usize) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Lets a connected peer take part: its streams are read and ours are opened. Does nothing for
    /// a peer that is not connected; when it comes again it must be admitted again.
    pub fn admit(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer).filter(|link| !link.admitted) else { return };
        link.admitted = true;
        let connections: Vec<_> = link.connections().collect();
        let direction = link.direction.unwrap_or(Direction::Inbound);
        self.input(Input::Connected(peer, direction));
        for connection in connections {
            self.command(peer, connection, Command::Admit);
        }
        self.open(peer);
    }

    /// Takes a peer out again and closes its connections. What it sent is kept; what it was sent
    /// and did not acknowledge counts as never sent.
    pub fn deny(&mut self, peer: PeerId) {
        if self.links.get_mut(&peer).is_some() {
            self.expel(peer);
            self.input(Input::Disconnected(peer));
        }
    }

    /// Subscribes; a second time changes nothing.
    pub fn subscribe(&mut self, topic: Topic) {
        self.input(Input::Subscribe(topic));
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, topic: Topic) {
        self.input(Input::Unsubscribe(topic));
    }

    /// Publishes; [`Event::Published`] or [`Event::PublishRefused`] follows with the ticket.
    pub fn publish(&mut self, publish: Publish) {
        self.input(Input::Publish(publish));
    }

    /// Asks for [`Event::Traced`], or for none.
    pub fn set_tracing(&mut self, wanted: bool) {
        self.input(Input::Tracing(wanted));
    }

    /// Returns whether a publish has room; see [`State::accepts_publish`].
    pub fn accepts_publish(&self) -> bool {
        self.state.accepts_publish()
    }

    /// Returns a read-only picture of the protocol's state.
    pub fn view(&self) -> View<'_, PeerId> {
        self.state.view()
    }

    /// Returns the protocol's counters.
    pub fn stats(&self) -> &Stats {
        self.state.stats()
    }

    /// Returns the protocol's counters of each topic.
    pub fn topic_stats(&self) -> &BTreeMap<Topic, TopicStats> {
        self.state.topic_stats()
    }

    fn handler(&self, peer: PeerId) -> Handler {
        let admitted = self.links.get(&peer).is_some_and(|link| link.admitted);
        Handler::new(admitted, self.versions.clone())
    }

    fn input(&mut self, input: Input<PeerId>) {
        self.inputs.push_back((input, None));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn command(&mut self, peer_id: PeerId, connection: ConnectionId, event: Command) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler, event });
    }

    /// Opens our streams to an admitted peer, if they are not open.
    fn open(&mut self, peer: PeerId) {
        if let Some(connection) = self.links.get_mut(&peer).and_then(Link::pick) {
            self.command(peer, connection, Command::Open);
        }
    }

    fn on_opened(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.opened() {
            link.forget_ready();
            self.input(Input::StreamsReset(peer));
        } else if link.data.ready && !self.ready.contains(&peer) {
            self.ready.push_back(peer);
        }
    }

    fn on_lost(&mut self, peer: PeerId, connection: ConnectionId, why: &'static str) {
        debug!(%peer, why, "our streams are lost");
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.lose() {
            let connection = CloseConnection::One(connection);
            self.actions.push_back(ToSwarm::CloseConnection { peer_id: peer, connection });
        } else {
            self.open(peer);
        }
    }

    fn on_report(&mut self, peer: PeerId, connection: ConnectionId, report: Report) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let active = link.active() == Some(connection);
        match report {
            Report::Opened if active => self.on_opened(peer),
            Report::Lost(why) if active => self.on_lost(peer, connection, why),
            Report::Written(kind) if active => {
                link.written(kind);
                if kind == Kind::Data && link.data.ready && !self.ready.contains(&peer) {
                    self.ready.push_back(peer);
                }
            }
            Report::Opened | Report::Lost(_) | Report::Written(_) => {}
            Report::Accepted(kind) => link.accept(kind, connection),
            Report::Frame(kind, frame, place)
                if link.admitted && link.accepts(kind, connection) =>
            {
                let input = match kind {
                    Kind::Data => Input::Data(peer, frame),
                    Kind::Control => Input::Control(peer, frame),
                };
                self.inputs.push_back((input, Some(place)));
            }
            Report::Frame(kind, frame, _) => {
                trace!(%peer, ?kind, bytes = frame.len(), "a frame of an earlier stream");
            }
            Report::Malformed { length } => {
                let error = WireError::OutOfRange {
                    what: "the length in front of a frame, in bytes,",
                    value: length as u64,
                    min: 1,
                    max: FRAME_BYTES_MAX as u64,
                };
                self.inputs.push_back((Input::Malformed(peer, error), None));
            }
        }
    }

    /// Does what the outputs of the last call ask for.
    fn drain(&mut self) {
        while let Some(output) = self.state.poll_output() {
            let event = match output {
                Output::DataReady(peer) => {
                    if let Some(link) = self.links.get_mut(&peer) {
                        link.data.ready = true;
                        if !self.ready.contains(&peer) {
                            self.ready.push_back(peer);
                        }
                    }
                    continue;
                }
                Output::ControlReady(peer) => {
                    if let Some(link) = self.links.get_mut(&peer) {
                        link.control.ready = true;
                    }
                    continue;
                }
                Output::Work(id, job) => {
                    let handle = self.jobs.spawn_blocking(move || job.run());
                    self.job_ids.insert(handle.id(), id);
                    continue;
                }
                Output::Deliver(delivery) => Event::Delivered(delivery),
                Output::Published { ticket, message, topic } => {
                    Event::Published { ticket, message, topic }
                }
                Output::PublishRefused { ticket, topic, error } => {
                    Event::PublishRefused { ticket, topic, error }
                }
                Output::PublishRoom => Event::PublishRoom,
                Output::Trace(trace) => Event::Traced(trace),
                Output::Disconnect { peer, fault, ban } => {
                    self.expel(peer);
                    Event::Misbehaved { peer, reason: fault.to_string(), ban }
                }
            };
            self.actions.push_back(ToSwarm::GenerateEvent(event));
        }
    }

    /// Closes the connections of a peer that the state has put away.
    fn expel(&mut self, peer: PeerId) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.admitted = false;
            link.lose();
        }
        let connection = CloseConnection::All;
        self.actions.push_back(ToSwarm::CloseConnection { peer_id: peer, connection });
    }

    /// Fills the writers that have room: control first, then data, one frame a peer in turn.
    fn fill_writers(&mut self, now: Instant) {
        let control: Vec<PeerId> = self
            .links
            .iter()
            .filter(|(_, link)| link.control.wants_frame())
            .map(|(&peer, _)| peer)
            .collect();
        for peer in control {
            while self.fill(now, peer, Kind::Control) {}
        }
        while let Some(peer) = self.ready.pop_front() {
            if self.fill(now, peer, Kind::Data) && !self.ready.contains(&peer) {
                self.ready.push_back(peer);
            }
        }
    }

    /// Fetches one frame for a writer; returns whether it may have room for another.
    fn fill(&mut self, now: Instant, peer: PeerId, kind: Kind) -> bool {
        let Some(link) = self.links.get_mut(&peer) else { return false };
        let Some(connection) = link.active() else { return false };
        if !link.writer(kind).wants_frame() {
            return false;
        }
        let frame = match kind {
            Kind::Data => self.state.next_data(now, peer),
            Kind::Control => self.state.next_control(now, peer),
        };
        let filled = frame.is_some();
        if let Some(frame) = frame {
            link.writing(kind);
            if let (Kind::Data, Some(observe)) = (kind, &mut self.observer) {
                observe(Moved::Out, peer, frame.len());
            }
            self.command(peer, connection, Command::Write(kind, frame));
        } else {
            link.writer(kind).ready = false;
        }
        self.drain();
        filled
    }

    /// Hands in everything that happened since the last poll.
    fn handle(&mut self, now: Instant, cx: &mut Context<'_>) {
        while let Some((input, place)) = self.inputs.pop_front() {
            let moved = if let Input::Data(peer, frame) = &input {
                Some((*peer, frame.len()))
            } else {
                None
            };
            self.state.handle(now, input);
            drop(place);
            if let (Some((peer, bytes)), Some(observe)) = (moved, &mut self.observer) {
                observe(Moved::In, peer, bytes);
            }
            self.drain();
        }
        while let Poll::Ready(Some(done)) = self.jobs.poll_join_next_with_id(cx) {
            let (task, outcome) = match done {
                Ok(done) => done,
                Err(error) => (error.id(), Outcome::Failed),
            };
            if let Some(job) = self.job_ids.remove(&task) {
                self.state.handle(now, Input::WorkDone(job, outcome));
                self.drain();
            }
        }
        if self.state.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.state.handle_timeout(now);
            self.drain();
        }
        self.fill_writers(now);
    }

    /// Sets the timer to the next deadline; returns whether that has passed already.
    fn set_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((at, _)) = self.state.poll_timeout() else { return false };
        if self.timer.deadline() != at.into() {
            self.timer.as_mut().reset(at.into());
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only connections concern the protocol")]
    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                let link = self.links.entry(peer_id).or_default();
                let dialled = endpoint.is_dialer();
                link.add(
                    connection_id,
                    if dialled { Direction::Outbound } else { Direction::Inbound },
                );
                if link.admitted {
                    // The handler was made before it was known whether the peer is admitted.
                    self.command(peer_id, connection_id, Command::Admit);
                }
                self.open(peer_id);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                let Some(link) = self.links.get_mut(&peer_id) else { return };
                if link.remove(connection_id) {
                    self.open(peer_id);
                } else {
                    self.links.remove(&peer_id);
                    self.input(Input::Disconnected(peer_id));
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        report: Report,
    ) {
        self.on_report(peer, connection, report);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, Command>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            self.handle(Instant::now(), cx);
            if self.actions.is_empty() && !self.set_timer(cx) {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}
