//! Mode gossipsub: GossipSub as others speak it, by rust-libp2p.

mod counted;
mod delivered;
mod gate;
mod kept;
mod mesh;
mod messages;
mod misconduct;
mod settings;
mod swarm_side;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use gossip::{MessageId, Topic, Trace};
use libp2p::{
    PeerId,
    gossipsub::{self as library, IdentTopic, IdentityTransform, MessageAuthenticity, TopicHash},
    identity::Keypair,
    swarm::{ConnectionId, NotifyHandler, THandlerInEvent, ToSwarm},
};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{debug, warn};

use super::{Event, OwnCounter, PeerTopics, PeerTraffic, ProtocolCounters, Pubsub};
use crate::config;
use counted::Counted;
use delivered::Delivered;
use gate::ToGated;
use kept::Kept;
use mesh::Picture;
use misconduct::Misconduct;
use settings::{HEARTBEAT, SEEN_TTL, Seen};

type Inner = library::Behaviour<IdentityTransform, settings::Filter>;
type Action = ToSwarm<Event, ToGated<THandlerInEvent<Inner>>>;

/// Ids of delivered messages remembered, 32 B and some bookkeeping each; as in mode optimum.
const DELIVERED_MAX: usize = 1 << 18;

/// The library's behaviour, behind a gate for peers, and what it does not tell or keep.
pub(crate) struct Behaviour {
    inner: Inner,
    own: PeerId,
    payload_bytes_max: u64,
    /// Ids that the library computed: the only place where repeated messages can be noticed.
    seen: Receiver<Seen>,
    admitted: BTreeSet<PeerId>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    topics: BTreeSet<Topic>,
    topics_max: usize,
    delivered: Delivered,
    /// Messages that a peer brought and that the library has not let pass yet.
    arrivals: BTreeMap<MessageId, (PeerId, Topic)>,
    kept: Kept,
    misconduct: Misconduct,
    counted: Counted,
    tracing: bool,
    picture: Picture,
    heartbeat: Interval,
    actions: VecDeque<Action>,
}

/// Makes the behaviour of a node with this key pair. Must be called inside a tokio runtime.
///
/// # Errors
///
/// Returns an error if the settings contradict each other.
pub(crate) fn new(settings: &config::Gossipsub, keypair: &Keypair) -> anyhow::Result<Behaviour> {
    let (sender, seen) = channel();
    let built = settings::build(settings, sender)?;
    let signed = MessageAuthenticity::Signed(keypair.clone());
    let mut inner = Inner::new_with_subscription_filter(signed, built, settings::filter())
        .map_err(anyhow::Error::msg)?;
    inner
        .with_peer_score(misconduct::params(), misconduct::thresholds())
        .map_err(anyhow::Error::msg)?;
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Behaviour {
        inner,
        own: keypair.public().to_peer_id(),
        payload_bytes_max: settings::payload_bytes_max(settings),
        seen,
        admitted: BTreeSet::new(),
        connections: HashMap::new(),
        topics: BTreeSet::new(),
        topics_max: gossip::Limits::default().topics_max,
        delivered: Delivered::new(SEEN_TTL, DELIVERED_MAX),
        arrivals: BTreeMap::new(),
        kept: Kept::default(),
        misconduct: Misconduct::default(),
        counted: Counted::default(),
        tracing: false,
        picture: Picture::default(),
        heartbeat,
        actions: VecDeque::new(),
    })
}

impl Pubsub for Behaviour {
    fn admit(&mut self, peer: PeerId) {
        if !self.admitted.insert(peer) {
            return;
        }
        for connection in self.connections.get(&peer).into_iter().flatten() {
            self.actions.push_back(ToSwarm::NotifyHandler {
                peer_id: peer,
                handler: NotifyHandler::One(*connection),
                event: ToGated::Open,
            });
        }
    }

    fn subscribe(&mut self, topic: Topic) {
        if !self.has_room_for(&topic) {
            return warn!(%topic, "not subscribed: as many topics are as may be");
        }
        match self.inner.subscribe(&IdentTopic::new(topic.as_str())) {
            Ok(true) => {
                self.topics.insert(topic.clone());
                self.counted.begin(&topic);
                self.trace(Trace::Join { topic });
            }
            Ok(false) => {}
            // Names that the filter would refuse are no `Topic`.
            Err(error) => warn!(%topic, %error, "not subscribed"),
        }
    }

    fn is_subscribed(&self, topic: &Topic) -> bool {
        self.topics.contains(topic)
    }

    fn unsubscribe(&mut self, topic: Topic) {
        if self.inner.unsubscribe(&IdentTopic::new(topic.as_str())) {
            self.topics.remove(&topic);
            self.trace(Trace::Leave { topic });
        }
    }

    fn publish(&mut self, publish: gossip::Publish) {
        let gossip::Publish { ticket, topic, payload, published_unix_ns } = publish;
        let event = match self.check(&topic, &payload) {
            Ok(message) => {
                self.subscribe(topic.clone());
                self.counted.received(&topic, payload.len());
                self.send(topic.clone(), &payload);
                let published = Event::Published { ticket, message, topic: topic.clone() };
                self.tell(published);
                self.deliver(topic, message, payload, None, self.own, published_unix_ns);
                return;
            }
            Err(error) => Event::Refused { ticket, topic, error },
        };
        self.tell(event);
    }

