//! Which connections are let in: bounds on everything a stranger can open, and a rest for peers
//! that could not be reached or broke a rule.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::IpAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};
use thiserror::Error;

/// How many connections may exist at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "each is a maximum, and says so where it is used")]
pub(crate) struct Limits {
    /// Inbound connections whose encryption is not yet agreed. Each lives at most the transport's
    /// deadline, so a stranger that opens and stalls holds one file descriptor for that long.
    pub(crate) pending_inbound_max: usize,
    /// The same for one IPv4 address or one IPv6 /64. Loopback is bound by the former only.
    pub(crate) pending_per_range_max: usize,
    /// Established inbound connections.
    pub(crate) inbound_max: usize,
    /// The same for one IPv4 address or one IPv6 /64. Loopback is bound by the former only.
    pub(crate) inbound_per_range_max: usize,
    /// Established connections with one peer, both directions. Must be at least 2: simultaneous
    /// dials are normal, and refusing the second ends both.
    pub(crate) per_peer_max: usize,
    /// Peers remembered as resting or barred; the one whose time ends first gives way.
    pub(crate) resting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending_inbound_max: 2048,
            pending_per_range_max: 64,
            inbound_max: 1024,
            inbound_per_range_max: 256,
            per_peer_max: 8,
            resting_max: 4096,
        }
    }
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Denied {
    #[error("{0} inbound connections are being set up; more are not taken")]
    Pending(usize),
    #[error("{0} inbound connections are being set up from this address range; more are not taken")]
    PendingFromRange(usize),
    #[error("{0} inbound connections are open; more are not taken")]
    Inbound(usize),
    #[error("{0} inbound connections are open from this address range; more are not taken")]
    InboundFromRange(usize),
    #[error("{0} connections with this peer are open; more are not taken")]
    Peer(usize),
    #[error("the peer broke a rule and is kept away for {} s more", .0.as_secs())]
    Barred(Duration),
    #[error("the peer could not be reached and is left alone for {} ms more", .0.as_millis())]
    Resting(Duration),
}

/// One IPv4 address or one IPv6 /64: what one stranger has for the asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Range {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Range {
    /// Returns the range of `address`; none for loopback and for what is no IP address.
    fn of(address: &Multiaddr) -> Option<Self> {
        let ip = ip_of(address)?.to_canonical();
        if ip.is_loopback() {
            return None;
        }
        Some(match ip {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let o = ip.octets();
                Self::V6([o[0], o[1], o[2], o[3], o[4], o[5], o[6], o[7]])
            }
        })
    }
}

/// Returns the IP address that `address` begins with.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other protocols are not IP addresses")]
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug)]
struct Established {
    peer: PeerId,
    range: Option<Range>,
    inbound: bool,
}

/// Holds the [`Limits`]; says nothing to the swarm but no.
#[derive(Debug)]
pub(crate) struct Behaviour {
    limits: Limits,
    pending: HashMap<ConnectionId, Option<Range>>,
    established: HashMap<ConnectionId, Established>,
    /// Not dialled before then.
    resting: HashMap<PeerId, Instant>,
    /// Neither dialled nor let in before then.
    barred: HashMap<PeerId, Instant>,
    denied: u64,
}

