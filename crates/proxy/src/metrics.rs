//! What `/metrics` shows: the contract's names of both generations (section 2.8), and our own.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Instant, UNIX_EPOCH},
};

use service::{
    grpc_meter::GrpcMeter,
    http::HttpCounters,
    listener::{self, Refusals},
    metrics::{Families, Labels},
    process,
};

use crate::{
    deliveries::Picture,
    http::{Face, SocketCounters},
    proxy::Proxy,
    traffic::{Traffic, WINDOW_MAX},
};

/// Messages with series of their own: the last ones.
const MESSAGES_MAX: usize = 100;

/// Where the parts of a proxy count.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) http: Arc<HttpCounters>,
    /// WebSockets.
    pub(crate) sockets: Arc<SocketCounters>,
    /// Streams of gRPC.
    pub(crate) streams: Arc<SocketCounters>,
    pub(crate) grpc: Arc<GrpcMeter>,
    /// What the listeners did not take, by the name of the face.
    pub(crate) faces: Vec<(&'static str, Arc<Refusals>)>,
}

/// Writes the page.
pub(crate) fn page(face: &Face, picture: &Picture) -> String {
    let mut families = Families::default();
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (proxy, metrics) = (&face.proxy, &face.metrics);
    process::families(&mut families, "proxy", tasks);
    {
        let mut traffic = proxy.traffic();
        traffic.settle();
        published(&mut families, &traffic);
        fallbacks(&mut families, &traffic, picture);
        delays(&mut families, &traffic);
        reported(&mut families, &traffic, proxy);
    }
    nodes(&mut families, proxy);
    clients(&mut families, metrics, picture);
    decisions(&mut families, picture);
    state(&mut families, proxy);
    own(&mut families, metrics);
    metrics.grpc.families(&mut families, "proxy");
    if let Some((latitude, longitude)) = proxy.place.coordinates {
        let place = &proxy.place;
        let labels = vec![
            ("country_iso", place.country_iso.clone()),
            ("latitude", format!("{latitude:.6}")),
            ("longitude", format!("{longitude:.6}")),
        ];
        let help = "Where the machine is; always 1.";
        families.gauges("optimum_det_coordinates_geo_location", help, [(labels, 1.0)]);
    }
    families.text(&[
        ("cluster_id", proxy.config.cluster_id.clone()),
        ("protocol_type", proxy.upstream.mode()),
    ])
}

fn client_topic([client, topic]: &[String; 2]) -> Labels {
    vec![("client_id", client.clone()), ("topic", topic.clone())]
}

fn published(families: &mut Families, traffic: &Traffic) {
    for name in ["optimum_proxy_published_by_client_total", "published_messages_by_client_total"] {
        let samples = traffic.published.iter();
        let samples = samples.map(|(labels, published)| (client_topic(labels), published.messages));
        families.counters(name, "Messages that clients published.", samples);
    }
    for name in ["message_size_bytes", "published_message_size_bytes"] {
        let samples = traffic.published.iter();
        let samples =
            samples.map(|(labels, published)| (client_topic(labels), published.sizes.clone()));
        families.histograms(name, "Length of what clients published.", samples);
    }
    let failures = traffic.failures.iter().map(|([client, topic, kind], count)| {
        let labels = vec![
            ("client_id", client.clone()),
            ("error_type", kind.clone()),
            ("topic", topic.clone()),
        ];
        (labels, *count)
    });
    families.counters("publish_error_total", "Messages that were not published.", failures);
    let by_kind = traffic.failures_by_kind.iter();
    families.counters(
        "optimum_proxy_publish_errors_total",
        "Messages that were not published, by kind alone; every kind is there from the start.",
        by_kind.map(|(kind, &count)| (vec![("error_type", (*kind).to_owned())], count)),
    );
}

/// Every client that has a threshold is there, so that its first delivery below it is seen as a rise.
fn fallbacks(families: &mut Families, traffic: &Traffic, picture: &Picture) {
    let subscribed = picture.thresholds.iter();
    let none = subscribed.map(|(client, topic, _)| ([client.to_string(), topic.to_string()], 0));
    let mut all: BTreeMap<_, _> = none.collect();
    all.extend(traffic.fallbacks.iter().map(|(labels, &count)| (labels.clone(), count)));
    for name in ["fallback_deliveries_total", "message_fallback_deliveries_total"] {
        let samples = all.iter().map(|(labels, &count)| (client_topic(labels), count));
        families.counters(name, "Deliveries below the client's threshold.", samples);
    }
}

