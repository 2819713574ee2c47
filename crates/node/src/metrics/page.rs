//! The page: the contract's families under the contract's names, and our own as `optimum_node_…`.

use std::collections::BTreeMap;

use service::{
    geo::Place,
    metrics::{Families, Labels, OTHER},
    process,
};

use super::{Metrics, own};
use crate::{
    config::{Config, Mode},
    handle::Counters,
    picture::Picture,
    pubsub::{ProtocolCounters, ShardCounters, TopicCounters},
};

/// Topics with labels of their own.
const TOPICS_MAX: usize = 200;

/// Writes the page.
pub(crate) fn page(
    config: &Config,
    place: &Place,
    metrics: &Metrics,
    picture: &Picture,
    tasks: usize,
) -> String {
    let subsystem = subsystem(config.mode);
    let mut families = Families::default();
    process::families(&mut families, "p2p", tasks);
    location(&mut families, place);
    connections(&mut families, &picture.status.counters);
    metrics.streams.families(&mut families);
    protocol(&mut families, subsystem, &picture.protocol);
    metrics.traffic.families(&mut families, subsystem, &picture.status.topics);
    families.gauge(
        "optimum_p2p_active_topics",
        "Topics that this node subscribed.",
        picture.status.topics.len() as f64,
    );
    metrics.sidecar.families(&mut families, "p2p");
    own::families(&mut families, picture, metrics);
    families.text(&[
        ("cluster_id", config.cluster_id.clone()),
        ("protocol_type", config.mode.name().to_owned()),
    ])
}

/// The hyphen of the documented `gossip-p2p` is no letter of a metric's name for most servers; they
/// are given an underscore, as libraries that meet such a name do.
fn subsystem(mode: Mode) -> &'static str {
    match mode {
        Mode::Optimum => "mump2p",
        Mode::Gossipsub => "gossip_p2p",
    }
}

fn location(families: &mut Families, place: &Place) {
    let Some((latitude, longitude)) = place.coordinates else { return };
    let labels = vec![
        ("country_iso", place.country_iso.clone()),
        ("latitude", format!("{latitude:.6}")),
        ("longitude", format!("{longitude:.6}")),
    ];
    let help = "1 at the place where the node is.";
    families.gauges("optimum_det_coordinates_geo_location", help, [(labels, 1.0)]);
}

fn connections(families: &mut Families, counters: &Counters) {
    let direction =
        |direction: &str, count: usize| (vec![("direction", direction.to_owned())], count as f64);
    families.gauges(
        "optimum_conn_total_connections",
        "Connections with peers that are open.",
        [
            direction("inbound", counters.connections_inbound),
            direction("outbound", counters.connections_outbound),
        ],
    );
}

fn protocol(families: &mut Families, subsystem: &str, counters: &ProtocolCounters) {
    let total: u64 = counters.peers_per_protocol.values().sum();
    families.gauge(
        format!("optimum_{subsystem}_total_peers"),
        "Peers that take part.",
        total as f64,
    );
    families.gauges(
        format!("optimum_{subsystem}_peers_per_protocol"),
        "Peers that take part, by the protocol they speak.",
        counters
            .peers_per_protocol
            .iter()
            .map(|(protocol, &count)| (vec![("protocol", protocol.clone())], count as f64)),
    );
    topics(families, subsystem, &counters.topics);
    if let Some(shards) = counters.shards {
        self::shards(families, subsystem, shards);
    }
}

/// One family of a topic's counters: the rest of its name, its help and its value.
type TopicFamily = (&'static str, &'static str, fn(&TopicCounters) -> u64);

const TOPIC_FAMILIES: [TopicFamily; 7] = [
    ("received_messages_count", "Messages that came, repeated ones included.", |c| {
        c.received_messages
    }),
    ("delivered_messages_count", "Messages delivered.", |c| c.delivered_messages),
    ("received_messages_bytes", "Bytes of messages that came.", |c| c.received_bytes),
    ("delivered_messages_bytes", "Bytes of messages delivered.", |c| c.delivered_bytes),
    ("dropped_queue_full_total", "Messages not taken: too many waited to be checked.", |c| {
        c.dropped_queue_full
    }),
    ("dropped_throttled_total", "Messages not taken: a bound on their sender.", |c| {
        c.dropped_throttled
    }),
    ("dropped_rejected_total", "Messages not taken for other reasons.", |c| c.dropped_rejected),
];

fn topics(families: &mut Families, subsystem: &str, topics: &BTreeMap<String, TopicCounters>) {
    for (name, help, value) in TOPIC_FAMILIES {
        let mut samples: Vec<(Labels, u64)> = topics
            .iter()
            .take(TOPICS_MAX)
            .map(|(topic, counters)| (vec![("topic", topic.clone())], value(counters)))
            .collect();
        if topics.len() > TOPICS_MAX {
            let rest = topics.values().skip(TOPICS_MAX).map(value).sum();
            samples.push((vec![("topic", OTHER.to_owned())], rest));
        }
        families.counters(format!("optimum_{subsystem}_{name}"), help, samples);
    }
}

fn shards(families: &mut Families, subsystem: &str, counters: ShardCounters) {
    let ShardCounters { new, duplicate, unnecessary, unhelpful } = counters;
    for (name, help, value) in [
        ("shards_total", "Shards that brought something new.", new),
        ("shards_duplicate_total", "Shards that were held already.", duplicate),
        ("shards_unnecessary_total", "Shards of messages that needed none.", unnecessary),
        ("shards_unhelpful_total", "Shards that were combinations of those held.", unhelpful),
    ] {
        families.counter(format!("optimum_{subsystem}_{name}"), help, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_beyond_the_bound_are_summed() {
        let counters = TopicCounters { delivered_messages: 2, ..TopicCounters::default() };
        let many = (0..TOPICS_MAX + 3).map(|number| (format!("{number:04}"), counters)).collect();
        let mut families = Families::default();
        topics(&mut families, "mump2p", &many);
        let text = families.text(&[]);
        let line = "optimum_mump2p_delivered_messages_count{topic=\"other\"} 6.0\n";
        assert!(text.contains(line), "{text}");
    }
}
