//! One node, as everybody else in the proxy sees it.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{
    Delivery,
    sidecar::{FetchRequest, HealthResponse, Void, command_stream_client::CommandStreamClient},
};
use broker::{MessageId, NodeId, Topic};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;

use crate::config::NodeAddress;

/// Messages that wait to be sent to a node.
const PUBLISHES_MAX: usize = 64;

/// A client of a node's sidecar.
pub(super) type Sidecar = CommandStreamClient<Channel>;

/// Why a node did not publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublishFailure {
    /// It is gone; what became of the message is not known.
    Gone,
    /// It does not want it, and no other will.
    Refused { reason: String, error: String },
}

/// A message on its way to a node.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) topic: Topic,
    pub(super) payload: Bytes,
    pub(super) id: MessageId,
    pub(super) done: oneshot::Sender<Result<(), PublishFailure>>,
}

/// How a node is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NodeState {
    /// Whether it is connected.
    pub(crate) up: bool,
    /// How long it takes to answer, smoothed.
    pub(crate) latency: Option<Duration>,
    /// What it last said of itself.
    pub(crate) health: Option<HealthResponse>,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    address: NodeAddress,
    advertised: NodeAddress,
    state: Mutex<NodeState>,
    sidecar: Mutex<Option<Sidecar>>,
    publishes: mpsc::Sender<Publish>,
    in_flight: AtomicUsize,
    /// Messages that the node gave up because this proxy read too slowly.
    pub(super) lost: AtomicU64,
    /// Responses of the node that were no sense.
    pub(super) nonsense: AtomicU64,
}

impl Node {
    pub(super) fn new(
        id: NodeId,
        address: &NodeAddress,
        advertised: &NodeAddress,
    ) -> (Self, mpsc::Receiver<Publish>) {
        let (publishes, taken) = mpsc::channel(PUBLISHES_MAX);
        let node = Self {
            id,
            address: address.clone(),
            advertised: advertised.clone(),
            state: Mutex::default(),
            sidecar: Mutex::default(),
            publishes,
            in_flight: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            nonsense: AtomicU64::new(0),
        };
        (node, taken)
    }

    /// Returns its sidecar's address, as it stands in `P2P_NODES`.
    pub(crate) fn address(&self) -> &str {
        self.address.as_str()
    }

    /// Returns the address that clients are told.
    pub(crate) fn advertised(&self) -> &str {
        self.advertised.as_str()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.lock_state().up
    }

    pub(crate) fn state(&self) -> NodeState {
        self.lock_state().clone()
    }

    /// Returns how long it takes to answer.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.lock_state().latency
    }

    /// Returns how many messages it has not confirmed.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns how many messages were lost on the way from the node, and how much was no sense.
    pub(crate) fn losses(&self) -> (u64, u64) {
        (self.lost.load(Ordering::Relaxed), self.nonsense.load(Ordering::Relaxed))
    }

    pub(super) fn lock_state(&self) -> MutexGuard<'_, NodeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_sidecar(&self, sidecar: Option<Sidecar>) {
        *self.sidecar.lock().unwrap_or_else(PoisonError::into_inner) = sidecar;
    }

    fn sidecar(&self) -> Option<Sidecar> {
        self.sidecar.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes, and waits until the node says that it did.
    pub(super) async fn publish(
        &self,
        topic: Topic,
        payload: Bytes,
        id: MessageId,
    ) -> Result<(), PublishFailure> {
        let _counted = InFlight::new(&self.in_flight);
        let (done, answer) = oneshot::channel();
        let publish = Publish { topic, payload, id, done };
        self.publishes.send(publish).await.map_err(|_| PublishFailure::Gone)?;
        answer.await.unwrap_or(Err(PublishFailure::Gone))
    }

    /// Returns the topics that the node is subscribed to, if it answers.
    pub(super) async fn topics(&self) -> Option<Vec<String>> {
        let answer = self.sidecar()?.list_topics(Void {}).await;
        Some(answer.ok()?.into_inner().topics)
    }

    /// Returns the JSON of a message that the node keeps.
    pub(super) async fn fetch(&self, message: MessageId) -> Option<Bytes> {
        let request = FetchRequest { message_id: message.to_string() };
        let kept = self.sidecar()?.fetch(request).await.ok()?.into_inner();
        let delivery = Delivery {
            source_node_id: kept.source_node_id,
            upstream_peer_id: self.peer_id().unwrap_or_default(),
            topic: kept.topic,
            message_id: kept.message_id,
            message: kept.payload,
        };
        Some(delivery.to_json())
    }

    /// Returns the node's peer id, from the address that it tells.
    fn peer_id(&self) -> Option<String> {
        let state = self.lock_state();
        let address = &state.health.as_ref()?.p2p_address;
        address.rsplit_once("/p2p/").map(|(_, id)| id.to_owned())
    }
}

/// Counts a message for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl<'a> InFlight<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