fn delays(families: &mut Families, traffic: &Traffic) {
    for (name, help, seconds) in [
        (
            "optimum_proxy_delivery_wait_seconds",
            "From the first sight of a message to its delivery, once for all clients given it at once.",
            &traffic.waits,
        ),
        (
            "optimum_proxy_spread_seconds",
            "From the first sight of a message to the report of the last active node.",
            &traffic.spreads,
        ),
    ] {
        families.histograms(name, help, [(Labels::new(), seconds.clone())]);
    }
}

fn reported(families: &mut Families, traffic: &Traffic, proxy: &Proxy) {
    let nodes = proxy.upstream.nodes().iter().zip(&traffic.received);
    let samples = nodes.flat_map(|(node, series)| {
        series.iter().map(|([topic], count)| {
            let labels = vec![("node_id", node.address().to_owned()), ("topic", topic.clone())];
            (labels, *count)
        })
    });
    families.counters("node_received_messages_total", "Messages that nodes reported.", samples);
    let recent: Vec<_> = traffic.recent(Instant::now(), WINDOW_MAX).take(MESSAGES_MAX).collect();
    let labels = |id: &broker::MessageId, topic: &str| {
        vec![("message_id", id.to_string()), ("topic", topic.to_owned())]
    };
    families.gauges(
        "message_seen_nodes_count",
        "Nodes that reported a message, of the last 100.",
        recent.iter().map(|(id, seen)| (labels(id, &seen.topic), f64::from(seen.node_count()))),
    );
    families.gauges(
        "message_first_seen_timestamp",
        "When a message was first known, Unix time in seconds, of the last 100.",
        recent.iter().map(|(id, seen)| {
            let first = traffic.clock().time_of_day(seen.first).duration_since(UNIX_EPOCH);
            (labels(id, &seen.topic), first.unwrap_or_default().as_secs_f64())
        }),
    );
}

fn nodes(families: &mut Families, proxy: &Proxy) {
    let up = proxy.upstream.ranked().len() as f64;
    for name in
        ["optimum_proxy_p2p_connections", "total_p2pnodes_connections", "nodes_active_total"]
    {
        families.gauge(name, "Nodes that are connected.", up);
    }
    let configured = proxy.upstream.nodes().len() as f64;
    families.gauge("optimum_proxy_nodes_configured", "Nodes of P2P_NODES.", configured);
    let all = || proxy.upstream.nodes().iter();
    let label = |address: &str| vec![("node_id", address.to_owned())];
    families.gauges(
        "optimum_proxy_node_latency_seconds",
        "How long a node takes to answer, smoothed.",
        all().filter_map(|node| Some((label(node.address()), node.latency()?.as_secs_f64()))),
    );
    families.gauges(
        "optimum_proxy_node_unconfirmed",
        "Messages that a node has not confirmed yet.",
        all().map(|node| (label(node.address()), node.in_flight() as f64)),
    );
    families.counters(
        "optimum_proxy_node_lost_total",
        "Messages that a node gave up because the proxy read too slowly.",
        all().map(|node| (label(node.address()), node.losses().0)),
    );
    families.counters(
        "optimum_proxy_node_nonsense_total",
        "Responses of a node that mean nothing.",
        all().map(|node| (label(node.address()), node.losses().1)),
    );
}

fn clients(families: &mut Families, metrics: &Metrics, picture: &Picture) {
    let open = |counters: &SocketCounters| counters.open.load(Ordering::Relaxed) as f64;
    for name in ["optimum_proxy_ws_clients_active", "active_ws_clients"] {
        families.gauge(name, "WebSockets that are open.", open(&metrics.sockets));
    }
    families.gauge("optimum_proxy_streams", "Streams of gRPC open.", open(&metrics.streams));
    families.gauge(
        "optimum_proxy_clients",
        "Clients with subscriptions or connections.",
        picture.clients as f64,
    );
    families.gauge("optimum_proxy_topics", "Topics subscribed here.", picture.topics as f64);
    families.gauges(
        "client_topic_threshold",
        "The share of nodes that must report a message; some clients only.",
        picture.thresholds.iter().map(|(client, topic, threshold)| {
            (client_topic(&[client.to_string(), topic.to_string()]), *threshold)
        }),
    );
}