    fn accepts_publish(&self) -> bool {
        // The library queues what is published, within the bound of each peer's queue.
        true
    }

    fn set_tracing(&mut self, wanted: bool) {
        if wanted && !self.tracing {
            self.picture = self.picture_now();
        }
        self.tracing = wanted;
    }

    fn topics(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.as_str().to_owned()).collect()
    }

    fn peers(&self) -> Vec<PeerTopics> {
        let mut peers: BTreeMap<PeerId, PeerTopics> = BTreeMap::new();
        for (peer, topics) in self.inner.all_peers() {
            if self.admitted.contains(peer) {
                let mut topics: Vec<_> = topics.into_iter().map(TopicHash::to_string).collect();
                topics.sort_unstable();
                peers.insert(*peer, PeerTopics { peer: *peer, topics, mesh: Vec::new() });
            }
        }
        for topic in &self.topics {
            for peer in self.inner.mesh_peers(&hash(topic)) {
                if let Some(entry) = peers.get_mut(peer) {
                    entry.mesh.push(topic.as_str().to_owned());
                }
            }
        }
        peers.into_values().collect()
    }

    fn counters(&self) -> ProtocolCounters {
        let mut counters =
            ProtocolCounters { topics: self.counted.topics(), ..ProtocolCounters::default() };
        for protocol in self.protocols().into_values() {
            *counters.peers_per_protocol.entry(protocol.to_owned()).or_default() += 1;
        }
        counters
    }

    fn own_counters(&self) -> Vec<OwnCounter> {
        self.counted.own(self.kept.lost())
    }

    fn traffic(&self) -> BTreeMap<PeerId, PeerTraffic> {
        let traffic = self.admitted.iter().map(|peer| {
            let score = self.inner.peer_score(peer).unwrap_or_default();
            let graylisted = score < misconduct::GRAYLIST;
            (*peer, PeerTraffic { score, graylisted, ..PeerTraffic::default() })
        });
        traffic.collect()
    }
}

impl Behaviour {
    /// Returns whether a topic is joined or can be.
    fn has_room_for(&self, topic: &Topic) -> bool {
        self.topics.len() < self.topics_max || self.topics.contains(topic)
    }

    fn on_library_event(&mut self, event: library::Event) {
        match event {
            library::Event::Message { propagation_source: from, message_id, message } => {
                let _unnamed = self.on_message(from, &message_id, message);
            }
            library::Event::Subscribed { topic, .. } => {
                for (topic, payload) in self.kept.take(topic.as_str()) {
                    self.send(topic, &payload);
                }
            }
            library::Event::GossipsubNotSupported { peer_id: peer } => {
                warn!(%peer, "the peer does not speak GossipSub: no messages pass");
            }
            library::Event::SlowPeer { peer_id: peer, failed_messages } => {
                let failed = failed_messages.priority + failed_messages.non_priority;
                self.counted.sends_failed += failed as u64;
                debug!(%peer, ?failed_messages, "a slow peer: messages were not sent to it");
            }
            library::Event::Unsubscribed { .. } => {}
        }
    }

    /// Does what is due once a heartbeat.
    fn beat(&mut self) {
        for (peer, score) in self.misconduct.decay() {
            // One that is gone is told of its past when it comes again.
            let _known = self.inner.set_application_score(&peer, score);
        }
        self.kept.expire(Instant::now());
        if self.tracing {
            let now = self.picture_now();
            for (trace, protocol) in mesh::changes(&self.picture, &now) {
                self.tell(Event::Traced { trace, protocol });
            }
            self.picture = now;
        }
    }

    fn picture_now(&self) -> Picture {
        let mesh = self.topics.iter().flat_map(|topic| {
            let peers = self.inner.mesh_peers(&hash(topic)).copied().collect::<Vec<_>>();
            peers.into_iter().map(|peer| (topic.clone(), peer))
        });
        Picture { peers: self.protocols(), mesh: mesh.collect() }
    }

    /// Returns the protocol of each admitted peer that spoke.
    fn protocols(&self) -> BTreeMap<PeerId, &'static str> {
        let peers = self.inner.peer_protocol();
        let known = peers.filter_map(|(peer, kind)| Some((*peer, protocol(kind.as_static_ref())?)));
        known.filter(|(peer, _)| self.admitted.contains(peer)).collect()
    }

    fn trace(&mut self, trace: Trace<PeerId>) {
        if self.tracing {
            self.tell(Event::Traced { trace, protocol: "" });
        }
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }
}

fn hash(topic: &Topic) -> TopicHash {
    TopicHash::from_raw(topic.as_str())
}

/// Returns the protocol id of a kind of peer by the library's name; none before it spoke.
fn protocol(kind: &str) -> Option<&'static str> {
    match kind {
        "Gossipsub v1.0" => Some("/meshsub/1.0.0"),
        "Gossipsub v1.1" => Some("/meshsub/1.1.0"),
        "Gossipsub v1.2" => Some("/meshsub/1.2.0"),
        "Gossipsub v1.3" => Some("/meshsub/1.3.0"),
        _ => None,
    }
}
