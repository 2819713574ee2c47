//! Real swarms over TCP on loopback, each in a task of its own.
#![allow(missing_docs, unreachable_pub, reason = "a part of test binaries, not a library")]
#![allow(dead_code, reason = "every test file uses another part of the harness")]

pub mod stranger;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt as _;
use gossip::{Config, Publish, State, Topic};
use gossip_libp2p::{Behaviour, Event, NodeKeys, Versions};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder,
    identity::Keypair,
    noise,
    swarm::{ConnectionId, SwarmEvent},
    tcp, yamux,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};

/// Generous: only a hang takes as long.
const LIMIT: Duration = Duration::from_secs(60);

type Order = Box<dyn FnOnce(&mut Swarm<Behaviour>) + Send>;

/// A swarm in a task.
pub struct Node {
    pub peer: PeerId,
    pub address: Multiaddr,
    orders: mpsc::UnboundedSender<Order>,
    events: mpsc::UnboundedReceiver<Event>,
    task: JoinHandle<()>,
    stop: Arc<Notify>,
    connections: Arc<Mutex<Vec<ConnectionId>>>,
    tickets: u64,
}

impl Node {
    pub async fn start(config: Config) -> Self {
        Self::start_where(config, true, Versions::default()).await
    }

    /// Starts a node that speaks other versions of the protocol.
    pub async fn start_speaking(config: Config, versions: &[u32]) -> Self {
        Self::start_where(config, true, Versions::new(versions)).await
    }

    /// Starts a node that admits whoever connects, or nobody by itself.
    pub async fn start_where(config: Config, admits: bool, versions: Versions) -> Self {
        let keypair = Keypair::generate_ed25519();
        let seed = [7; 32];
        let keys = Arc::new(NodeKeys::new(keypair.clone()).expect("it signs"));
        let state = State::new(config, keys, seed, 1, Instant::now()).expect("a sound config");
        let mut swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("noise works")
            .with_behaviour(|_| Behaviour::new(state, versions))
            .expect("a behaviour")
            .build();
        let any: Multiaddr = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
        swarm.listen_on(any).expect("loopback");
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let (told, events) = mpsc::unbounded_channel();
        let peer = *swarm.local_peer_id();
        let stop = Arc::new(Notify::new());
        let connections = Arc::new(Mutex::new(Vec::new()));
        let task =
            Task { admits, events: told, stop: stop.clone(), connections: connections.clone() };
        let task = tokio::spawn(task.run(swarm, ordered));
        Self { peer, address, orders, events, task, stop, connections, tickets: 0 }
    }

    /// The first connection there ever was.
    pub fn first_connection(&self) -> ConnectionId {
        self.connections.lock().expect("nobody panicked")[0]
    }

    /// Stops without leaving: connections stay, nothing is read or answered any more.
    pub fn freeze(&self) {
        self.stop.notify_one();
    }

    pub fn order(&self, order: impl FnOnce(&mut Swarm<Behaviour>) + Send + 'static) {
        self.orders.send(Box::new(order)).expect("the swarm runs");
    }

    pub fn dial(&self, other: &Self) {
        let address = other.address.clone();
        self.order(move |swarm| swarm.dial(address).expect("a dial begins"));
    }

    pub fn subscribe(&self, topic: &Topic) {
        let topic = topic.clone();
        self.order(move |swarm| swarm.behaviour_mut().subscribe(topic));
    }

    pub fn publish(&mut self, topic: &Topic, payload: Bytes) {
        let publish =
            Publish { ticket: self.tickets, topic: topic.clone(), payload, published_unix_ns: 0 };
        self.tickets += 1;
        self.order(move |swarm| swarm.behaviour_mut().publish(publish));
    }

    /// Waits until the swarm says yes.
    pub async fn until(
        &self,
        what: &str,
        asked: impl Fn(&mut Swarm<Behaviour>) -> bool + Clone + Send + 'static,
    ) {
        let ask = async {
            loop {
                let (reply, answer) = tokio::sync::oneshot::channel();
                let asked = asked.clone();
                self.order(move |swarm| {
                    let _gone = reply.send(asked(swarm));
                });
                if answer.await.expect("the swarm runs") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LIMIT, ask).await.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"));
    }

    pub async fn until_meshed(&self, topic: &Topic, peers: usize) {
        let topic = topic.clone();
        self.until("a mesh", move |swarm| swarm.behaviour().view().mesh(&topic).count() == peers)
            .await;
    }

    /// The next message delivered.
    pub async fn delivery(&mut self) -> Bytes {
        loop {
            let event = timeout(LIMIT, self.events.recv()).await.expect("a delivery in time");
            if let Event::Delivered(delivery) = event.expect("the swarm runs") {
                return delivery.payload;
            }
        }
    }

    /// The next peer that misbehaved, and why.
    pub async fn misbehaviour(&mut self) -> (PeerId, String) {
        loop {
            let event = timeout(LIMIT, self.events.recv()).await.expect("a misbehaviour in time");
            if let Event::Misbehaved { peer, reason, .. } = event.expect("the swarm runs") {
                return (peer, reason);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task of a node works with, beside the swarm and orders.
struct Task {
    admits: bool,
    events: mpsc::UnboundedSender<Event>,
    stop: Arc<Notify>,
    connections: Arc<Mutex<Vec<ConnectionId>>>,
}

impl Task {
    async fn run(self, mut swarm: Swarm<Behaviour>, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                event = swarm.select_next_some() => self.on_event(&mut swarm, event),
                Some(order) = orders.recv() => order(&mut swarm),
                () = self.stop.notified() => std::future::pending().await,
            }
        }
    }

    fn on_event(&self, swarm: &mut Swarm<Behaviour>, event: SwarmEvent<Event>) {
        if let SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } = event {
            self.connections.lock().expect("nobody panicked").push(connection_id);
            if self.admits {
                swarm.behaviour_mut().admit(peer_id);
            }
        } else if let SwarmEvent::Behaviour(event) = event {
            let _gone = self.events.send(event);
        }
    }
}

/// `bytes` bytes that differ with `seed`.
pub fn payload(seed: u64, bytes: usize) -> Bytes {
    let mix = |at: u64| (at + 1 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    (0..bytes as u64).map(|at| mix(at) as u8).collect()
}

pub fn topic() -> Topic {
    Topic::new("t").expect("a topic")
}
