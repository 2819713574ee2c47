//! The topics that this node subscribed, and the mesh of each.

pub(crate) mod data;
pub(crate) mod mesh;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use self::data::DataPeers;
use crate::PeerName;

/// One subscribed topic.
#[derive(Debug)]
pub(crate) struct TopicState<P> {
    /// The peers that we grafted or that grafted us.
    pub(crate) mesh: BTreeSet<P>,
    /// Peers that are not to be grafted before the time given.
    pub(crate) backoff: BTreeMap<P, Instant>,
    /// With whom fragments are exchanged; nobody in profile `documented`.
    pub(crate) data: DataPeers<P>,
}

impl<P: PeerName> TopicState<P> {
    pub(crate) fn new() -> Self {
        Self { mesh: BTreeSet::new(), backoff: BTreeMap::new(), data: DataPeers::default() }
    }

    /// Returns whether `peer` may be grafted.
    pub(crate) fn may_graft(&self, now: Instant, peer: P) -> bool {
        !self.mesh.contains(&peer) && self.backoff.get(&peer).is_none_or(|&until| until <= now)
    }

    /// Forgets times that have passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.backoff.retain(|_, until| *until > now);
        self.data.expire(now);
    }
}
