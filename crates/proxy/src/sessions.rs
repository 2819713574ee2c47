//! Sessions: which nodes a client may talk to itself, the best first, with tickets for them (the
//! contract, section 4.2).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use access::{Ticket, TicketSigner};
use api::rest::TOPIC_BYTES_MAX;
use broker::ClientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    error::RequestError,
    tracer::rfc3339,
    upstream::{NodeState, Upstream},
};

/// How long a session and its tickets hold, and when a client should ask for the next.
const LIFETIME: Duration = Duration::from_secs(3600);
const REFRESH_AFTER: Duration = Duration::from_secs(2700);

/// Topics and capabilities that a client may name.
const NAMES_MAX: usize = 256;

/// Latency at which a node's score is halved.
const LATENCY_HALF: Duration = Duration::from_millis(100);

/// What a client asks for. Everything but `client_id` may be left out.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Wish {
    pub(crate) client_id: String,
    pub(crate) topics: Vec<String>,
    /// `publish`, `subscribe`.
    pub(crate) capabilities: Vec<String>,
    /// At most so many nodes; 0 is all.
    pub(crate) expose_amount: u32,
    /// A country's name or two letters: nodes there come first.
    pub(crate) region_hint: String,
}

/// Nodes to talk to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// RFC 3339.
    pub(crate) expires_at: String,
    /// The best first.
    pub(crate) nodes: Vec<SessionNode>,
    /// RFC 3339.
    pub(crate) refresh_after: String,
    #[serde(rename = "session_id")]
    pub(crate) id: String,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SessionNode {
    /// `host:port` of the sidecar.
    pub(crate) address: String,
    pub(crate) id: String,
    /// Its country, or empty.
    pub(crate) region: String,
    /// 0 to 1.
    pub(crate) score: f64,
    /// For the commands of the sidecar.
    pub(crate) ticket: String,
    /// grpc.
    pub(crate) transport: &'static str,
}

/// A node that a client may be given.
struct Candidate {
    address: String,
    id: String,
    region: String,
    in_region: bool,
    score: f64,
}

/// Makes sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    signer: Arc<TicketSigner>,
}

impl Sessions {
    pub(crate) fn new(signer: Arc<TicketSigner>) -> Self {
        Self { signer }
    }

    /// Returns the public half of the key that signs tickets.
    pub(crate) fn jwks(&self) -> &str {
        self.signer.jwks()
    }

    /// Makes a session for a client.
    pub(crate) fn create(
        &self,
        upstream: &Upstream,
        client: &ClientId,
        wish: &Wish,
        now: SystemTime,
    ) -> Result<Session, RequestError> {
        check(wish)?;
        let candidates = ranked(upstream, &wish.region_hint, wish.expose_amount);
        if candidates.is_empty() {
            return Err(RequestError::NoNode);
        }
        let session_id = uuid(rand::random());
        let sign = |candidate: Candidate| {
            let ticket = Ticket {
                session_id: &session_id,
                client_id: client,
                node: &candidate.id,
                topics: &wish.topics,
                capabilities: &wish.capabilities,
            };
            let ticket = self.signer.sign(&ticket, now, LIFETIME);
            let ticket = ticket.map_err(|error| RequestError::Ticket(error.to_string()))?;
            let Candidate { address, id, region, score, .. } = candidate;
            Ok(SessionNode { address, id, region, score, ticket, transport: "grpc" })
        };
        let nodes = candidates.into_iter().map(sign).collect::<Result<_, RequestError>>()?;
        Ok(Session {
            expires_at: rfc3339(now + LIFETIME),
            nodes,
            refresh_after: rfc3339(now + REFRESH_AFTER),
            id: session_id,
        })
    }
}

fn check(wish: &Wish) -> Result<(), RequestError> {
    for (name, list) in [("topics", &wish.topics), ("capabilities", &wish.capabilities)] {
        if list.len() > NAMES_MAX || list.iter().any(|entry| entry.len() > TOPIC_BYTES_MAX) {
            let most = format!("at most {NAMES_MAX} entries of {TOPIC_BYTES_MAX} bytes");
            return Err(RequestError::Query(format!("invalid {name}: {most}")));
        }
    }
    Ok(())
}

