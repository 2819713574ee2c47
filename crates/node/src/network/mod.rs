//! What the node does about peers: whom it lets in, finds, dials again and tells apart.

pub(crate) mod bootstrap;
pub(crate) mod discovery;
pub(crate) mod handshake;
pub(crate) mod limits;
mod peers;
pub(crate) mod swarm;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use api::handshake::{Answer, Hello};
use libp2p::{
    Multiaddr, PeerId, Swarm, identify, kad, ping, request_response,
    swarm::{
        ConnectionId, DialError, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use rand::rngs::StdRng;
use tracing::{debug, info, warn};

use crate::{
    picture::PeerDetail,
    pubsub::{self, Pubsub as _},
};
use bootstrap::{BootstrapPeer, Redial};
use handshake::{Handshakes, Verdict};
use limits::Denied;
use peers::Peers;
use swarm::{Behaviour, BehaviourEvent};

/// How often deadlines of handshakes are looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a peer that was refused is not dialled by look-ups.
const REFUSED_REST: Duration = Duration::from_secs(60);

/// Admitted peers above which no more are sought; others may still come. Above the largest mesh
/// there is little to gain, and every connection costs each end memory, pings and look-ups.
const PEERS_SOUGHT_MAX: usize = 32;

/// Admitted peers above which a new one is no reason to look around at once: the regular walk is
/// soon enough. Without, the look-ups of fifty nodes that start together keep them busy for a minute.
const PEERS_ENOUGH: usize = 12;

/// Keeps the node connected; owns no connection itself.
#[derive(Debug)]
pub(crate) struct Network {
    own: PeerId,
    /// Whether peers that do not speak the handshake are admitted.
    foreigners: bool,
    handshakes: Handshakes,
    redial: Redial<StdRng>,
    peers: Peers,
    next_check: Instant,
    next_walk: Instant,
    /// When our own neighbourhood is looked up next, if something changed there.
    lookup: Option<Instant>,
    next_lookup: Instant,
    inbound_failures: u64,
}

impl Network {
    /// Makes the network of a node; with `foreigners` a peer that does not speak the handshake is
    /// admitted.
    pub(crate) fn new(
        own: PeerId,
        hello: Hello,
        foreigners: bool,
        list: &[BootstrapPeer],
        quic: bool,
        now: Instant,
    ) -> Self {
        Self {
            own,
            foreigners,
            handshakes: Handshakes::new(hello),
            redial: Redial::new(own, list, now, rand::make_rng()),
            peers: Peers::new(quic),
            next_check: now + CHECK_INTERVAL,
            next_walk: now + discovery::WALK_INTERVAL,
            lookup: None,
            next_lookup: now,
            inbound_failures: 0,
        }
    }

    /// Returns when [`Network::tick`] has something to do.
    pub(crate) fn next_deadline(&self) -> Instant {
        let soonest = self.next_check.min(self.next_walk);
        [self.redial.next(), self.lookup].into_iter().flatten().fold(soonest, Instant::min)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>) {
        for (peer, addresses) in self.redial.due(now) {
            swarm.behaviour_mut().limits.wake(&peer);
            self.dial(now, swarm, peer, addresses);
        }
        if self.next_check <= now {
            self.next_check = now + CHECK_INTERVAL;
            swarm.behaviour_mut().limits.forget_expired(now);
            self.close_overdue(now, swarm);
        }
        if self.lookup.is_some_and(|due| due <= now) {
            self.lookup = None;
            self.next_lookup = now + discovery::LOOKUP_INTERVAL;
            swarm.behaviour_mut().kad.get_closest_peers(self.own);
        }
        if self.next_walk <= now {
            self.next_walk = now + discovery::WALK_INTERVAL;
            let kad = &mut swarm.behaviour_mut().kad;
            if self.peers.admitted() > 0 && kad.iter_queries().next().is_none() {
                kad.get_closest_peers(PeerId::random());
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the swarm's events are an open list")]
    /// Takes what happened; gives back what is for the layer above.
    pub(crate) fn on_event(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        event: SwarmEvent<BehaviourEvent>,
    ) -> Option<pubsub::BehaviourEvent> {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Pubsub(event)) => return Some(event),
            SwarmEvent::Behaviour(BehaviourEvent::Handshake(event)) => {
                self.on_handshake(now, swarm, event);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => {
                self.on_identify(now, swarm, event);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(now, swarm, event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(error),
            })) => {
                // Software of others may not speak it; then a dead connection is found by writing.
                if !matches!(error, ping::Failure::Unsupported) {
                    debug!(%peer, %error, "a connection does not answer and is closed");
                    swarm.close_connection(connection);
                }
            }
            event => self.on_connection_event(now, swarm, event),
        }
        None
    }

    /// Returns how many inbound connections failed before they stood.
    pub(crate) fn inbound_failures(&self) -> u64 {
        self.inbound_failures
    }

    /// The peer broke a rule: it is cut off and kept away.
    pub(crate) fn ban(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        ban: Duration,
    ) {
        swarm.behaviour_mut().limits.bar(peer, now + ban);
        swarm.behaviour_mut().kad.remove_peer(&peer);
        self.redial.unwanted(now, &peer);
        // An error says that it is gone already.
        let _gone = swarm.disconnect_peer_id(peer);
    }

    fn dial(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    ) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses)
            .build();
        match swarm.dial(options) {
            Ok(()) => debug!(%peer, "dialling"),
            // It is connected, or somebody dials it: how that ends will be told.
            Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => {
                debug!(%peer, %error, "not dialled");
                self.redial.failed(now, &peer);
            }
        }
    }

    fn close_overdue(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>) {
        for (peer, told) in self.handshakes.overdue(now) {
            if !told {
                info!(%peer, "no handshake in time: disconnected");
            }
            if swarm.disconnect_peer_id(peer).is_err() {
                self.handshakes.disconnected(&peer);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the swarm's events are an open list")]
    fn on_connection_event(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        event: SwarmEvent<BehaviourEvent>,
    ) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id: peer, connection_id, endpoint, ..
            } => {
                debug!(%peer, address = %endpoint.get_remote_address(), dialled = endpoint.is_dialer(), "connected");
                self.peers.connected(peer, connection_id, &endpoint);
                if let Some(hello) = self.handshakes.connected(now, peer, endpoint.is_dialer()) {
                    swarm.behaviour_mut().handshake.send_request(&peer, hello);
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id: peer,
                connection_id,
                num_established,
                cause,
                ..
            } => {
                self.peers.disconnected(&peer, connection_id);
                if num_established > 0 {
                    return;
                }
                let cause = cause.map(|cause| cause.to_string()).unwrap_or_default();
                debug!(%peer, cause, "disconnected");
                if self.handshakes.disconnected(&peer) {
                    info!(%peer, cause, "a peer left");
                }
                self.redial.failed(now, &peer);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.on_dial_failure(now, swarm, peer, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.inbound_failures += 1;
                debug!(from = %send_back_addr, %error, "an inbound connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                info!(%address, "listening for peers");
            }
            SwarmEvent::ListenerError { error, .. } => {
                warn!(%error, "a listener has trouble");
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                warn!(?addresses, ?reason, "a listener closed");
            }
            _ => {}
        }
    }

    fn on_dial_failure(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        error: &DialError,
    ) {
        if matches!(error, DialError::DialPeerConditionFalse(_)) || swarm.is_connected(&peer) {
            return;
        }
        let resting = matches!(error, DialError::Denied { cause }
            if matches!(cause.downcast_ref::<Denied>(), Some(Denied::Resting(_))));
        if resting {
            return;
        }
        if self.redial.is_permanent(&peer) {
            info!(%peer, %error, "a bootstrap peer could not be reached; it is tried again");
        } else {
            debug!(%peer, %error, "a peer could not be reached");
        }
        // Look-ups would dial it again and again as long as the routing table has it.
        swarm.behaviour_mut().limits.rest(peer, now + discovery::UNREACHABLE_REST);
        swarm.behaviour_mut().kad.remove_peer(&peer);
        self.redial.failed(now, &peer);
    }

    fn on_handshake(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        event: request_response::Event<Hello, Answer>,
    ) {
        use request_response::{Event, Message, OutboundFailure};
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                let (answer, verdict) = self.handshakes.on_hello(now, peer, &request);
                // It fails only if the peer is gone already.
                let _gone = swarm.behaviour_mut().handshake.send_response(channel, answer);
                self.apply(now, swarm, peer, &request, verdict);
            }
            Event::Message { peer, message: Message::Response { response, .. }, .. } => {
                let hello = response.hello.clone();
                let verdict = self.handshakes.on_answer(now, peer, response);
                let refused = matches!(verdict, Verdict::Refuse(_));
                self.apply(now, swarm, peer, &hello, verdict);
                if refused {
                    // Both know the reason now. The other side waits for this.
                    let _gone = swarm.disconnect_peer_id(peer);
                }
            }
            Event::OutboundFailure {
                peer, error: OutboundFailure::UnsupportedProtocols, ..
            } if self.foreigners => self.admit_foreigner(now, swarm, peer),
            Event::OutboundFailure { peer, connection_id, error, .. } => {
                self.handshake_failed(swarm, peer, connection_id, &error);
            }
            Event::InboundFailure { peer, connection_id, error, .. } => {
                self.handshake_failed(swarm, peer, connection_id, &error);
            }
            Event::ResponseSent { .. } => {}
        }
    }

    /// The peer does not speak the handshake, and need not.
    fn admit_foreigner(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>, peer: PeerId) {
        if self.handshakes.on_foreigner(&peer) == Verdict::Admit {
            info!(%peer, "a peer joined that does not speak the handshake");
            self.admit(now, swarm, peer);
        }
    }

    fn admit(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>, peer: PeerId) {
        swarm.behaviour_mut().pubsub_mut().admit(peer);
        self.redial.connected(peer, self.peers.dialled_address(&peer));
        if let Some(named) = self.peers.admit(&peer) {
            self.learn(now, swarm, peer, named);
        }
    }

    /// The handshake on one connection came to nothing; the peer may have another.
    fn handshake_failed(
        &self,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        connection: ConnectionId,
        error: &dyn std::fmt::Display,
    ) {
        if !self.handshakes.is_admitted(&peer) {
            info!(%peer, %error, "handshake failed: disconnected");
            swarm.close_connection(connection);
        }
    }

    fn apply(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        hello: &Hello,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Known => {}
            Verdict::Admit => {
                info!(%peer, software = ?hello.software, "a peer joined");
                let ours = self.handshakes.ours().max_message_bytes;
                if hello.max_message_bytes != ours {
                    warn!(%peer, ours, theirs = hello.max_message_bytes, "the peer has another maximum message size: messages above the smaller one do not pass");
                }
                self.admit(now, swarm, peer);
            }
            Verdict::Refuse(reason) => {
                warn!(%peer, %reason, "peer refused");
                swarm.behaviour_mut().limits.rest(peer, now + REFUSED_REST);
                swarm.behaviour_mut().kad.remove_peer(&peer);
                self.redial.unwanted(now, &peer);
            }
        }
    }

    fn on_identify(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>, event: identify::Event) {
        let identify::Event::Received { peer_id: peer, info, .. } = event else { return };
        let protocols = info.protocols.iter().map(AsRef::as_ref);
        self.peers.described(&peer, &info.agent_version, protocols);
        if info.protocols.contains(&handshake::PROTOCOL) {
            if let Some(named) = self.peers.identified(&peer, info.listen_addrs) {
                self.learn(now, swarm, peer, named);
            }
        } else if self.foreigners {
            // Look-ups do not go by way of it: it would not answer them.
            self.admit_foreigner(now, swarm, peer);
        }
    }

    /// An admitted peer can be found at `addresses`.
    fn learn(
        &mut self,
        now: Instant,
        swarm: &mut Swarm<Behaviour>,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    ) {
        for address in &addresses {
            swarm.behaviour_mut().kad.add_address(&peer, address.clone());
        }
        self.redial.connected(peer, addresses);
        if self.peers.admitted() < PEERS_ENOUGH {
            // Whoever is new may know somebody who is new.
            self.lookup.get_or_insert(self.next_lookup.max(now));
        }
    }

    fn on_kad(&mut self, now: Instant, swarm: &mut Swarm<Behaviour>, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed {
            result: kad::QueryResult::GetClosestPeers(Ok(found)),
            step,
            ..
        } = event
        else {
            return;
        };
        if !step.last {
            return;
        }
        for kad::PeerInfo { peer_id, addrs } in found.peers {
            let known = peer_id == self.own || swarm.is_connected(&peer_id);
            if !known && self.peers.admitted() < PEERS_SOUGHT_MAX && !addrs.is_empty() {
                self.dial(now, swarm, peer_id, addrs);
            }
        }
    }

    /// Returns what is known of each admitted peer.
    pub(crate) fn details(&self) -> BTreeMap<PeerId, PeerDetail> {
        self.peers.details()
    }

    /// Returns where each admitted peer is.
    pub(crate) fn addresses(&self) -> BTreeMap<PeerId, Multiaddr> {
        self.peers.addresses()
    }
}
