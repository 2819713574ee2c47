//! A picture of a node with everything that its pages and its metrics show.

use std::{collections::BTreeMap, time::Duration};

use libp2p::{Multiaddr, PeerId};

use crate::{
    handle::Status,
    pubsub::{Messages, OwnCounter, PeerTraffic, ProtocolCounters},
};

/// What is known of a connected peer beside the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerDetail {
    /// Where its oldest open connection leads.
    pub(crate) address: Multiaddr,
    /// Whether this node opened that.
    pub(crate) outbound: bool,
    /// When the first connection stood, since the Unix epoch.
    pub(crate) connected_since: Duration,
    /// What it said it speaks.
    pub(crate) protocols: Vec<String>,
    /// What it said it is.
    pub(crate) agent_version: String,
    /// Where it said it listens, as far as that is of use.
    pub(crate) listens: Vec<Multiaddr>,
}

/// The picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) status: Status,
    pub(crate) protocol: ProtocolCounters,
    pub(crate) own_counters: Vec<OwnCounter>,
    /// Of each peer that takes part.
    pub(crate) traffic: BTreeMap<PeerId, PeerTraffic>,
    /// Of each peer that takes part.
    pub(crate) details: BTreeMap<PeerId, PeerDetail>,
    pub(crate) messages: Messages,
    /// Readers' streams that are open.
    pub(crate) readers: usize,
    /// Bytes that wait for them.
    pub(crate) queued_bytes: usize,
}
