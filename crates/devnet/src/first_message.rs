//! The first message: published at one node, watched at all others.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use cli::clock::unix_ns;
use node::Topic;
use rand::Rng as _;
use serde::Serialize;

use crate::{
    cluster::Cluster,
    observe::{TOPIC, Watched},
    picture::story::Story,
};

/// How long the message is: the longest that the default configuration takes.
const MESSAGE_BYTES: usize = 1 << 20;

/// How long to wait for shards that come after the last decode, so that they are counted too.
const AFTERMATH: Duration = Duration::from_millis(200);

/// What was seen of the message.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) bytes: usize,
    pub(crate) published_at: u16,
    pub(crate) nodes: Vec<Decoded>,
}

/// What was seen of the message at one node.
#[derive(Debug, Serialize)]
pub(crate) struct Decoded {
    pub(crate) node: u16,
    /// From the publish command to the delivery at this node.
    pub(crate) millis: f64,
    /// Innovative shards received; 0 in mode gossipsub.
    pub(crate) shards_used: u32,
    /// Shards received that brought nothing: duplicate, dependent, or after the decode. In mode
    /// gossipsub, copies of the message.
    pub(crate) shards_redundant: u32,
}

/// Publishes at node 2, or at node 1 when it is alone, and watches the others decode. It may take
/// as long as it likes, while it reaches one more node within each `limit`.
pub(crate) async fn publish(
    cluster: &Cluster,
    watched: &Arc<Watched>,
    limit: Duration,
) -> anyhow::Result<Shown> {
    let published_at = 2.min(cluster.members().len() as u16);
    let publisher = cluster.member(published_at).context("a node to publish at")?;
    let mut payload = vec![0; MESSAGE_BYTES];
    rand::rng().fill_bytes(&mut payload);
    let (topic, payload) = (Topic::new(TOPIC).context("the topic")?, Bytes::from(payload));
    let begin_unix_ns = unix_ns();
    let id = publisher.running.handle().publish(topic, payload).await??.0;

    let others = || cluster.members().iter().filter(|member| member.number != published_at);
    let have_it = |story: &Story| {
        let at = |number| story.nodes.get(&number);
        let has_it = |number| at(number).is_some_and(|at| at.delivered_unix_ns.is_some());
        others().filter(|member| has_it(member.number)).count()
    };
    let mut changes = watched.changes();
    let (mut reached, all) = (0, others().count());
    while reached < all {
        let more = changes.wait_for(|_| {
            let now = watched.look(|picture| picture.story_of(&id).map_or(0, have_it));
            std::mem::replace(&mut reached, now) < now
        });
        let Ok(more) = tokio::time::timeout(limit, more).await else {
            bail!(
                "the first message is at {reached} of {all} nodes, and since {limit:?} at no more"
            );
        };
        let _version = more.context("nobody watches")?;
    }
    tokio::time::sleep(AFTERMATH).await;
    let nodes = watched.look(|picture| {
        let story = picture.story_of(&id)?;
        let decoded = others().filter_map(|member| {
            let at = story.nodes.get(&member.number)?;
            Some(Decoded {
                node: member.number,
                millis: (at.delivered_unix_ns? - begin_unix_ns) as f64 / 1e6,
                shards_used: at.innovative,
                shards_redundant: at.redundant,
            })
        });
        Some(decoded.collect())
    });
    let nodes = nodes.context("the first message was forgotten")?;
    Ok(Shown { bytes: MESSAGE_BYTES, published_at, nodes })
}
