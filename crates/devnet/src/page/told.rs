//! What the page is told, as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    cluster::Cluster,
    observe::TOPIC,
    picture::{
        Picture,
        story::{Step, Story, Totals},
    },
};

/// Messages that a page shows, the newest.
pub(super) const MESSAGES_MAX: usize = 12;

const NS_PER_US: i64 = 1_000;
const NS_PER_MS: i64 = 1_000_000;

/// Told once, at first: what does not change.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Hello {
    mode: &'static str,
    topic: &'static str,
    message_bytes_max: u64,
    nodes: Vec<NodeFaces>,
    proxies: Vec<ProxyFaces>,
}

#[derive(Clone, Debug, Serialize)]
struct NodeFaces {
    node: u16,
    sidecar: String,
    api: String,
}

#[derive(Clone, Debug, Serialize)]
struct ProxyFaces {
    proxy: u16,
    http: String,
    grpc: String,
}

/// How the cluster is.
#[derive(Debug, Serialize)]
pub(super) struct State<'a> {
    /// Messages since the start.
    messages: u64,
    /// Events that nodes could not tell.
    lost: u64,
    nodes: Vec<NodeState<'a>>,
    /// Pages that are open, times that one was late and was given the newest state only, and pages
    /// that were refused.
    readers: Readers,
    /// The newest last.
    problems: Vec<String>,
}

/// Who looks at the page.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Readers {
    pub(super) open: usize,
    pub(super) late: u64,
    pub(super) refused: u64,
}

#[derive(Debug, Serialize)]
struct NodeState<'a> {
    node: u16,
    peers: usize,
    /// Of those that messages shown are of.
    topics: BTreeSet<&'a str>,
    /// The same topics with the nodes in their mesh.
    mesh: BTreeMap<&'a str, &'a BTreeSet<u16>>,
    #[serde(flatten)]
    totals: TotalsTold,
}

#[derive(Debug, Serialize)]
struct TotalsTold {
    delivered: u64,
    useful: u64,
    wasted: u64,
    useful_bytes: u64,
    wasted_bytes: u64,
}

impl From<Totals> for TotalsTold {
    fn from(totals: Totals) -> Self {
        let Totals { delivered, useful, wasted, useful_bytes, wasted_bytes } = totals;
        Self { delivered, useful, wasted, useful_bytes, wasted_bytes }
    }
}

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    id: String,
    topic: &'a str,
    bytes: Option<u64>,
    fragments: u16,
    publisher: Option<u16>,
    begin_unix_ms: i64,
    spread_us: i64,
    reached: usize,
    /// Microseconds since the first, node, where from, letter of the kind.
    steps: Vec<(i64, u16, u16, &'static str)>,
    steps_left_out: u64,
    nodes: Vec<AtNode>,
}

#[derive(Debug, Serialize)]
struct AtNode {
    node: u16,
    rank: u32,
    redundant: u32,
    delivered_us: Option<i64>,
    useful_bytes: u64,
    wasted_bytes: u64,
}

pub(super) fn hello(cluster: &Cluster) -> Hello {
    let nodes = cluster.members().iter().map(|member| NodeFaces {
        node: member.number,
        sidecar: member.running.sidecar_address().to_string(),
        api: member.running.api_address().to_string(),
    });
    let proxies = cluster.proxies().iter().map(|proxy| ProxyFaces {
        proxy: proxy.number,
        http: proxy.running.http_address().to_string(),
        grpc: proxy.running.grpc_address().to_string(),
    });
    Hello {
        mode: cluster.mode().name(),
        topic: TOPIC,
        message_bytes_max: cluster.message_bytes_max(),
        nodes: nodes.collect(),
        proxies: proxies.collect(),
    }
}

/// Returns how the cluster is, with the topics that a page shows.
pub(super) fn state(picture: &Picture, readers: Readers, problems: Vec<String>) -> State<'_> {
    let shown = picture.stories().take(MESSAGES_MAX).map(|story| story.topic.as_str());
    let topics: BTreeSet<&str> = shown.chain([TOPIC]).collect();
    let nodes = picture.nodes().map(|(node, standing, totals)| {
        let is_shown = |topic: &&String| topics.contains(topic.as_str());
        let mesh = standing.mesh.iter().filter(|(topic, _)| is_shown(topic));
        NodeState {
            node,
            peers: standing.peers,
            topics: standing.topics.iter().filter(is_shown).map(String::as_str).collect(),
            mesh: mesh.map(|(topic, nodes)| (topic.as_str(), nodes)).collect(),
            totals: totals.into(),
        }
    });
    State {
        messages: picture.messages(),
        lost: picture.lost(),
        nodes: nodes.collect(),
        readers,
        problems,
    }
}

