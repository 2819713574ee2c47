//! The one task that owns the swarm.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::StreamExt as _;
use gossip::{PublishError, Topic};
use libp2p::{Multiaddr, Swarm, swarm::SwarmEvent};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    handle::{Command, Commands, Counters, PeerStatus, PublishCommand, ReplyTo, Status},
    hub::{Fanout, Hub, News, Readers},
    metrics::Traffic,
    network::{
        Network,
        swarm::{self, Behaviour, BehaviourEvent},
    },
    picture::Picture,
    pubsub::{Event, Pubsub as _},
    recent::Recent,
    subscriptions::Subscriptions,
};

/// How long what was taken may need at the end to be published.
const FINISH_WAIT: Duration = Duration::from_millis(500);

/// Everything the task owns.
pub(crate) struct EventLoop {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) network: Network,
    pub(crate) commands: Commands,
    pub(crate) hub: Arc<Hub>,
    pub(crate) fanout: Fanout,
    pub(crate) recent: Arc<Recent>,
    pub(crate) subscriptions: Subscriptions,
    /// Told what is subscribed for good whenever that changes.
    pub(crate) topics: watch::Sender<BTreeSet<Topic>>,
    pub(crate) topic_dump_failures: Arc<AtomicU64>,
    pub(crate) stop: CancellationToken,
    /// Told to peers instead of the addresses listened on, unless empty.
    pub(crate) announce: Vec<Multiaddr>,
    pub(crate) traffic: Arc<Traffic>,
    /// Empty, too long, or on one topic too many, since the start.
    pub(crate) publishes_refused: u64,
    /// Beyond the bound on topics, since the start.
    pub(crate) subscriptions_refused: u64,
}

/// Publishes that the protocol has not answered yet; it bounds how many it takes.
#[derive(Default)]
struct Tickets {
    next: u64,
    open: BTreeMap<u64, Pending>,
    /// Refused for want of room, to be tried again when there is some. More are not taken
    /// meanwhile, so these are at most those that were under way when the room ended.
    waiting: VecDeque<u64>,
}

struct Pending {
    topic: Topic,
    /// Shared with the protocol, not copied.
    payload: Bytes,
    reply_to: ReplyTo,
    holder: Option<String>,
}

impl EventLoop {
    /// Runs until it is stopped; then closes all connections.
    pub(crate) async fn run(mut self) {
        let mut tickets = Tickets::default();
        let mut readers = self.hub.watch_readers();
        let mut tracing = false;
        self.subscribe_again();
        loop {
            self.look_at_readers(&readers, &mut tracing);
            let accepts_publish =
                tickets.waiting.is_empty() && self.swarm.behaviour().pubsub().accepts_publish();
            let deadline = self.next_deadline();
            tokio::select! {
                () = self.stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_swarm_event(event, &mut tickets),
                Some(command) = self.commands.commands.recv() => {
                    self.look_at_readers(&readers, &mut tracing);
                    self.on_command(command);
                }
                Some(publish) = self.commands.publishes.recv(), if accepts_publish => {
                    self.look_at_readers(&readers, &mut tracing);
                    self.on_publish(publish, &mut tickets);
                }
                Ok(()) = readers.changed() => {}
                () = tokio::time::sleep_until(deadline.into()) => {
                    self.network.tick(Instant::now(), &mut self.swarm);
                    self.end_leases();
                }
            }
        }
        // Who published was promised that it goes out, even when nobody waits for the answer.
        let _cut_short =
            tokio::time::timeout(FINISH_WAIT, self.finish_publishes(&mut tickets)).await;
        self.close().await;
    }

    /// Publishes what was taken, hashing of long messages included.
    async fn finish_publishes(&mut self, tickets: &mut Tickets) {
        while !tickets.open.is_empty() {
            let event = self.swarm.select_next_some().await;
            self.on_swarm_event(event, tickets);
        }
    }

    /// Joins what was subscribed in an earlier run.
    fn subscribe_again(&mut self) {
        for topic in self.subscriptions.plain() {
            info!(%topic, "subscribed again");
            self.swarm.behaviour_mut().pubsub_mut().subscribe(topic.clone());
        }
    }

    fn next_deadline(&self) -> Instant {
        let network = self.network.next_deadline();
        self.subscriptions.next_deadline().map_or(network, |lease| lease.min(network))
    }

    fn end_leases(&mut self) {
        for topic in self.subscriptions.expire(Instant::now()) {
            self.leave(topic, "its holders are gone");
        }
    }

