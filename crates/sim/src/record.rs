//! What a run leaves behind: one JSON object for each run and protocol.

use serde::{Deserialize, Serialize};

/// One run of one protocol in one scenario.
///
/// Times run from the publish to the verified delivery, over all pairs of a message and a node that
/// is honest and connected; a pair without delivery is infinite. Bytes are all bytes of the streams.
/// What is *per message byte* is divided by the bytes of all messages of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Which scenario.
    pub scenario: String,
    /// `gossipsub`, `documented`, `adaptive` or `committed`.
    pub protocol: String,
    /// Whether its settings were tuned, in place of those that ship.
    pub tuned: bool,
    /// What was modelled of the links.
    pub link_model: String,
    /// How many nodes.
    pub nodes: u32,
    /// How many of them published.
    pub publishers: u32,
    /// Length of each message in bytes.
    pub message_bytes: u64,
    /// The seed that replays the run.
    pub seed: u64,
    /// Half of the pairs were delivered within this time; `None` is infinite.
    pub p50_ms: Option<f64>,
    /// The 90th percentile.
    pub p90_ms: Option<f64>,
    /// The 95th percentile.
    pub p95_ms: Option<f64>,
    /// The 99th percentile.
    pub p99_ms: Option<f64>,
    /// The last delivery.
    pub max_ms: Option<f64>,
    /// The share of the pairs that were delivered, 0 to 1.
    pub delivered: f64,
    /// What the median node received, per message byte.
    pub bytes_received_median: f64,
    /// What all but one node in a hundred received at most, per message byte.
    pub bytes_received_p99: f64,
    /// What a publisher sent, per message byte; the mean of the publishers.
    pub publisher_egress: f64,
    /// What the median of the nodes of 50 Mbit/s sent, per message byte; 0 if there is none.
    pub upload_50mbps_median: f64,
    /// What all but one in a hundred of them sent at most, per message byte; 0 if there is none.
    pub upload_50mbps_p99: f64,
    /// No protocol can be faster at the 99th percentile.
    pub bound_ms: f64,
    /// What the protocol cost on a core, per node and message, by rates measured; the mean.
    pub cpu_ms: f64,
    /// Peers that were convicted by some node.
    pub convicted: u32,
    /// Of those, the honest ones. Must be 0.
    pub honest_convicted: u32,
}
