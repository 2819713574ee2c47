//! What the contract has no names for, as `optimum_node_…`: above all what happened at bounds.

use service::{listener, metrics::Families};

use super::Metrics;
use crate::{handle::Counters, picture::Picture};

/// A counter of the node: its name without prefix, what it counts, its value.
type NodeCounter = (&'static str, &'static str, fn(&Counters) -> u64);

#[rustfmt::skip]
const NODE_COUNTERS: [NodeCounter; 12] = [
    ("connections_denied", "Connections not let in.", |c| c.connections_denied),
    ("connections_failed", "Inbound connections that failed before they stood.", |c| c.connections_failed),
    ("publishes_refused", "Messages not published: empty, too long, or on one topic too many.", |c| c.publishes_refused),
    ("subscriptions_refused", "Topics not subscribed because there were too many.", |c| c.subscriptions_refused),
    ("traces_dropped", "Trace events given up because readers were slow.", |c| c.traces_dropped),
    ("messages_dropped", "Messages given up because readers were slow.", |c| c.messages_dropped),
    ("answers_dropped", "Answers given up because publishers did not read them.", |c| c.answers_dropped),
    ("tickets_refused", "Commands refused for want of a valid ticket.", |c| c.tickets_refused),
    ("requests_unreadable", "Requests of sidecar streams that were malformed or too long; each ended its stream.", |c| c.requests_unreadable),
    ("commands_ignored", "Commands that mean nothing: unknown, or with a topic that can be none.", |c| c.commands_ignored),
    ("streams_refused", "Sidecar streams refused because there were too many.", |c| c.streams_refused),
    ("topic_dump_failures", "Times that the topics could not be written to disk.", |c| c.topic_dump_failures),
];

/// Adds the families.
pub(super) fn families(families: &mut Families, picture: &Picture, metrics: &Metrics) {
    let mut add = |name: &str, help, value| {
        families.counter(format!("optimum_node_{name}_total"), help, value);
    };
    for (name, help, value) in NODE_COUNTERS {
        add(name, help, value(&picture.status.counters));
    }
    for (name, help, value) in &picture.own_counters {
        add(&format!("gossip_{name}"), help, *value);
    }
    let (requests, refused, timed_out) = metrics.http.snapshot();
    add("http_requests", "Requests to the HTTP API.", requests);
    add(
        "http_connections_refused",
        "Connections to the HTTP API that ended with what was no request, or too long.",
        refused,
    );
    add(
        "http_connections_timed_out",
        "Connections to the HTTP API closed because the next request did not come in time.",
        timed_out,
    );
    listener::families(families, "node", &metrics.faces);
    depths(families, picture);
}

/// What waits now.
fn depths(families: &mut Families, picture: &Picture) {
    let peers = || picture.traffic.values();
    let in_flight: u64 = peers().map(|peer| peer.in_flight_bytes).sum();
    for (name, help, value) in [
        ("streams", "Streams of readers that are open.", picture.readers as f64),
        ("queue_bytes", "Bytes that wait for readers.", picture.queued_bytes as f64),
        ("messages_open", "Messages that lack shards.", picture.messages.open.len() as f64),
        (
            "messages_retained",
            "Messages kept for peers that lack them.",
            picture.messages.decoded.len() as f64,
        ),
        ("in_flight_bytes", "Bytes sent to peers and not acknowledged.", in_flight as f64),
        (
            "peers_stalled_now",
            "Peers that are sent nothing more for want of acknowledgements.",
            peers().filter(|peer| peer.stalled).count() as f64,
        ),
    ] {
        families.gauge(format!("optimum_node_{name}"), help, value);
    }
}