pub(super) fn message(story: &Story) -> Message<'_> {
    let begin_unix_ns = story.begin_unix_ns();
    let since = |unix_ns: i64| (unix_ns - begin_unix_ns) / NS_PER_US;
    let step = |step: Step| (since(step.unix_ns), step.node, step.from, step.kind.letter());
    let nodes = story.nodes.iter().map(|(node, at)| {
        let totals = story.totals_at(*node);
        AtNode {
            node: *node,
            // Two headers may claim one message, and bring shards each.
            rank: at.innovative.min(story.fragments.into()),
            redundant: at.redundant,
            delivered_us: at.delivered_unix_ns.map(since),
            useful_bytes: totals.useful_bytes,
            wasted_bytes: totals.wasted_bytes,
        }
    });
    Message {
        id: hex::encode(story.id),
        topic: &story.topic,
        bytes: story.bytes,
        fragments: story.fragments,
        publisher: story.publisher,
        begin_unix_ms: begin_unix_ns / NS_PER_MS,
        spread_us: story.spread_ns() / NS_PER_US,
        reached: story.reached(),
        steps: story.steps().into_iter().map(step).collect(),
        steps_left_out: story.steps_left_out,
        nodes: nodes.collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::picture::{
        Standing,
        sighting::{Sighting, What},
    };

    fn picture() -> Picture {
        let mut picture = Picture::default();
        let mesh = BTreeMap::from([
            (TOPIC.to_owned(), BTreeSet::from([2])),
            ("elsewhere".to_owned(), BTreeSet::from([2])),
        ]);
        let topics = mesh.keys().cloned().collect();
        picture.stands(1, Standing { peers: 1, topics, mesh });
        let (message, topic) = ([0xab; 32], TOPIC.to_owned());
        for (node, unix_ns, what) in [
            (2, 5_000_000, What::Published { message, topic: topic.clone() }),
            (1, 6_000_000, What::ShardBytes { message, bytes: 12 }),
            (1, 6_000_000, What::Innovative { message, from: 2, fragments: 1 }),
            (1, 6_500_000, What::Delivered { message, topic: topic.clone(), from: 2 }),
            (1, 7_000_000, What::Redundant { message, from: 2, fragments: 1 }),
            (1, 0, What::Length { message, topic, bytes: 10 }),
        ] {
            picture.see(node, Sighting { unix_ns, what });
        }
        picture
    }

    #[test]
    fn a_message_is_told_step_by_step_in_microseconds() {
        let picture = picture();
        let told = message(picture.stories().next().expect("one"));
        let expected = json!({
            "id": "ab".repeat(32), "topic": TOPIC, "bytes": 10, "fragments": 1, "publisher": 2,
            "begin_unix_ms": 5, "spread_us": 1500, "reached": 2, "steps_left_out": 0,
            "steps": [[0, 2, 0, "p"], [1000, 1, 2, "i"], [1500, 1, 2, "d"], [2000, 1, 2, "r"]],
            "nodes": [{
                "node": 1, "rank": 1, "redundant": 1, "delivered_us": 1500,
                "useful_bytes": 12, "wasted_bytes": 12,
            }],
        });
        assert_eq!(serde_json::to_value(told).expect("JSON"), expected);
    }

    #[test]
    fn the_state_has_the_topics_that_are_shown_and_no_others() {
        let picture = picture();
        let told = state(&picture, Readers::default(), vec!["bad".to_owned()]);
        let told: Value = serde_json::to_value(told).expect("JSON");
        assert_eq!(told["nodes"][0]["mesh"], json!({TOPIC: [2]}));
        assert_eq!(told["nodes"][0]["topics"], json!([TOPIC]));
        assert_eq!((&told["messages"], &told["problems"]), (&json!(1), &json!(["bad"])));
    }
}