fn decisions(families: &mut Families, picture: &Picture) {
    let stats = &picture.stats;
    for (name, help, value) in [
        ("messages", "Messages that nodes told of, each once.", stats.messages),
        ("reports_repeated", "Further nodes that told of one.", stats.repeats),
        ("reports_unwanted", "Reports of topics nobody here subscribed.", stats.unwanted),
        ("deliveries", "Deliveries, one for each connection.", stats.deliveries),
        ("deliveries_lost", "Deliveries given up because clients read too slowly.", picture.lost),
        ("messages_no_text", "Messages of nodes that were no UTF-8.", picture.no_text),
        ("deliveries_unattended", "Deliveries to clients without connection.", stats.unattended),
        ("payloads_fetched", "Payloads asked for at another node.", stats.fetches),
        ("payloads_missing", "Messages given up for want of a payload.", stats.payloads_missing),
        ("messages_decided_early", "Messages decided early, at a bound.", stats.decided_early),
        (
            "messages_forgotten_early",
            "Messages forgotten early, at a bound.",
            stats.forgotten_early,
        ),
        ("subscriptions_refused", "Subscriptions beyond a bound.", stats.subscriptions_refused),
        (
            "connections_refused",
            "Connections beyond the bound of clients.",
            stats.connections_refused,
        ),
        ("clients_expired", "Clients that did not come back in time.", stats.clients_expired),
    ] {
        families.counter(format!("optimum_proxy_{name}_total"), help, value);
    }
    let undecided = picture.undecided as f64;
    families.gauge("optimum_proxy_messages_undecided", "Messages that wait.", undecided);
    families.gauge(
        "optimum_proxy_queue_bytes",
        "Bytes of deliveries that wait for connections to read them.",
        picture.queued_bytes as f64,
    );
}

/// What proxies share, and who is let in.
fn state(families: &mut Families, proxy: &Proxy) {
    let counts = proxy.store.counts();
    if let Some(is_there) = counts.redis_is_there {
        let help = "Whether Redis answered last.";
        families.gauge("optimum_proxy_redis_up", help, f64::from(u8::from(is_there)));
    }
    for (name, help, value) in [
        ("redis_answered", "Calls that Redis answered.", counts.redis_answered),
        ("redis_failed", "Calls that it did not.", counts.redis_failed),
        ("redis_by_memory", "Calls that went by memory.", counts.went_by_memory),
        ("redis_refused", "Calls refused while it was away.", counts.refused),
        (
            "usages_forgotten",
            "Clients whose use was forgotten for want of room.",
            counts.usages_forgotten,
        ),
        ("claims_forgotten", "Published ids forgotten for want of room.", counts.claims_forgotten),
        (
            "subscriptions_forgotten",
            "Clients whose subscriptions were forgotten for want of room.",
            counts.subscriptions_forgotten,
        ),
    ] {
        families.counter(format!("optimum_proxy_{name}_total"), help, value);
    }
    if let Some(verifier) = &proxy.verifier {
        let fetches = verifier.fetches();
        families.counter(
            "optimum_proxy_jwks_fetches_total",
            "Times that keys were asked for.",
            fetches.attempts,
        );
        families.counter(
            "optimum_proxy_jwks_failures_total",
            "Times that they did not come.",
            fetches.failures,
        );
    }
}

/// What happened at bounds of the faces.
fn own(families: &mut Families, metrics: &Metrics) {
    let (requests, refused, timed_out) = metrics.http.snapshot();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (sockets, streams) = (&metrics.sockets, &metrics.streams);
    for (name, help, value) in [
        ("http_requests", "Requests over HTTP.", requests),
        (
            "http_connections_refused",
            "Connections that ended with no request, or too long a one.",
            refused,
        ),
        (
            "http_connections_timed_out",
            "Connections whose next request did not come in time.",
            timed_out,
        ),
        (
            "ws_misused",
            "WebSockets closed because clients sent data on them.",
            count(&sockets.misused),
        ),
        (
            "ws_stalled",
            "WebSockets closed because clients did not answer or read.",
            count(&sockets.stalled),
        ),
        ("ws_expired", "WebSockets closed because tokens expired.", count(&sockets.expired)),
        ("streams_expired", "Streams closed because tokens expired.", count(&streams.expired)),
    ] {
        families.counter(format!("optimum_proxy_{name}_total"), help, value);
    }
    listener::families(families, "proxy", &metrics.faces);
}
