//! A node's place in the network: its protocol, its up- and downlink, what passed.

use std::collections::{BTreeMap, VecDeque};

use super::schedule::{LinkId, Nanos};
use crate::protocol::NodeId;

/// What passed through a node's links: stream bytes of whole frames. Counters never go down, not
/// even when the node starts anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Data received.
    pub data_received: u64,
    /// Control received.
    pub control_received: u64,
    /// Data sent: it has left, whether or not it arrives.
    pub data_sent: u64,
    /// Control sent.
    pub control_sent: u64,
}

impl Usage {
    /// Returns all bytes received.
    pub fn received(&self) -> u64 {
        self.data_received + self.control_received
    }

    /// Returns all bytes sent.
    pub fn sent(&self) -> u64 {
        self.data_sent + self.control_sent
    }

    /// Returns what passed since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            data_received: self.data_received - before.data_received,
            control_received: self.control_received - before.control_received,
            data_sent: self.data_sent - before.data_sent,
            control_sent: self.control_sent - before.control_sent,
        }
    }
}

/// A node.
pub(super) struct Node<P> {
    /// None while the node is not there.
    pub(super) protocol: Option<P>,
    /// How often it started.
    pub(super) starts: u32,
    /// Counts starts and ends: what an earlier life has scheduled is void.
    pub(super) incarnation: u32,
    pub(super) up_bps: u64,
    pub(super) down_bps: u64,
    /// Links by the other end, those of the past included.
    pub(super) links: BTreeMap<NodeId, LinkId>,
    /// Links with something to send, in turns.
    pub(super) turns: VecDeque<LinkId>,
    /// The link whose slice the uplink is sending.
    pub(super) sending: Option<LinkId>,
    /// When the downlink is done with the slices that have begun to arrive.
    pub(super) down_free_at: Nanos,
    /// When the node is to be called, as scheduled.
    pub(super) timer_at: Nanos,
    /// It was called since it was last asked when it wants to be.
    pub(super) called: bool,
    /// When its core is done with the work given out.
    pub(super) core_free_at: Nanos,
    /// It receives and never sends data.
    pub(super) drops: bool,
    pub(super) usage: Usage,
}

impl<P> Node<P> {
    pub(super) fn new(up_bps: u64, down_bps: u64) -> Self {
        Self {
            protocol: None,
            starts: 0,
            incarnation: 0,
            up_bps,
            down_bps,
            links: BTreeMap::new(),
            turns: VecDeque::new(),
            sending: None,
            down_free_at: 0,
            timer_at: Nanos::MAX,
            called: false,
            core_free_at: 0,
            drops: false,
            usage: Usage::default(),
        }
    }
}

/// Returns how long `bytes` take at `bps`.
pub(super) fn transfer_time(bytes: u64, bps: u64) -> Nanos {
    // A division of 128 bits takes ten times as long, and there is one for each slice and link.
    match bytes.checked_mul(8_000_000_000) {
        Some(bits) => bits / bps,
        None => (u128::from(bytes) * 8_000_000_000 / u128::from(bps)) as Nanos,
    }
}
