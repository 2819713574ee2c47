//! What is known of connected peers.

use std::collections::BTreeMap;

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint};

use super::discovery;

#[derive(Debug)]
struct Peer {
    /// Where its newest connection leads.
    remote: Multiaddr,
    /// Where we dialled it.
    dialled: Option<Multiaddr>,
    /// Where it says it listens, as far as that is of use.
    named: Vec<Multiaddr>,
    admitted: bool,
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

    pub(super) fn connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let remote = discovery::without_peer(endpoint.get_remote_address().clone());
        let dialled = endpoint.is_dialer().then(|| remote.clone());
        let entry = self.peers.entry(peer).or_insert_with(|| Peer {
            remote: remote.clone(),
            dialled: None,
            named: Vec::new(),
            admitted: false,
        });
        entry.remote = remote;
        entry.dialled = dialled.or_else(|| entry.dialled.take());
    }

    pub(super) fn disconnected(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// The peer named its addresses. Returns the useful ones if it is admitted.
    pub(super) fn identified(
        &mut self,
        peer: &PeerId,
        named: Vec<Multiaddr>,
    ) -> Option<Vec<Multiaddr>> {
        let entry = self.peers.get_mut(peer)?;
        entry.named = discovery::usable(&entry.remote, named, self.quic);
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

    /// Returns where each admitted peer is.
    pub(super) fn addresses(&self) -> BTreeMap<PeerId, Multiaddr> {
        let admitted = self.peers.iter().filter(|(_, peer)| peer.admitted);
        admitted.map(|(id, peer)| (*id, peer.remote.clone())).collect()
    }
}
