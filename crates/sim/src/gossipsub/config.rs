//! Settings of a `GossipSub` node: the defaults of rust-libp2p, but for what a scenario sets.

use std::time::Duration;

/// How a node takes part. [`Config::default`] has the values of libp2p-gossipsub 0.50, with the
/// heartbeat of the specification's users that this project measures against, 700 ms.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Peers the mesh is filled up to.
    pub mesh: usize,
    /// Below this it is filled up.
    pub mesh_low: usize,
    /// From here on it is cut back.
    pub mesh_high: usize,
    /// So many of the mesh this node dialled itself.
    pub mesh_outbound_min: usize,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// Peers outside the mesh that are told ids at a heartbeat, at least.
    pub lazy: usize,
    /// The share of the peers outside the mesh that are told, if that is more.
    pub gossip_factor: f64,
    /// Heartbeats a message is kept for.
    pub history: usize,
    /// Heartbeats its id is told.
    pub history_gossip: usize,
    /// A peer that asks for a message more often gets it no more.
    pub retransmissions: u32,
    /// A message that a peer was asked for is asked of another after as long; `None`, which is
    /// rust-libp2p without scoring, never asks again.
    pub iwant_followup: Option<Duration>,
    /// Longer messages are answered by IDONTWANT; `None` never sends one.
    pub idontwant_above_bytes: Option<u64>,
    /// An own message goes to all peers, not to the mesh alone.
    pub flood_publish: bool,
    /// An own message that waited longer behind others is dropped.
    pub publish_wait: Duration,
    /// The same for what is passed on or was asked for.
    pub forward_wait: Duration,
    /// Whom a PRUNE parted does not graft for as long.
    pub prune_backoff: Duration,
    /// An id is known for as long.
    pub seen: Duration,
    /// RPCs with messages, IHAVE and IWANT that wait for one peer at most.
    pub queue: usize,
    /// It takes part in everything but never sends a message: a dropper.
    pub withholds: bool,
    /// Bytes that a connection takes and has not sent: what a stream of yamux may have on the way,
    /// 256 KiB to begin with. They lie in buffers of the sender's system, behind the queue that
    /// IDONTWANT and the limits on waiting act on.
    pub connection_buffer_bytes: u64,
    /// How many bytes of a message one byte of a payload stands for.
    pub payload_scale: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mesh: 8,
            mesh_low: 6,
            mesh_high: 12,
            mesh_outbound_min: 2,
            heartbeat: Duration::from_millis(700),
            lazy: 6,
            gossip_factor: 0.25,
            history: 5,
            history_gossip: 3,
            retransmissions: 3,
            iwant_followup: Some(Duration::from_secs(3)),
            idontwant_above_bytes: Some(1000),
            flood_publish: false,
            publish_wait: Duration::from_secs(5),
            forward_wait: Duration::from_secs(1),
            prune_backoff: Duration::from_secs(60),
            seen: Duration::from_secs(60),
            queue: 5000,
            withholds: false,
            connection_buffer_bytes: 256 * 1024,
            payload_scale: 1,
        }
    }
}

impl Config {
    /// The settings that were fastest on real nodes in the lab of 32: half the mesh, no gossip.
    #[must_use]
    pub fn best_found() -> Self {
        Self { mesh: 4, mesh_low: 3, mesh_high: 6, ..Self::default() }.without_gossip()
    }

    /// The same without IHAVE.
    #[must_use]
    pub fn without_gossip(self) -> Self {
        Self { lazy: 0, gossip_factor: 0.0, ..self }
    }
}
