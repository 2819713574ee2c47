//! The nodes behind the proxy: a connection to each that is made again for ever, what they report,
//! and what they are asked.

mod link;
mod node;
mod publisher;
mod tickets;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use access::TicketSigner;
use broker::{MessageId, NodeId, Topic};
use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

pub(crate) use node::{Node, NodeState, PublishFailure};

use crate::{config::Config, error::RequestError};
use tickets::OwnTickets;

/// How long a node may take to confirm a short message before another is asked.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);

/// How long the publish of a short message may take, all nodes together.
const PUBLISH_MAX: Duration = Duration::from_secs(10);

/// A second more for so many bytes of a message. The longest one thus has 26 s, so that the answer
/// comes before the request times out, and reaches a node over a link of 32 Mbit/s.
const BYTES_PER_SECOND: usize = 4 << 20;

/// How long a node may take to answer a question.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How long it is believed that a topic is subscribed somewhere, and that it is not.
const ASSIGNED_AGE_MAX: Duration = Duration::from_secs(2);
const UNASSIGNED_AGE_MAX: Duration = Duration::from_millis(300);

/// Topics about which that is remembered.
const ASSIGNMENTS_MAX: usize = 1024;

/// What a node reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// It is connected.
    Up(NodeId),
    /// It is gone.
    Down(NodeId),
    /// It delivered a message.
    Heard {
        node: NodeId,
        message: MessageId,
        topic: Topic,
        /// The JSON with the payload, if it was asked for payloads.
        json: Option<Bytes>,
        /// Length of the payload, with it.
        payload_bytes: Option<usize>,
    },
    /// The answer to a question for a payload.
    Fetched { node: NodeId, message: MessageId, json: Option<Bytes> },
}

/// What all nodes are to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Topics to be subscribed.
    pub(crate) topics: Arc<BTreeSet<Topic>>,
    /// The node that is to send payloads.
    pub(crate) source: Option<NodeId>,
}

/// All nodes.
#[derive(Debug)]
pub(crate) struct Upstream {
    nodes: Vec<Arc<Node>>,
    assigned: Mutex<HashMap<Topic, (bool, Instant)>>,
}

