//! `GET /api/v1/config`

use axum::{extract::State, response::Response};
use serde::Serialize;
use service::http::answer;
use utoipa::ToSchema;

use super::Pages;
use crate::config::{Config, Mode};

/// The settings that the node runs with; no keys, no tokens, no paths of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigPage {
    announce_addresses: Vec<String>,
    api_port: u16,
    /// Empty for all addresses.
    bind_address: String,
    bootstrap_peers: Vec<String>,
    /// Without effect.
    chain_id: String,
    cluster_handshake: &'static str,
    cluster_id: String,
    /// Of coded shards held, the share from which a node passes on new combinations.
    forward_shard_threshold: f64,
    gossipsub_port: u16,
    identity_dir: String,
    log_level: &'static str,
    max_message_size_bytes: u64,
    mesh_degree_max: usize,
    mesh_degree_min: usize,
    mesh_degree_target: usize,
    node_mode: &'static str,
    optimum_port: u16,
    profile: &'static str,
    publisher_shard_multiplier: f64,
    quic: bool,
    /// Without effect.
    random_message_size_bytes: usize,
    retain_bytes: u64,
    rlnc_shard_factor: u16,
    sidecar_port: u16,
    /// Whether session tickets are checked.
    sidecar_tickets: bool,
    stream_queue_bytes: usize,
    tls: bool,
    /// Trace events sent to readers: `all`, `none` or a comma list of types.
    trace: String,
}

/// What the node runs with.
#[utoipa::path(get, path = "/api/v1/config", responses((status = 200, body = ConfigPage)))]
pub(super) async fn page(State(pages): State<Pages>) -> Response {
    answer::json(&shown(&pages.config))
}

fn shown(config: &Config) -> ConfigPage {
    let mesh = match config.mode {
        Mode::Optimum => config.optimum.mesh,
        Mode::Gossipsub => config.gossipsub.mesh,
    };
    let peer = |entry: &crate::BootstrapPeer| format!("{}/p2p/{}", entry.address, entry.peer);
    ConfigPage {
        announce_addresses: config.announce.iter().map(ToString::to_string).collect(),
        api_port: config.api_port,
        bind_address: config.bind_address.map(|ip| ip.to_string()).unwrap_or_default(),
        bootstrap_peers: config.bootstrap_peers.iter().map(peer).collect(),
        chain_id: config.chain_id.clone(),
        cluster_handshake: config.handshake.name(),
        cluster_id: config.cluster_id.clone(),
        forward_shard_threshold: config.optimum.threshold,
        gossipsub_port: config.gossipsub.port,
        identity_dir: config.identity_dir.display().to_string(),
        log_level: config.log_level(),
        max_message_size_bytes: config.max_message_bytes(),
        mesh_degree_max: mesh.max,
        mesh_degree_min: mesh.min,
        mesh_degree_target: mesh.target,
        node_mode: config.mode.name(),
        optimum_port: config.optimum.port,
        profile: config.optimum.profile.name(),
        publisher_shard_multiplier: config.optimum.shard_multiplier,
        quic: config.quic,
        random_message_size_bytes: config.random_message_bytes,
        retain_bytes: config.optimum.retain_bytes,
        rlnc_shard_factor: config.optimum.shard_factor,
        sidecar_port: config.sidecar_port,
        sidecar_tickets: config.sidecar_jwks.is_some(),
        stream_queue_bytes: config.stream_queue_bytes,
        tls: config.tls.is_some(),
        trace: config.trace.to_string(),
    }
}
