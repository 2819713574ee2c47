//! `GET /api/v1/p2p-snapshot`

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use libp2p::PeerId;
use serde::Serialize;
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::Pages;
use crate::{handle::PeerStatus, picture::Picture};

/// What the node holds and exchanges.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Snapshot {
    connected_peers: Vec<ConnectedPeer>,
    /// Peers in the mesh of at least one topic.
    full_message_node_count: usize,
    /// Message ids, hexadecimal: decoded and still kept.
    fully_decoded_message_hashes: Vec<String>,
    /// Other peers.
    partial_message_node_count: usize,
    /// Message ids, hexadecimal: some shards are here, too few to decode.
    seen_message_hashes: Vec<String>,
    total_peer_count: usize,
    /// Of each message that is not decoded, how many independent shards are held.
    undecoded_shard_buffer_sizes: BTreeMap<String, u64>,
}

/// A peer that takes part.
#[derive(Debug, Serialize, ToSchema)]
struct ConnectedPeer {
    address: String,
    agent_version: String,
    /// Seconds since the Unix epoch.
    connected_since: u64,
    /// `inbound` or `outbound`: who opened the oldest connection that is open, which `address` is of.
    direction: &'static str,
    /// Whether its score keeps it out of meshes.
    graylisted: bool,
    /// Data sent and not acknowledged.
    in_flight_bytes: u64,
    /// Whether it is in the mesh of a topic.
    mesh: bool,
    mesh_topics: Vec<String>,
    peer_id: String,
    protocols: Vec<String>,
    /// Smallest round-trip time of late; absent before the first measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_seconds: Option<f64>,
    /// At most 1; 0 for a stranger.
    score: f64,
    shards_innovative: u64,
    shards_received: u64,
    shards_sent: u64,
    /// Whether it is sent nothing for want of acknowledgements.
    stalled: bool,
    topics: Vec<String>,
    /// How much may be sent and not acknowledged.
    window_bytes: u64,
}

/// What the node holds of messages and exchanges with each peer.
#[utoipa::path(get, path = "/api/v1/p2p-snapshot", responses(
    (status = 200, body = Snapshot),
    (status = 503, description = "The node is shutting down", body = Failure),
))]
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    match pages.handle.picture().await {
        Ok(picture) => answer::json(&snapshot(&picture)),
        Err(closed) => answer::unavailable(closed),
    }
}

fn snapshot(picture: &Picture) -> Snapshot {
    let peers = &picture.status.peers;
    let in_mesh = peers.iter().filter(|peer| !peer.mesh.is_empty()).count();
    // Several messages under way may claim one id.
    let mut undecoded: BTreeMap<String, u64> = BTreeMap::new();
    for open in &picture.messages.open {
        *undecoded.entry(open.message.to_string()).or_default() += u64::from(open.rank);
    }
    Snapshot {
        connected_peers: peers.iter().map(|peer| connected_peer(peer, picture)).collect(),
        full_message_node_count: in_mesh,
        fully_decoded_message_hashes: decoded(picture),
        partial_message_node_count: peers.len() - in_mesh,
        seen_message_hashes: undecoded.keys().cloned().collect(),
        total_peer_count: peers.len(),
        undecoded_shard_buffer_sizes: undecoded,
    }
}

fn decoded(picture: &Picture) -> Vec<String> {
    let mut ids: Vec<String> = picture.messages.decoded.iter().map(ToString::to_string).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn connected_peer(status: &PeerStatus, picture: &Picture) -> ConnectedPeer {
    let peer: PeerId = status.peer;
    let traffic = picture.traffic.get(&peer).copied().unwrap_or_default();
    let detail = picture.details.get(&peer);
    ConnectedPeer {
        address: status.address.to_string(),
        agent_version: detail.map(|detail| detail.agent_version.clone()).unwrap_or_default(),
        connected_since: detail.map_or(0, |detail| detail.connected_since.as_secs()),
        direction: if detail.is_some_and(|detail| detail.outbound) {
            "outbound"
        } else {
            "inbound"
        },
        graylisted: traffic.graylisted,
        in_flight_bytes: traffic.in_flight_bytes,
        mesh: !status.mesh.is_empty(),
        mesh_topics: status.mesh.clone(),
        peer_id: peer.to_string(),
        protocols: detail.map(|detail| detail.protocols.clone()).unwrap_or_default(),
        rtt_seconds: traffic.rtt.map(|rtt| rtt.as_secs_f64()),
        score: traffic.score,
        shards_innovative: traffic.shards_innovative,
        shards_received: traffic.shards_received,
        shards_sent: traffic.shards_sent,
        stalled: traffic.stalled,
        topics: status.topics.clone(),
        window_bytes: traffic.window_bytes,
    }
}
