//! What is known of connected peers.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint, swarm::ConnectionId};

use super::discovery;
use crate::picture::PeerDetail;

/// What is remembered of what a peer says about itself.
const PROTOCOLS_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 256;

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    remote: Multiaddr,
    /// Whether we opened it.
    outbound: bool,
}

#[derive(Debug)]
struct Peer {
    /// The oldest that is open; it is the one that is shown.
    oldest: Connection,
    /// The others in their order; the swarm bounds their number.
    others: Vec<Connection>,
    /// Where we dialled it.
    dialled: Option<Multiaddr>,
    /// Where it says it listens, as far as that is of use.
    named: Vec<Multiaddr>,
    admitted: bool,
    /// When the first connection stood, since the Unix epoch.
    since: Duration,
    agent_version: String,
    protocols: Vec<String>,
}

/// Every connected peer.
#[derive(Debug)]
pub(super) struct Peers {
    peers: BTreeMap<PeerId, Peer>,
    /// Whether QUIC addresses are of use.
    quic: bool,
}

impl Peers {
    pub(super) fn new(quic: bool) -> Self {
        Self { peers: BTreeMap::new(), quic }
    }

    pub(super) fn connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let remote = discovery::without_peer(endpoint.get_remote_address().clone());
        let outbound = endpoint.is_dialer();
        let dialled = outbound.then(|| remote.clone());
        let connection = Connection { id, remote, outbound };
        match self.peers.entry(peer) {
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                known.others.push(connection);
                known.dialled = dialled.or_else(|| known.dialled.take());
            }
            Entry::Vacant(entry) => {
                entry.insert(Peer {
                    oldest: connection,
                    others: Vec::new(),
                    dialled,
                    named: Vec::new(),
                    admitted: false,
                    since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
                    agent_version: String::new(),
                    protocols: Vec::new(),
                });
            }
        }
    }

    /// A connection closed; with the last one the peer is gone.
    pub(super) fn disconnected(&mut self, peer: &PeerId, id: ConnectionId) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        if entry.oldest.id != id {
            entry.others.retain(|other| other.id != id);
        } else if entry.others.is_empty() {
            self.peers.remove(peer);
        } else {
            entry.oldest = entry.others.remove(0);
        }
    }

    /// The peer said what it is and what it speaks.
    pub(super) fn described<'a>(
        &mut self,
        peer: &PeerId,
        agent_version: &str,
        protocols: impl Iterator<Item = &'a str>,
    ) {
        let Some(entry) = self.peers.get_mut(peer) else { return };
        entry.agent_version = bounded(agent_version);
        entry.protocols = protocols.take(PROTOCOLS_MAX).map(bounded).collect();
        entry.protocols.sort_unstable();
    }

    /// The peer named its addresses. Returns the useful ones if it is admitted.
    pub(super) fn identified(
        &mut self,
        peer: &PeerId,
        named: Vec<Multiaddr>,
    ) -> Option<Vec<Multiaddr>> {
        let entry = self.peers.get_mut(peer)?;
        entry.named = discovery::usable(&entry.oldest.remote, named, self.quic);
        entry.admitted.then(|| entry.named.clone())
    }

    /// The peer was admitted. Returns its addresses if it named them already.
    pub(super) fn admit(&mut self, peer: &PeerId) -> Option<Vec<Multiaddr>> {
        let entry = self.peers.get_mut(peer)?;
        entry.admitted = true;
        (!entry.named.is_empty()).then(|| entry.named.clone())
    }

    pub(super) fn dialled_address(&self, peer: &PeerId) -> Option<Multiaddr> {
        self.peers.get(peer)?.dialled.clone()
    }

    /// Returns how many are admitted.
    pub(super) fn admitted(&self) -> usize {
        self.peers.values().filter(|peer| peer.admitted).count()
    }

    /// Returns what is known of each admitted peer.
    pub(super) fn details(&self) -> BTreeMap<PeerId, PeerDetail> {
        let admitted = self.peers.iter().filter(|(_, peer)| peer.admitted);
        let details = admitted.map(|(id, peer)| {
            let detail = PeerDetail {
                address: peer.oldest.remote.clone(),
                outbound: peer.oldest.outbound,
                connected_since: peer.since,
                protocols: peer.protocols.clone(),
                agent_version: peer.agent_version.clone(),
                listens: peer.named.clone(),
            };
            (*id, detail)
        });
        details.collect()
    }

    /// Returns where each admitted peer is.
    pub(super) fn addresses(&self) -> BTreeMap<PeerId, Multiaddr> {
        let admitted = self.peers.iter().filter(|(_, peer)| peer.admitted);
        admitted.map(|(id, peer)| (*id, peer.oldest.remote.clone())).collect()
    }
}

/// Returns as much of what a stranger wrote as is remembered.
fn bounded(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use libp2p::core::{Endpoint, transport::PortUse};

    use super::*;

    fn endpoint(address: &str, dialled: bool) -> ConnectedPoint {
        let address: Multiaddr = address.parse().expect("a multiaddress");
        if dialled {
            ConnectedPoint::Dialer {
                address,
                role_override: Endpoint::Dialer,
                port_use: PortUse::Reuse,
            }
        } else {
            ConnectedPoint::Listener { local_addr: address.clone(), send_back_addr: address }
        }
    }

    #[test]
    fn direction_and_address_shown_are_of_one_connection_that_is_open() {
        let (mut peers, peer) = (Peers::new(false), PeerId::random());
        let ids = [1, 2, 3].map(ConnectionId::new_unchecked);
        let ends = [("/ip4/192.0.2.1/tcp/7070", true), ("/ip4/192.0.2.1/tcp/50000", false)];
        for (id, (address, dialled)) in ids.iter().zip([ends[0], ends[1], ends[1]]) {
            peers.connected(peer, *id, &endpoint(address, dialled));
        }
        peers.admit(&peer);
        let shown = |peers: &Peers| {
            let detail = peers.details().remove(&peer)?;
            assert_eq!(peers.addresses()[&peer], detail.address);
            Some((detail.address.to_string(), detail.outbound))
        };
        let end = |(address, dialled): (&str, bool)| Some((address.to_owned(), dialled));
        assert_eq!(shown(&peers), end(ends[0]));
        peers.disconnected(&peer, ids[2]);
        assert_eq!(shown(&peers), end(ends[0]));
        peers.disconnected(&peer, ids[0]);
        assert_eq!(shown(&peers), end(ends[1]));
        peers.disconnected(&peer, ids[1]);
        assert_eq!(shown(&peers), None);
    }
}
