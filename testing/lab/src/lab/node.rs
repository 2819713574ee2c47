//! What is the same of a node, whatever it runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use tokio::{process::Child, sync::mpsc};

use crate::{coded, kinds::Kind, network::Network, plain};

/// libp2p's port, in every namespace.
pub(crate) const PORT: u16 = 7070;

/// Something that happened at a node; times are since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message was handed to the node.
    Published { number: u64, at: Duration },
    /// A message came.
    Arrived { node: usize, number: u64, at: Duration },
    /// So many peers are connected, so many of them in the mesh.
    Peers { node: usize, connected: usize, mesh: usize },
    /// So many messages for one peer were given up.
    Dropped { messages: usize },
    /// The node ended, or nothing can be understood of it.
    Failed { node: usize, why: String },
}

/// A message to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) number: u64,
    pub(crate) bytes: usize,
}

/// Where a node begins.
pub(crate) struct Start<'a> {
    pub(crate) node: usize,
    pub(crate) kind: Kind,
    pub(crate) network: &'a Network,
    /// Its folder, which holds its identity.
    pub(crate) folder: &'a std::path::Path,
    /// The addresses it dials, with peer ids.
    pub(crate) dials: &'a [String],
    pub(crate) bytes_max: usize,
    /// Peers it must have, and peers of the mesh.
    pub(crate) peers: (usize, usize),
    pub(crate) numbers: coded::Numbers,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

/// A running node; it ends when this is dropped.
pub(crate) struct Node {
    /// The process.
    pub(crate) id: u32,
    pub(crate) publish: mpsc::Sender<Publish>,
    _child: Child,
    _tasks: tokio::task::JoinSet<()>,
}

impl Node {
    /// Starts a node, and waits until it can be spoken to.
    pub(crate) async fn start(start: Start<'_>) -> Result<Self> {
        let node = start.node;
        let started = match start.kind.profile() {
            Some(profile) => coded::start(start, profile).await,
            None => plain::start(start),
        };
        started.with_context(|| format!("node {node} does not start"))
    }

    pub(crate) fn new(
        child: Child,
        publish: mpsc::Sender<Publish>,
        tasks: tokio::task::JoinSet<()>,
    ) -> Result<Self> {
        let id = child.id().context("it ended at once")?;
        Ok(Self { id, publish, _child: child, _tasks: tasks })
    }
}

/// Returns the time since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
