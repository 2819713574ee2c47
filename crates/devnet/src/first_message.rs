//! The first message: published at one node through its public face, watched at all others
//! through theirs.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, anyhow};
use api::{
    sidecar::ResponseType,
    trace::{TraceEvent, trace_event::Type},
};
use cli::client::{Commands, Sidecar};
use prost::Message as _;
use rand::Rng as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;

pub(crate) const TOPIC: &str = "devnet";

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
#[derive(Debug, Default, Serialize)]
pub(crate) struct Decoded {
    pub(crate) node: u16,
    /// From the publish command to the delivery at this node.
    pub(crate) millis: f64,
    /// Innovative shards received.
    pub(crate) shards_used: u32,
    /// Shards received that brought nothing: duplicate, dependent, or after the decode.
    pub(crate) shards_redundant: u32,
}

/// Opens a stream at every node and subscribes.
pub(crate) async fn listen(cluster: &Cluster) -> anyhow::Result<BTreeMap<u16, Commands>> {
    let mut readers = BTreeMap::new();
    for member in cluster.members() {
        let address = member.running.sidecar_address().to_string();
        let open = async { Sidecar::connect(&address).await?.listen().await };
        let commands = open.await.map_err(|error| anyhow!("node {}: {error}", member.number))?;
        let subscribed = commands.subscribe(TOPIC).await;
        subscribed.map_err(|_| anyhow!("node {} closed the stream", member.number))?;
        readers.insert(member.number, commands);
    }
    Ok(readers)
}

/// Publishes at node 2, or at node 1 when it is alone, and watches the others decode.
pub(crate) async fn publish(
    cluster: &Cluster,
    mut readers: BTreeMap<u16, Commands>,
    limit: Duration,
) -> anyhow::Result<Shown> {
    let published_at = 2.min(cluster.members().len() as u16);
    let publisher = readers.remove(&published_at).context("a node to publish at")?;
    let mut payload = vec![0; MESSAGE_BYTES];
    rand::rng().fill_bytes(&mut payload);
    let id = hex::encode(Sha256::digest(&payload));

    let mut watching = tokio::task::JoinSet::new();
    for (number, commands) in readers {
        watching.spawn(watch(number, commands, id.clone()));
    }
    let begin_unix_ns = unix_ns();
    publisher
        .publish(TOPIC, payload)
        .await
        .map_err(|_| anyhow!("node {published_at} closed the stream"))?;

    let mut nodes = Vec::new();
    let all = async {
        while let Some(seen) = watching.join_next().await {
            let (delivered_unix_ns, mut decoded) = seen.context("a watcher failed")??;
            decoded.millis = (delivered_unix_ns - begin_unix_ns) as f64 / 1e6;
            nodes.push(decoded);
        }
        anyhow::Ok(())
    };
    let in_time = tokio::time::timeout(limit, all).await;
    in_time.with_context(|| format!("the first message is not everywhere after {limit:?}"))??;
    nodes.sort_by_key(|decoded| decoded.node);
    Ok(Shown { bytes: MESSAGE_BYTES, published_at, nodes })
}

/// Counts the shards of message `id` until it is delivered, and a short while more.
async fn watch(number: u16, mut commands: Commands, id: String) -> anyhow::Result<(i64, Decoded)> {
    let mut decoded = Decoded { node: number, ..Decoded::default() };
    let mut delivered: Option<(i64, Instant)> = None;
    loop {
        let next = commands.responses.message();
        let response = match delivered {
            None => next.await,
            // One deadline, however much else is traced meanwhile.
            Some((at_unix_ns, counted_until)) => match timeout_at(counted_until, next).await {
                Ok(response) => response,
                Err(_) => return Ok((at_unix_ns, decoded)),
            },
        };
        let response = response?.with_context(|| format!("node {number} closed the stream"))?;
        if response.command() != ResponseType::MessageTraceMumP2p {
            continue;
        }
        let event = TraceEvent::decode(&response.data[..])?;
        let is_ours = |message_id: Option<&bytes::Bytes>| {
            message_id.is_some_and(|message_id| *message_id == id.as_bytes())
        };
        let shard = [
            &event.new_shard,
            &event.duplicate_shard,
            &event.unhelpful_shard,
            &event.unnecessary_shard,
        ];
        let shard = shard.into_iter().flatten().any(|it| is_ours(it.message_id.as_ref()));
        let delivery = event.deliver_message.as_ref();
        if shard && event.r#type() == Type::NewShard {
            decoded.shards_used += 1;
        } else if shard {
            decoded.shards_redundant += 1;
        } else if delivery.is_some_and(|it| is_ours(it.message_id.as_ref())) {
            let at_unix_ns = event.timestamp.context("a delivery was traced without its time")?;
            delivered = Some((at_unix_ns, Instant::now() + AFTERMATH));
        }
    }
}

fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