/// Returns the connected nodes, those in a region first, then by score; `most` of them, or all for
/// 0.
fn ranked(upstream: &Upstream, region: &str, most: u32) -> Vec<Candidate> {
    let up = upstream.nodes().iter().filter(|node| node.is_up());
    let mut candidates: Vec<_> = up
        .map(|node| {
            let state = node.state();
            let score = score(&state, node.in_flight());
            candidate(node.advertised(), node.address(), &state, score, region)
        })
        .collect();
    candidates.sort_by(|a, b| {
        (b.in_region, b.score)
            .partial_cmp(&(a.in_region, a.score))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    if most > 0 {
        candidates.truncate(most as usize);
    }
    candidates
}

fn candidate(
    advertised: &str,
    address: &str,
    state: &NodeState,
    score: f64,
    region: &str,
) -> Candidate {
    let health = state.health.clone().unwrap_or_default();
    let known = |place: &str| !place.is_empty() && place != service::geo::UNKNOWN;
    let peer_id = health.p2p_address.rsplit_once("/p2p/").map(|(_, id)| id.to_owned());
    let in_region = [&health.country, &health.country_iso]
        .iter()
        .any(|place| known(place) && place.eq_ignore_ascii_case(region.trim()));
    Candidate {
        address: advertised.to_owned(),
        id: peer_id.unwrap_or_else(|| address.to_owned()),
        region: if known(&health.country) { health.country } else { String::new() },
        in_region,
        score,
    }
}

/// Returns how good a node is, 0 to 1: it falls with the time it takes to answer, the use of its
/// processors and memory, and the messages that it has not confirmed.
fn score(state: &NodeState, in_flight: usize) -> f64 {
    let latency = state.latency.unwrap_or(LATENCY_HALF).as_secs_f64();
    let near = LATENCY_HALF.as_secs_f64() / (LATENCY_HALF.as_secs_f64() + latency);
    let health = state.health.clone().unwrap_or_default();
    let free = |percent: f32| 1.0 - f64::from(percent.clamp(0.0, 100.0)) / 200.0;
    let idle = 1.0 / (1.0 + in_flight as f64 / 100.0);
    near * free(health.cpu_used) * free(health.memory_used) * idle
}

/// Writes random bits as a UUID, version 4 (RFC 9562, section 5.4).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use api::sidecar::HealthResponse;

    use super::*;

    fn state(latency_ms: u64, cpu_used: f32) -> NodeState {
        let health = Some(HealthResponse { cpu_used, ..HealthResponse::default() });
        NodeState { up: true, latency: Some(Duration::from_millis(latency_ms)), health }
    }

    #[test]
    fn a_node_is_better_the_nearer_and_the_less_busy_it_is() {
        let best = score(&state(1, 0.0), 0);
        assert!(best > 0.98 && best <= 1.0, "{best}");
        assert!(score(&state(100, 0.0), 0) < best);
        assert!(score(&state(1, 80.0), 0) < best);
        assert!(score(&state(1, 0.0), 50) < best);
        let worst = score(&state(1_000_000, 400.0), usize::MAX);
        assert!((0.0..0.01).contains(&worst), "{worst}");
    }

    #[test]
    fn a_session_id_is_a_random_uuid() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn lists_without_end_are_refused() {
        let many = Wish { topics: vec!["t".to_owned(); NAMES_MAX + 1], ..Wish::default() };
        let long = Wish { capabilities: vec!["x".repeat(1025)], ..Wish::default() };
        assert!(check(&Wish::default()).is_ok());
        assert!(check(&many).expect_err("many").to_string().contains("invalid topics"));
        assert!(check(&long).expect_err("long").to_string().contains("invalid capabilities"));
    }
}
