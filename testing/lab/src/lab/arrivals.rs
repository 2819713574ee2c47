//! What nodes have told so far.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};

use crate::node::Event;

/// A message.
#[derive(Clone, Debug)]
struct Message {
    publisher: usize,
    published: Option<Duration>,
    /// When it came, by node.
    arrived: Vec<Option<Duration>>,
}

impl Message {
    fn is_everywhere(&self) -> bool {
        let mut nodes = self.arrived.iter().enumerate();
        nodes.all(|(node, arrived)| node == self.publisher || arrived.is_some())
    }
}

/// Who is connected, and which messages came where and when.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    messages: BTreeMap<u64, Message>,
    /// Connected and in the mesh, by node.
    peers: Vec<(usize, usize)>,
    /// Messages for one peer that were given up.
    pub(crate) dropped: usize,
}

impl Arrivals {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { messages: BTreeMap::new(), peers: vec![(0, 0); nodes], dropped: 0 }
    }

    /// A node was told to publish a message.
    pub(crate) fn expect(&mut self, number: u64, publisher: usize) {
        let arrived = vec![None; self.peers.len()];
        self.messages.insert(number, Message { publisher, published: None, arrived });
    }

    /// Takes what a node tells.
    pub(crate) fn on(&mut self, event: &Event) {
        match *event {
            Event::Published { number, at } => {
                if let Some(message) = self.messages.get_mut(&number) {
                    message.published = Some(at);
                }
            }
            Event::Arrived { node, number, at } => {
                if let Some(message) = self.messages.get_mut(&number) {
                    message.arrived[node].get_or_insert(at);
                }
            }
            Event::Peers { node, connected, mesh } => self.peers[node] = (connected, mesh),
            Event::Dropped { messages } => self.dropped += messages,
            // Ends the run; whoever reads events looks at it.
            Event::Failed { .. } => {}
        }
    }

    /// Returns whether every node has as many peers, and peers of the mesh, as wanted.
    pub(crate) fn have_peers(&self, wanted: &[(usize, usize)]) -> bool {
        let pairs = self.peers.iter().zip(wanted);
        pairs.into_iter().all(|(has, wanted)| has.0 >= wanted.0 && has.1 >= wanted.1)
    }

    /// Returns the peers of all nodes for people to read.
    pub(crate) fn peers_text(&self) -> String {
        let node = |(connected, mesh): &(usize, usize)| format!("{connected}/{mesh}");
        let nodes: Vec<String> = self.peers.iter().map(node).collect();
        format!("connected/mesh {}", nodes.join(" "))
    }

    /// Returns the connections of a node, in the mean.
    pub(crate) fn connections(&self) -> f64 {
        let all: usize = self.peers.iter().map(|(connected, _)| connected).sum();
        all as f64 / self.peers.len().max(1) as f64
    }

    pub(crate) fn is_everywhere(&self, number: u64) -> bool {
        self.messages.get(&number).is_some_and(Message::is_everywhere)
    }

    pub(crate) fn all_everywhere(&self) -> bool {
        self.messages.values().all(Message::is_everywhere)
    }

    /// Returns how many arrivals there were.
    pub(crate) fn count(&self) -> usize {
        self.messages.values().map(|message| message.arrived.iter().flatten().count()).sum()
    }

    /// Returns how long each of the messages took to each node but its publisher.
    pub(crate) fn times(&self, numbers: &[u64]) -> Result<Vec<Vec<Option<Duration>>>> {
        let of = |number: &u64| {
            let message = self.messages.get(number).context("no such message")?;
            let published = message.published;
            let published = published.with_context(|| format!("message {number} never left"))?;
            let nodes = message.arrived.iter().enumerate();
            let others = nodes.filter(|(node, _)| *node != message.publisher);
            Ok(others.map(|(_, at)| at.map(|at| at.saturating_sub(published))).collect())
        };
        numbers.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn times_run_from_publishing_and_leave_out_the_publisher() {
        let mut arrivals = Arrivals::new(3);
        arrivals.expect(1, 1);
        assert!(arrivals.times(&[1]).is_err(), "not published yet");
        // What happens at two nodes may be told in any order.
        arrivals.on(&Event::Arrived { node: 0, number: 1, at: 12 * MS });
        arrivals.on(&Event::Published { number: 1, at: 10 * MS });
        assert_eq!(arrivals.times(&[1]).expect("published"), [[Some(2 * MS), None]]);
        assert!(!arrivals.all_everywhere());
        arrivals.on(&Event::Arrived { node: 2, number: 1, at: 15 * MS });
        arrivals.on(&Event::Arrived { node: 2, number: 1, at: 99 * MS });
        assert!(arrivals.is_everywhere(1) && !arrivals.is_everywhere(2));
        assert_eq!(arrivals.times(&[1]).expect("published"), [[Some(2 * MS), Some(5 * MS)]]);
        assert_eq!(arrivals.count(), 2, "one that comes twice counts once");
    }

    #[test]
    fn peers_are_enough_when_every_node_has_enough_of_both_kinds() {
        let mut arrivals = Arrivals::new(2);
        arrivals.on(&Event::Peers { node: 0, connected: 5, mesh: 3 });
        assert!(!arrivals.have_peers(&[(5, 3), (1, 1)]));
        arrivals.on(&Event::Peers { node: 1, connected: 1, mesh: 1 });
        assert!(arrivals.have_peers(&[(5, 3), (1, 1)]));
        assert!((arrivals.connections() - 3.0).abs() < 1e-9);
    }
}