impl Behaviour {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: HashMap::new(),
            established: HashMap::new(),
            resting: HashMap::new(),
            barred: HashMap::new(),
            denied: 0,
        }
    }

    /// Does not dial `peer` before `until`, whoever asks.
    pub(crate) fn rest(&mut self, peer: PeerId, until: Instant) {
        remember(&mut self.resting, self.limits.resting_max, peer, until);
    }

    /// Lets `peer` be dialled again.
    pub(crate) fn wake(&mut self, peer: &PeerId) {
        self.resting.remove(peer);
    }

    /// Keeps `peer` away until then.
    pub(crate) fn bar(&mut self, peer: PeerId, until: Instant) {
        remember(&mut self.barred, self.limits.resting_max, peer, until);
    }

    /// Forgets rests and bars whose time is over.
    pub(crate) fn forget_expired(&mut self, now: Instant) {
        self.resting.retain(|_, until| *until > now);
        self.barred.retain(|_, until| *until > now);
    }

    /// Returns how many connections were not let in since the start.
    pub(crate) fn denied(&self) -> u64 {
        self.denied
    }

    /// Returns the number of established connections, inbound and outbound.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let inbound = self.established.values().filter(|e| e.inbound).count();
        (inbound, self.established.len() - inbound)
    }

    fn check_pending_inbound(&self, range: Option<Range>) -> Result<(), Denied> {
        let Limits { pending_inbound_max, pending_per_range_max, .. } = self.limits;
        if self.pending.len() >= pending_inbound_max {
            return Err(Denied::Pending(self.pending.len()));
        }
        if range.is_some() {
            let count = self.pending.values().filter(|held| **held == range).count();
            if count >= pending_per_range_max {
                return Err(Denied::PendingFromRange(count));
            }
        }
        Ok(())
    }

    fn check_inbound(&self, peer: &PeerId, range: Option<Range>) -> Result<(), Denied> {
        let Limits { inbound_max, inbound_per_range_max, .. } = self.limits;
        self.check_peer(peer)?;
        let inbound = || self.established.values().filter(|e| e.inbound);
        let count = inbound().count();
        if count >= inbound_max {
            return Err(Denied::Inbound(count));
        }
        if range.is_some() {
            let count = inbound().filter(|e| e.range == range).count();
            if count >= inbound_per_range_max {
                return Err(Denied::InboundFromRange(count));
            }
        }
        Ok(())
    }

    fn check_peer(&self, peer: &PeerId) -> Result<(), Denied> {
        if let Some(left) = left(&self.barred, peer) {
            return Err(Denied::Barred(left));
        }
        let count = self.established.values().filter(|e| e.peer == *peer).count();
        if count >= self.limits.per_peer_max {
            return Err(Denied::Peer(count));
        }
        Ok(())
    }

    fn check_dial(&self, peer: Option<&PeerId>) -> Result<(), Denied> {
        let Some(peer) = peer else { return Ok(()) };
        self.check_peer(peer)?;
        left(&self.resting, peer).map_or(Ok(()), |left| Err(Denied::Resting(left)))
    }

    fn count<T>(&mut self, result: Result<T, Denied>) -> Result<T, ConnectionDenied> {
        result.map_err(|denied| {
            if !matches!(denied, Denied::Resting(_)) {
                self.denied += 1;
            }
            ConnectionDenied::new(denied)
        })
    }
}

