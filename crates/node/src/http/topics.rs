//! `GET /api/v1/topics`

use std::collections::BTreeMap;

use api::topics_query::{self, TopicsQuery};
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use service::http::answer::{self, Failure};
use utoipa::ToSchema;

use super::Pages;
use crate::{handle::PeerStatus, picture::Picture};

/// Topics and who subscribed them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopicsPage {
    /// How many topics follow.
    count: usize,
    topics: Vec<TopicEntry>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TopicEntry {
    /// Connected peers that subscribed it, this node not among them.
    peer_count: usize,
    /// Only with `nodeinfo=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<Vec<Subscriber>>,
    topic: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Subscriber {
    /// Where it is connected, then where it says it listens.
    addresses: Vec<String>,
    /// `connected`: of others nothing is known.
    connection_status: &'static str,
    peer_id: String,
}

/// Topics that this node or a connected peer subscribed.
#[utoipa::path(get, path = "/api/v1/topics", params(
    ("topic" = Option<String>, Query, description = "Only this topic; one that nobody subscribed has no peers"),
    ("nodeinfo" = Option<bool>, Query, description = "With each subscriber"),
), responses(
    (status = 200, body = TopicsPage),
    (status = 400, description = "The query means nothing", body = Failure),
    (status = 503, description = "The node is shutting down", body = Failure),
))]
pub(super) async fn page(State(pages): State<Pages>, RawQuery(query): RawQuery) -> Response {
    let wanted = match topics_query::parse(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(error) => return answer::failure(StatusCode::BAD_REQUEST, error),
    };
    match pages.handle.picture().await {
        Ok(picture) => answer::json(&topics(&picture, &wanted)),
        Err(closed) => answer::unavailable(closed),
    }
}

fn topics(picture: &Picture, wanted: &TopicsQuery) -> TopicsPage {
    let mut subscribers: BTreeMap<&str, Vec<&PeerStatus>> =
        picture.status.topics.iter().map(|topic| (topic.as_str(), Vec::new())).collect();
    for peer in &picture.status.peers {
        for topic in &peer.topics {
            subscribers.entry(topic).or_default().push(peer);
        }
    }
    let entry = |topic: &str, peers: &[&PeerStatus]| TopicEntry {
        peer_count: peers.len(),
        peers: wanted
            .nodeinfo
            .then(|| peers.iter().map(|peer| subscriber(peer, picture)).collect()),
        topic: topic.to_owned(),
    };
    let topics: Vec<TopicEntry> = match &wanted.topic {
        Some(topic) => {
            let peers = subscribers.get(topic.as_str()).map(Vec::as_slice).unwrap_or_default();
            vec![entry(topic, peers)]
        }
        None => subscribers.iter().map(|(topic, peers)| entry(topic, peers)).collect(),
    };
    TopicsPage { count: topics.len(), topics }
}

fn subscriber(peer: &PeerStatus, picture: &Picture) -> Subscriber {
    let mut addresses = vec![peer.address.to_string()];
    if let Some(detail) = picture.details.get(&peer.peer) {
        let listens = detail.listens.iter().filter(|address| **address != peer.address);
        addresses.extend(listens.map(ToString::to_string));
    }
    Subscriber { addresses, connection_status: "connected", peer_id: peer.peer.to_string() }
}