impl Upstream {
    /// Begins to connect to every node.
    pub(crate) fn new(
        config: &Config,
        signer: &Arc<TicketSigner>,
        orders: &watch::Receiver<Orders>,
        reports: &mpsc::Sender<Report>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        // Never used before: what another process of this proxy held ends on its own.
        let holder = format!("proxy-{:032x}", rand::random::<u128>());
        let tickets = Arc::new(OwnTickets::new(Arc::clone(signer), holder.clone()));
        let all = config.nodes.iter().zip(&config.advertised).zip(0..);
        let nodes = all.map(|((address, advertised), number)| {
            let (node, publishes) = Node::new(NodeId(number), address, advertised);
            let node = Arc::new(node);
            let link = link::Link {
                node: Arc::clone(&node),
                holder: holder.clone(),
                tickets: Arc::clone(&tickets),
                orders: orders.clone(),
                reports: reports.clone(),
            };
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = link.run(publishes) => {}
                }
            });
            node
        });
        Self { nodes: nodes.collect(), assigned: Mutex::default() }
    }

    /// Returns the mode of the nodes, which is the same of all of them in one mesh; empty until the
    /// first of them said it.
    pub(crate) fn mode(&self) -> String {
        self.nodes.iter().find_map(|node| Some(node.state().health?.node_mode)).unwrap_or_default()
    }

    /// Returns all nodes, in the order of `P2P_NODES`.
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Returns the nodes that are connected, the one to be used first at first.
    pub(crate) fn ranked(&self) -> Vec<Arc<Node>> {
        let mut up: Vec<_> = self.nodes.iter().filter(|node| node.is_up()).cloned().collect();
        // Who has least to do; of equals, those that answer sooner.
        up.sort_by_key(|node| (node.in_flight(), node.latency()));
        up
    }

    /// Publishes at one node, and at another if that is gone or does not confirm. No message is
    /// delivered twice by that: nodes and proxies know it by the hash of its payload.
    pub(crate) async fn publish(
        &self,
        topic: &Topic,
        payload: &Bytes,
        id: MessageId,
    ) -> Result<(), RequestError> {
        let begin = Instant::now();
        let [attempt_max, publish_max] =
            [ATTEMPT_MAX, PUBLISH_MAX].map(|short| short + longer_by(payload.len()));
        let mut last = RequestError::NoNode;
        let mut tried = Vec::new();
        while begin.elapsed() < publish_max {
            let node = self.ranked().into_iter().find(|node| !tried.contains(&node.id));
            let Some(node) = node else { return Err(last) };
            let wait = attempt_max.min(publish_max.saturating_sub(begin.elapsed()));
            let publish = node.publish(topic.clone(), payload.clone(), id);
            match tokio::time::timeout(wait, publish).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(PublishFailure::Refused { reason, error })) => {
                    return Err(RequestError::Refused { reason, error });
                }
                Ok(Err(PublishFailure::Gone)) => {
                    debug!(node = node.address(), "went away with a message: it goes elsewhere");
                    if !matches!(last, RequestError::NotConfirmed) {
                        last = RequestError::NoNode;
                    }
                }
                Err(_) => last = RequestError::NotConfirmed,
            }
            tried.push(node.id);
        }
        Err(last)
    }

    /// Returns whether any node is subscribed to `topic`.
    ///
    /// # Errors
    ///
    /// Returns an error if none says that it is, and one says nothing.
    pub(crate) async fn is_assigned(&self, topic: &Topic) -> Result<bool, RequestError> {
        if let Some(known) = self.remembered(topic) {
            return Ok(known);
        }
        let mut answers: FuturesUnordered<_> = self.ranked().into_iter().map(topics_of).collect();
        let (mut assigned, mut is_silent) = (false, false);
        while let Some(topics) = answers.next().await {
            is_silent |= topics.is_none();
            if topics.is_some_and(|topics| topics.iter().any(|known| **known == **topic)) {
                assigned = true;
                break;
            }
        }
        if is_silent && !assigned {
            return Err(RequestError::NotKnown);
        }
        self.remember(topic.clone(), assigned);
        Ok(assigned)
    }

    fn remembered(&self, topic: &Topic) -> Option<bool> {
        let assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, since) = *assigned.get(topic)?;
        let age_max = if known { ASSIGNED_AGE_MAX } else { UNASSIGNED_AGE_MAX };
        (since.elapsed() < age_max).then_some(known)
    }

    fn remember(&self, topic: Topic, known: bool) {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        if assigned.len() >= ASSIGNMENTS_MAX {
            assigned.retain(|_, (_, since)| since.elapsed() < ASSIGNED_AGE_MAX);
        }
        // Who asks for a thousand names within two seconds asks the nodes each time.
        if assigned.len() < ASSIGNMENTS_MAX {
            assigned.insert(topic, (known, Instant::now()));
        }
    }

    /// Asks a node for the payload of a message.
    pub(crate) async fn fetch(&self, node: NodeId, message: MessageId) -> Report {
        let asked = self.nodes.get(node.0 as usize);
        let answer = match asked {
            Some(asked) => tokio::time::timeout(ANSWER_MAX, asked.fetch(message)).await.ok(),
            None => None,
        };
        Report::Fetched { node, message, json: answer.flatten() }
    }
}

/// Returns how much longer a message of `bytes` may take than a short one.
fn longer_by(bytes: usize) -> Duration {
    Duration::from_secs((bytes / BYTES_PER_SECOND) as u64)
}

async fn topics_of(node: Arc<Node>) -> Option<Vec<String>> {
    tokio::time::timeout(ANSWER_MAX, node.topics()).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MESSAGE_BYTES_MAX;

    #[test]
    fn a_long_message_has_longer_and_the_longest_is_answered_before_its_request_times_out() {
        assert_eq!(longer_by(100_000), Duration::ZERO);
        assert_eq!(longer_by(8 << 20), Duration::from_secs(2));
        let longest = PUBLISH_MAX + longer_by(MESSAGE_BYTES_MAX as usize);
        assert!(longest < crate::http::REQUEST_TIMEOUT, "{longest:?}");
    }
}