fn left(until: &HashMap<PeerId, Instant>, peer: &PeerId) -> Option<Duration> {
    let left = until.get(peer)?.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

fn remember(map: &mut HashMap<PeerId, Instant>, max: usize, peer: PeerId, until: Instant) {
    if map.len() >= max && !map.contains_key(&peer) {
        let first = map.iter().min_by_key(|(peer, until)| (**until, **peer)).map(|(p, _)| *p);
        first.and_then(|first| map.remove(&first));
    }
    map.insert(peer, until);
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let range = Range::of(remote);
        let checked = self.check_pending_inbound(range);
        self.count(checked)?;
        self.pending.insert(id, range);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&id);
        let range = Range::of(remote);
        let checked = self.check_inbound(&peer, range);
        self.count(checked)?;
        self.established.insert(id, Established { peer, range, inbound: true });
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _id: ConnectionId,
        peer: Option<PeerId>,
        _addresses: &[Multiaddr],
        _role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let checked = self.check_dial(peer.as_ref());
        self.count(checked)?;
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _role: Endpoint,
        _port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let checked = self.check_peer(&peer);
        self.count(checked)?;
        let range = Range::of(remote);
        self.established.insert(id, Established { peer, range, inbound: false });
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        // A connection that another behaviour denied after this one took it ends here too.
        let (FromSwarm::ConnectionClosed(libp2p::swarm::ConnectionClosed {
            connection_id, ..
        })
        | FromSwarm::ListenFailure(libp2p::swarm::ListenFailure { connection_id, .. })
        | FromSwarm::DialFailure(libp2p::swarm::DialFailure { connection_id, .. })) = event
        else {
            return;
        };
        self.pending.remove(&connection_id);
        self.established.remove(&connection_id);
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    fn take_pending(behaviour: &mut Behaviour, id: usize, from: &str) -> bool {
        let local = address("/ip4/127.0.0.1/tcp/1");
        let id = ConnectionId::new_unchecked(id);
        behaviour.handle_pending_inbound_connection(id, &local, &address(from)).is_ok()
    }

    fn take_inbound(behaviour: &mut Behaviour, id: usize, peer: PeerId, from: &str) -> bool {
        let local = address("/ip4/127.0.0.1/tcp/1");
        let id = ConnectionId::new_unchecked(id);
        behaviour.handle_established_inbound_connection(id, peer, &local, &address(from)).is_ok()
    }

    fn dial(behaviour: &mut Behaviour, peer: PeerId) -> bool {
        let id = ConnectionId::new_unchecked(999);
        behaviour.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).is_ok()
    }

    fn small() -> Behaviour {
        Behaviour::new(Limits {
            pending_inbound_max: 5,
            pending_per_range_max: 2,
            inbound_max: 4,
            inbound_per_range_max: 2,
            per_peer_max: 2,
            resting_max: 2,
        })
    }

    #[test]
    fn a_range_has_its_own_bound_and_loopback_only_the_common_one() {
        let mut behaviour = small();
        assert!(take_pending(&mut behaviour, 1, "/ip4/192.0.2.1/tcp/5"));
        assert!(take_pending(&mut behaviour, 2, "/ip4/192.0.2.1/tcp/6"));
        assert!(!take_pending(&mut behaviour, 3, "/ip4/192.0.2.1/tcp/7"));
        for id in 4..7 {
            assert!(take_pending(&mut behaviour, id, "/ip4/127.0.0.1/tcp/8"));
        }
        assert!(!take_pending(&mut behaviour, 7, "/ip4/127.0.0.1/tcp/9"), "the common bound is 5");
        assert_eq!(behaviour.denied(), 2);
    }

    #[test]
    fn all_addresses_of_an_ipv6_64_are_one_range() {
        assert_eq!(
            Range::of(&address("/ip6/2001:db8:0:1::1/tcp/1")),
            Range::of(&address("/ip6/2001:db8:0:1:ffff::2/tcp/2"))
        );
        assert_ne!(
            Range::of(&address("/ip6/2001:db8:0:1::1/tcp/1")),
            Range::of(&address("/ip6/2001:db8:0:2::1/tcp/1"))
        );
        assert_eq!(
            Range::of(&address("/ip6/::ffff:192.0.2.1/tcp/1")),
            Range::of(&address("/ip4/192.0.2.1/tcp/1"))
        );
    }

    #[test]
    fn a_failed_connection_gives_its_place_back() {
        let mut behaviour = small();
        for id in 0..5 {
            assert!(take_pending(&mut behaviour, id, "/ip4/127.0.0.1/tcp/8"));
        }
        assert!(!take_pending(&mut behaviour, 5, "/ip4/127.0.0.1/tcp/8"));
        let (local, remote) = (address("/ip4/127.0.0.1/tcp/1"), address("/ip4/127.0.0.1/tcp/8"));
        behaviour.on_swarm_event(FromSwarm::ListenFailure(libp2p::swarm::ListenFailure {
            local_addr: &local,
            send_back_addr: &remote,
            error: &libp2p::swarm::ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(3),
            peer_id: None,
        }));
        assert!(take_pending(&mut behaviour, 6, "/ip4/127.0.0.1/tcp/8"));
    }

    #[test]
    fn a_peer_may_have_two_connections_but_not_three() {
        let mut behaviour = small();
        let peer = PeerId::random();
        assert!(take_inbound(&mut behaviour, 1, peer, "/ip4/127.0.0.1/tcp/8"));
        assert!(take_inbound(&mut behaviour, 2, peer, "/ip4/127.0.0.1/tcp/8"));
        assert!(!take_inbound(&mut behaviour, 3, peer, "/ip4/127.0.0.1/tcp/8"));
        assert!(take_inbound(&mut behaviour, 4, PeerId::random(), "/ip4/127.0.0.1/tcp/8"));
        assert_eq!(behaviour.connections(), (3, 0));
    }

    #[test]
    fn a_resting_peer_is_not_dialled_but_let_in_and_a_barred_one_is_neither() {
        let mut behaviour = small();
        let (resting, barred) = (PeerId::random(), PeerId::random());
        behaviour.rest(resting, Instant::now() + HOUR);
        behaviour.bar(barred, Instant::now() + HOUR);
        assert!(!dial(&mut behaviour, resting));
        assert!(!dial(&mut behaviour, barred));
        assert!(take_inbound(&mut behaviour, 1, resting, "/ip4/127.0.0.1/tcp/8"));
        assert!(!take_inbound(&mut behaviour, 2, barred, "/ip4/127.0.0.1/tcp/8"));
        behaviour.wake(&resting);
        assert!(dial(&mut behaviour, resting));
        behaviour.forget_expired(Instant::now() + 2 * HOUR);
        assert!(dial(&mut behaviour, barred));
    }

    #[test]
    fn of_more_resting_peers_than_are_remembered_the_first_to_wake_gives_way() {
        let mut behaviour = small();
        let peers = [PeerId::random(), PeerId::random(), PeerId::random()];
        let now = Instant::now();
        behaviour.rest(peers[0], now + 2 * HOUR);
        behaviour.rest(peers[1], now + HOUR);
        behaviour.rest(peers[2], now + 3 * HOUR);
        assert!(!dial(&mut behaviour, peers[0]));
        assert!(dial(&mut behaviour, peers[1]));
        assert!(!dial(&mut behaviour, peers[2]));
    }
}
