//! Who joined and who left, from comparing pictures: the library does not tell.

use std::collections::{BTreeMap, BTreeSet};

use gossip::{Topic, Trace};
use libp2p::PeerId;

/// A picture of the peers and the meshes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Peers whose protocol is known, and which it is.
    pub(super) peers: BTreeMap<PeerId, &'static str>,
    /// The mesh of each subscribed topic.
    pub(super) mesh: BTreeSet<(Topic, PeerId)>,
}

/// Returns what led from one picture to the other, each with the protocol of its peer.
pub(super) fn changes(before: &Picture, after: &Picture) -> Vec<(Trace<PeerId>, &'static str)> {
    let protocol = |picture: &Picture, peer| picture.peers.get(peer).copied().unwrap_or_default();
    let came = after.peers.iter().filter(|(peer, _)| !before.peers.contains_key(*peer));
    let left = before.peers.iter().filter(|(peer, _)| !after.peers.contains_key(*peer));
    let grafted = after.mesh.difference(&before.mesh);
    let pruned = before.mesh.difference(&after.mesh);
    let came = came.map(|(peer, protocol)| (Trace::AddPeer { peer: *peer }, *protocol));
    let grafted = grafted.map(|(topic, peer)| {
        (Trace::Graft { peer: *peer, topic: topic.clone() }, protocol(after, peer))
    });
    let pruned = pruned.map(|(topic, peer)| {
        (Trace::Prune { peer: *peer, topic: topic.clone() }, protocol(before, peer))
    });
    let left = left.map(|(peer, protocol)| (Trace::RemovePeer { peer: *peer }, *protocol));
    came.chain(grafted).chain(pruned).chain(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_comes_before_its_grafts_and_goes_after_its_prunes() {
        let (peer, topic) = (PeerId::random(), Topic::new("a").expect("a topic"));
        let empty = Picture::default();
        let full = Picture {
            peers: [(peer, "/meshsub/1.2.0")].into(),
            mesh: [(topic.clone(), peer)].into(),
        };
        let came = [Trace::AddPeer { peer }, Trace::Graft { peer, topic: topic.clone() }];
        let gone = [Trace::Prune { peer, topic }, Trace::RemovePeer { peer }];
        let wanted = |traces: [Trace<PeerId>; 2]| traces.map(|trace| (trace, "/meshsub/1.2.0"));
        assert_eq!(changes(&empty, &full), wanted(came));
        assert_eq!(changes(&full, &empty), wanted(gone));
        assert_eq!(changes(&full, &full), []);
    }
}
