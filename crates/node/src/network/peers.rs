//! What is known of connected peers.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libp2p::{Multiaddr, PeerId, core::ConnectedPoint};

use super::discovery;
use crate::picture::PeerDetail;

/// What is remembered of what a peer says about itself.
const PROTOCOLS_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 256;

#[derive(Debug)]
struct Peer {
    /// Where its newest connection leads.
    remote: Multiaddr,
    /// Where we dialled it.
    dialled: Option<Multiaddr>,
    /// Where it says it listens, as far as that is of use.
    named: Vec<Multiaddr>,
    admitted: bool,
    /// Whether we opened the first connection.
    outbound: bool,
    /// When that stood, since the Unix epoch.
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

    pub(super) fn connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint) {
        let remote = discovery::without_peer(endpoint.get_remote_address().clone());
        let dialled = endpoint.is_dialer().then(|| remote.clone());
        let entry = self.peers.entry(peer).or_insert_with(|| Peer {
            remote: remote.clone(),
            dialled: None,
            named: Vec::new(),
            admitted: false,
            outbound: endpoint.is_dialer(),
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            agent_version: String::new(),
            protocols: Vec::new(),
        });
        entry.remote = remote;
        entry.dialled = dialled.or_else(|| entry.dialled.take());
    }

    pub(super) fn disconnected(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
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

    /// Returns what is known of each admitted peer.
    pub(super) fn details(&self) -> BTreeMap<PeerId, PeerDetail> {
        let admitted = self.peers.iter().filter(|(_, peer)| peer.admitted);
        let details = admitted.map(|(id, peer)| {
            let detail = PeerDetail {
                address: peer.remote.clone(),
                outbound: peer.outbound,
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
        admitted.map(|(id, peer)| (*id, peer.remote.clone())).collect()
    }
}

/// Returns as much of what a stranger wrote as is remembered.
fn bounded(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
