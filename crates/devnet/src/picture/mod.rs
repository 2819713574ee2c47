//! What the live view and the live page show: a pure reducer of what the nodes tell.

pub(crate) mod sighting;
pub(crate) mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sighting::{Id, Sighting, What};
use story::{Story, Totals};

/// Messages whose story is kept; the oldest goes first.
const STORIES_MAX: usize = 64;

/// Messages whose steps are forgotten, of which only what still comes is counted: nodes that are busy
/// are thousands of messages behind their publisher.
const FORGOTTEN_MAX: usize = 4_096;

/// What is known of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    /// By number.
    nodes: BTreeMap<u16, Node>,
    /// The oldest first.
    stories: VecDeque<Story>,
    /// The stories that went, without their steps.
    forgotten: BTreeMap<Id, Story>,
    /// The oldest first.
    forgotten_ids: VecDeque<Id>,
    /// Messages seen since the start.
    messages: u64,
    /// Events that nodes could not tell.
    lost: u64,
    /// Grows with every change.
    version: u64,
}

/// How a node stands with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Peers that take part.
    pub(crate) peers: usize,
    /// Topics that it subscribed.
    pub(crate) topics: BTreeSet<String>,
    /// Of each topic, the nodes of the cluster that are in its mesh.
    pub(crate) mesh: BTreeMap<String, BTreeSet<u16>>,
}

/// What is known of a node.
#[derive(Debug, Default)]
struct Node {
    standing: Standing,
    /// Of messages whose steps are forgotten.
    totals: Totals,
}

impl Picture {
    /// Takes in what a node told.
    pub(crate) fn see(&mut self, node: u16, sighting: Sighting) {
        let Sighting { unix_ns, what } = sighting;
        match what {
            What::Published { message, topic } => {
                self.story(message, |story| story.published(node, unix_ns, topic));
            }
            What::Innovative { message, from, fragments } => {
                self.story(message, |story| story.innovative(node, unix_ns, from, fragments));
            }
            What::Redundant { message, from, fragments } => {
                self.story(message, |story| story.redundant(node, unix_ns, from, fragments));
            }
            What::ShardBytes { message, bytes } => {
                self.story(message, |story| story.shard_bytes(bytes));
            }
            What::Delivered { message, topic, from } => {
                self.story(message, |story| story.delivered(node, unix_ns, from, topic));
            }
            What::Duplicate { message, topic, from } => self.story(message, |story| {
                story.topic = topic;
                story.redundant(node, unix_ns, from, 0);
            }),
            What::Length { message, topic, bytes } => self.story(message, |story| {
                story.topic = topic;
                story.bytes = Some(bytes);
            }),
            What::Lost { events } => {
                self.lost += events;
                self.version += 1;
            }
        }
    }

    /// Takes in how a node stands.
    pub(crate) fn stands(&mut self, node: u16, standing: Standing) {
        let known = self.nodes.entry(node).or_default();
        if known.standing != standing {
            known.standing = standing;
            self.version += 1;
        }
    }

    /// Changes the story of a message, a new one if need be.
    fn story(&mut self, id: Id, change: impl FnOnce(&mut Story)) {
        self.version += 1;
        let at = match self.stories.iter().rposition(|story| story.id == id) {
            Some(known) => known,
            None => match self.forgotten.get_mut(&id) {
                Some(old) => return count_late(&mut self.nodes, old, change),
                None => self.begin_story(id),
            },
        };
        if let Some(story) = self.stories.get_mut(at) {
            change(story);
            story.version = self.version;
        }
    }

    /// Returns where the new story is.
    fn begin_story(&mut self, id: Id) -> usize {
        self.messages += 1;
        self.stories.push_back(Story::new(id));
        if self.stories.len() > STORIES_MAX
            && let Some(mut oldest) = self.stories.pop_front()
        {
            oldest.forget_steps();
            for (node, totals) in oldest.totals() {
                self.nodes.entry(node).or_default().totals.add(totals);
            }
            self.forgotten_ids.push_back(oldest.id);
            self.forgotten.insert(oldest.id, oldest);
        }
        if self.forgotten_ids.len() > FORGOTTEN_MAX
            && let Some(oldest) = self.forgotten_ids.pop_front()
        {
            self.forgotten.remove(&oldest);
        }
        self.stories.len() - 1
    }

    /// Returns a number that grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Returns how many messages were seen since the start.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns how many events the nodes could not tell.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the stories that are kept, the newest first.
    pub(crate) fn stories(&self) -> impl Iterator<Item = &Story> {
        self.stories.iter().rev()
    }

    /// Returns a message's story, if it is kept.
    pub(crate) fn story_of(&self, id: &Id) -> Option<&Story> {
        self.stories().find(|story| story.id == *id)
    }

    /// Returns the nodes with how they stand and what they did since the start, by number.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (u16, &Standing, Totals)> {
        self.nodes.iter().map(|(number, node)| {
            let mut totals = node.totals;
            self.stories.iter().for_each(|story| totals.add(story.totals_at(*number)));
            (*number, &node.standing, totals)
        })
    }

    /// Returns what all nodes did since the start.
    pub(crate) fn totals(&self) -> Totals {
        self.nodes().fold(Totals::default(), |mut all, (_, _, totals)| {
            all.add(totals);
            all
        })
    }
}

/// Counts what changes in a story whose totals are among those of the nodes.
fn count_late(nodes: &mut BTreeMap<u16, Node>, story: &mut Story, change: impl FnOnce(&mut Story)) {
    for (node, totals) in story.totals() {
        nodes.entry(node).or_default().totals.remove(totals);
    }
    change(story);
    for (node, totals) in story.totals() {
        nodes.entry(node).or_default().totals.add(totals);
    }
}