    fn leave(&mut self, topic: Topic, why: &'static str) {
        info!(%topic, why, "unsubscribe");
        self.swarm.behaviour_mut().pubsub_mut().unsubscribe(topic);
    }

    /// Traces are made only while somebody reads them, and leases last while their holders do.
    fn look_at_readers(&mut self, readers: &watch::Receiver<Readers>, tracing: &mut bool) {
        let now_reading = readers.borrow().clone();
        self.subscriptions.set_present(Instant::now(), &now_reading.holders);
        let wanted = now_reading.traces > 0 && self.fanout.wants_traces();
        if wanted != *tracing {
            *tracing = wanted;
            self.swarm.behaviour_mut().pubsub_mut().set_tracing(wanted);
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>, tickets: &mut Tickets) {
        let now = Instant::now();
        let Some(event) = self.network.on_event(now, &mut self.swarm, event) else { return };
        match Event::from(event) {
            Event::Delivered(delivery) => {
                self.recent.keep(&delivery);
                self.traffic.delivered(&delivery, unix_ns());
                self.fanout.send(News::Delivered(delivery));
            }
            Event::Traced { trace, protocol } => {
                self.fanout.send(News::Traced { trace, protocol, unix_ns: unix_ns() });
            }
            Event::Published { ticket, message, topic } => {
                let pending = tickets.open.remove(&ticket);
                let holder = pending.as_ref().and_then(|pending| pending.holder.clone());
                self.on_joined_by_publishing(&topic, holder);
                let bytes = pending.as_ref().map_or(0, |pending| pending.payload.len());
                self.traffic.published(topic.as_str(), bytes);
                let stream = pending.and_then(|pending| match pending.reply_to {
                    ReplyTo::Stream(stream) => Some(stream),
                    ReplyTo::Caller(reply) => {
                        // A caller that is gone does not want to know.
                        let _gone = reply.send(Ok(message));
                        None
                    }
                });
                debug!(%message, %topic, "published");
                self.fanout.send(News::Published { stream, message, topic, unix_ns: unix_ns() });
            }
            Event::Refused { ticket, topic, error } => {
                self.on_refused(ticket, topic, error, tickets);
            }
            Event::Room => {
                for ticket in std::mem::take(&mut tickets.waiting) {
                    self.publish(ticket, tickets);
                }
            }
            Event::Misbehaved { peer, reason, ban } => {
                warn!(%peer, reason, ban_seconds = ban.as_secs(), "a peer broke a rule: disconnected");
                self.network.ban(now, &mut self.swarm, peer, ban);
            }
        }
    }

    fn on_refused(
        &mut self,
        ticket: u64,
        topic: Topic,
        error: PublishError,
        tickets: &mut Tickets,
    ) {
        match error {
            // It had room when it was taken, but others were under way. Nobody is told: it waits.
            PublishError::Busy => return tickets.waiting.push_back(ticket),
            PublishError::Duplicate { .. } => debug!(%topic, %error, "not published again"),
            PublishError::Empty
            | PublishError::TooLarge { .. }
            | PublishError::TopicsFull { .. } => {
                self.publishes_refused += 1;
                warn!(%topic, %error, "not published");
            }
        }
        self.traffic.not_published(topic.as_str(), &error);
        let Some(Pending { reply_to, payload, .. }) = tickets.open.remove(&ticket) else { return };
        match reply_to {
            ReplyTo::Stream(stream) => {
                if let PublishError::Duplicate { message } = error {
                    // For its publisher an equal message is as good as published.
                    let unix_ns = unix_ns();
                    self.fanout.send(News::Repeated { stream, message, topic, unix_ns });
                } else {
                    self.fanout.send(News::Refused { stream, payload, error });
                    self.hub.release(stream);
                }
            }
            ReplyTo::Caller(reply) => {
                let _gone = reply.send(Err(error));
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Subscribe(topic) => self.subscribe(None, topic),
            Command::Lease { holder, topic } => self.subscribe(Some(holder), topic),
            Command::Unsubscribe(topic) => {
                self.subscriptions.unsubscribe(&topic);
                self.topics.send_replace(self.subscriptions.plain().clone());
                self.leave(topic, "asked for");
            }
            Command::Release { holder, topic } => {
                if self.subscriptions.release(&holder, &topic) {
                    self.leave(topic, "its last holder let it go");
                }
            }
            Command::Status(reply) => {
                let _gone = reply.send(self.status());
            }
            Command::Picture(reply) => {
                let _gone = reply.send(Box::new(self.picture()));
            }
        }
    }

    fn subscribe(&mut self, holder: Option<String>, topic: Topic) {
        if !self.subscriptions.has_room_for(&topic) {
            self.subscriptions_refused += 1;
            warn!(%topic, holder, "not subscribed: as many topics are as may be");
            return;
        }
        info!(%topic, holder, "subscribe");
        self.hold(holder, topic.clone());
        self.swarm.behaviour_mut().pubsub_mut().subscribe(topic);
    }

    /// Notes why a topic is subscribed.
    fn hold(&mut self, holder: Option<String>, topic: Topic) {
        if let Some(holder) = holder {
            for topic in self.subscriptions.lease(Instant::now(), &holder, topic) {
                self.leave(topic, "too many holders");
            }
        } else {
            self.subscriptions.subscribe(topic);
            self.topics.send_replace(self.subscriptions.plain().clone());
        }
    }

    /// A publish joins its topic, unless somebody left it in the meantime.
    fn on_joined_by_publishing(&mut self, topic: &Topic, holder: Option<String>) {
        let joined = self.swarm.behaviour().pubsub().is_subscribed(topic);
        if joined && !self.subscriptions.contains(topic) {
            self.hold(holder, topic.clone());
        }
    }

    fn on_publish(&mut self, command: PublishCommand, tickets: &mut Tickets) {
        let PublishCommand { topic, payload, reply_to, holder, taken } = command;
        let ticket = tickets.next;
        tickets.next += 1;
        tickets.open.insert(ticket, Pending { topic, payload, reply_to, holder });
        self.publish(ticket, tickets);
        // A caller that is gone is served all the same.
        let _gone = taken.send(());
    }

    fn publish(&mut self, ticket: u64, tickets: &Tickets) {
        let Some(Pending { topic, payload, .. }) = tickets.open.get(&ticket) else { return };
        let (topic, payload) = (topic.clone(), payload.clone());
        let published_unix_ns = u64::try_from(unix_ns()).unwrap_or(0);
        let publish = gossip::Publish { ticket, topic, payload, published_unix_ns };
        self.swarm.behaviour_mut().pubsub_mut().publish(publish);
    }

    fn status(&self) -> Status {
        let pubsub = self.swarm.behaviour().pubsub();
        let mut topics: BTreeMap<_, _> =
            pubsub.peers().into_iter().map(|peer| (peer.peer, (peer.topics, peer.mesh))).collect();
        let peers = self.network.addresses().into_iter().map(|(peer, address)| {
            let (topics, mesh) = topics.remove(&peer).unwrap_or_default();
            PeerStatus { peer, address, topics, mesh }
        });
        Status {
            topics: pubsub.topics(),
            addresses: self.addresses(),
            peers: peers.collect(),
            counters: self.counters(),
        }
    }

    fn picture(&self) -> Picture {
        let pubsub = self.swarm.behaviour().pubsub();
        Picture {
            status: self.status(),
            protocol: pubsub.counters(),
            own_counters: pubsub.own_counters(),
            traffic: pubsub.traffic(),
            details: self.network.details(),
            messages: pubsub.messages(),
            readers: self.hub.watch_readers().borrow().all,
            queued_bytes: self.hub.queued_bytes(),
        }
    }

    /// Returns where peers are told to find this node.
    fn addresses(&self) -> Vec<Multiaddr> {
        if self.announce.is_empty() { swarm::listening(&self.swarm) } else { self.announce.clone() }
    }

    fn counters(&self) -> Counters {
        let limits = &self.swarm.behaviour().limits;
        let (connections_inbound, connections_outbound) = limits.connections();
        let (traces_dropped, messages_dropped, answers_dropped) = self.hub.dropped().snapshot();
        Counters {
            connections_inbound,
            connections_outbound,
            connections_denied: limits.denied(),
            connections_failed: self.network.inbound_failures(),
            publishes_refused: self.publishes_refused,
            subscriptions_refused: self.subscriptions_refused,
            traces_dropped,
            messages_dropped,
            answers_dropped,
            tickets_refused: self.hub.refused().tickets.get(),
            requests_unreadable: self.hub.refused().unreadable.get(),
            commands_ignored: self.hub.refused().commands.get(),
            streams_refused: self.hub.refused().streams.get(),
            topic_dump_failures: self.topic_dump_failures.load(Ordering::Relaxed),
        }
    }

    /// Closes every connection, so that peers need not find out by themselves.
    async fn close(mut self) {
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            let _gone = self.swarm.disconnect_peer_id(peer);
        }
        while self.swarm.connected_peers().next().is_some() {
            self.swarm.select_next_some().await;
        }
    }
}

fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
