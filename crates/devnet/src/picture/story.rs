//! What happened to one message, node by node.

use std::collections::BTreeMap;

use super::sighting::Id;

/// Steps kept of one message. More than 1 MiB takes at 64 nodes in the default configuration: each is
/// brought 64 fragments and some in vain.
const STEPS_MAX: usize = 8_192;

/// What happened to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) id: Id,
    /// Empty until somebody told of it.
    pub(crate) topic: String,
    /// How long it is, once that is known.
    pub(crate) bytes: Option<u64>,
    /// The node that published it, if it is of the cluster.
    pub(crate) publisher: Option<u16>,
    /// How many shards make it; 0 as long as none was seen, and in mode gossipsub.
    pub(crate) fragments: u16,
    /// Length of one shard with its coefficient vector; 0 until known.
    shard_bytes: u64,
    /// What each node has of it.
    pub(crate) nodes: BTreeMap<u16, AtNode>,
    /// In the order in which they were told; each node's own in the order in which they happened.
    steps: Vec<Step>,
    /// How many of them are kept.
    steps_max: usize,
    /// Steps beyond those that are kept.
    pub(crate) steps_left_out: u64,
    /// The picture's, when it changed last.
    pub(crate) version: u64,
}

/// What one node has of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtNode {
    /// Innovative shards that came.
    pub(crate) innovative: u32,
    /// Shards, or whole messages, that came and brought nothing.
    pub(crate) redundant: u32,
    /// When it was handed out, in nanoseconds since the Unix epoch.
    pub(crate) delivered_unix_ns: Option<i64>,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) unix_ns: i64,
    pub(crate) node: u16,
    /// Where it came from: a node's number, 0 for one outside, or for nowhere.
    pub(crate) from: u16,
    pub(crate) kind: Kind,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Published,
    Innovative,
    Redundant,
    Delivered,
}

impl Kind {
    /// Returns its letter, as the page knows it.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Published => "p",
            Self::Innovative => "i",
            Self::Redundant => "r",
            Self::Delivered => "d",
        }
    }
}

/// Bytes that came and what they were good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Messages handed out.
    pub(crate) delivered: u64,
    /// Shards or, in mode gossipsub, whole messages, that brought something.
    pub(crate) useful: u64,
    /// Shards or whole messages that brought nothing.
    pub(crate) wasted: u64,
    pub(crate) useful_bytes: u64,
    pub(crate) wasted_bytes: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.useful += other.useful;
        self.wasted += other.wasted;
        self.useful_bytes += other.useful_bytes;
        self.wasted_bytes += other.wasted_bytes;
    }

    /// Undoes [`Self::add`].
    pub(super) fn remove(&mut self, added: Self) {
        self.delivered -= added.delivered;
        self.useful -= added.useful;
        self.wasted -= added.wasted;
        self.useful_bytes -= added.useful_bytes;
        self.wasted_bytes -= added.wasted_bytes;
    }
}

impl Story {
    pub(super) fn new(id: Id) -> Self {
        Self {
            id,
            topic: String::new(),
            bytes: None,
            publisher: None,
            fragments: 0,
            shard_bytes: 0,
            nodes: BTreeMap::new(),
            steps: Vec::new(),
            steps_max: STEPS_MAX,
            steps_left_out: 0,
            version: 0,
        }
    }

    pub(super) fn published(&mut self, node: u16, unix_ns: i64, topic: String) {
        self.topic = topic;
        self.publisher = Some(node);
        self.step(Step { unix_ns, node, from: 0, kind: Kind::Published });
    }

    pub(super) fn innovative(&mut self, node: u16, unix_ns: i64, from: u16, fragments: u16) {
        self.fragments = self.fragments.max(fragments);
        self.nodes.entry(node).or_default().innovative += 1;
        self.step(Step { unix_ns, node, from, kind: Kind::Innovative });
    }

    pub(super) fn redundant(&mut self, node: u16, unix_ns: i64, from: u16, fragments: u16) {
        self.fragments = self.fragments.max(fragments);
        self.nodes.entry(node).or_default().redundant += 1;
        self.step(Step { unix_ns, node, from, kind: Kind::Redundant });
    }

    pub(super) fn delivered(&mut self, node: u16, unix_ns: i64, from: u16, topic: String) {
        self.topic = topic;
        let at = self.nodes.entry(node).or_default();
        // Told once, unless it went out of the node's seen-cache meanwhile.
        if at.delivered_unix_ns.is_none() {
            at.delivered_unix_ns = Some(unix_ns);
            self.step(Step { unix_ns, node, from, kind: Kind::Delivered });
        }
    }

    pub(super) fn shard_bytes(&mut self, bytes: u64) {
        self.shard_bytes = bytes;
    }

    /// Keeps from now on only what is counted.
    pub(super) fn forget_steps(&mut self) {
        (self.steps, self.steps_max) = (Vec::new(), 0);
    }

    fn step(&mut self, step: Step) {
        if self.steps.len() < self.steps_max {
            self.steps.push(step);
        } else {
            self.steps_left_out += 1;
        }
    }

    /// Returns the steps in the order in which they happened.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = self.steps.clone();
        // Stable: what a node saw at one instant stays in its order.
        steps.sort_by_key(|step| step.unix_ns);
        steps
    }

    /// Returns when it was seen first, in nanoseconds since the Unix epoch.
    pub(crate) fn begin_unix_ns(&self) -> i64 {
        self.steps.iter().map(|step| step.unix_ns).min().unwrap_or_default()
    }

    /// Returns how many nodes have it, the publisher included.
    pub(crate) fn reached(&self) -> usize {
        let delivered = |(node, at): &(&u16, &AtNode)| {
            at.delivered_unix_ns.is_some() && Some(**node) != self.publisher
        };
        self.nodes.iter().filter(delivered).count() + usize::from(self.publisher.is_some())
    }

    /// Returns the time from its first step to the last delivery, in nanoseconds.
    pub(crate) fn spread_ns(&self) -> i64 {
        let delivered = self.nodes.values().filter_map(|at| at.delivered_unix_ns).max();
        delivered.map_or(0, |last| last - self.begin_unix_ns())
    }

    /// Returns what it took and brought at each node that told of it.
    pub(super) fn totals(&self) -> impl Iterator<Item = (u16, Totals)> {
        self.nodes.keys().map(|node| (*node, self.totals_at(*node)))
    }

    /// Returns what it took and brought at one node.
    pub(crate) fn totals_at(&self, node: u16) -> Totals {
        let at = self.nodes.get(&node).copied().unwrap_or_default();
        let delivered = u64::from(at.delivered_unix_ns.is_some());
        // Without shards a message comes whole, and at its publisher not at all.
        let (unit_bytes, useful) = if self.fragments > 0 {
            (self.shard_bytes, u64::from(at.innovative))
        } else {
            let came = delivered == 1 && self.publisher != Some(node);
            (self.bytes.unwrap_or_default(), u64::from(came))
        };
        let wasted = u64::from(at.redundant);
        Totals {
            delivered,
            useful,
            wasted,
            useful_bytes: useful * unit_bytes,
            wasted_bytes: wasted * unit_bytes,
        }
    }
}
