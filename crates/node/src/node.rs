//! Puts a node together, and takes it apart again.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::StreamExt as _;
use libp2p::{Multiaddr, PeerId, Swarm, identity::Keypair, multiaddr::Protocol, swarm::SwarmEvent};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    config::{Config, Mode},
    event_loop::EventLoop,
    grpc::Sidecar,
    handle::Handle,
    health::Health,
    http::{self, Pages},
    hub::{Fanout, Hub},
    listener::{ListenError, Listener},
    metrics::{Metrics, StreamMeter},
    network::{
        Network,
        handshake::{GOSSIP_VERSION, Hello},
        swarm::{self, Behaviour},
    },
    pubsub, version,
};

/// Streams of readers at once, all connections together. Each may hold `STREAM_QUEUE_BYTES`.
const STREAMS_MAX: usize = 1024;

/// How long each step of a shutdown may take before it is cut short; all together below 5 s.
const SHUTDOWN_STEP: Duration = Duration::from_millis(1200);

/// A node that runs. Dropping it stops it at once; [`Running::shutdown`] does it with care.
#[derive(Debug)]
pub struct Running {
    peer_id: PeerId,
    sidecar: SocketAddr,
    api: SocketAddr,
    listening: Vec<Multiaddr>,
    handle: Handle,
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stop_faces: CancellationToken,
    stop_network: CancellationToken,
    event_loop: JoinHandle<()>,
    encoder: JoinHandle<()>,
    fanout: Fanout,
    faces: Vec<JoinHandle<()>>,
}

/// Starts a node: binds all ports, then begins to work.
///
/// # Errors
///
/// Returns an error if the identity cannot be read or made, or a port cannot be bound; the text
/// names the file or the port and its variable.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let identity = identity::load_or_generate(&config.identity_dir).context("IDENTITY_DIR")?;
    start_as(config, identity.keypair).await
}

/// Starts a node with a key pair of the caller's; `IDENTITY_DIR` is not touched.
///
/// # Errors
///
/// As [`start`].
pub async fn start_as(config: Config, keypair: Keypair) -> anyhow::Result<Running> {
    let own = keypair.public().to_peer_id();
    anyhow::ensure!(config.mode == Mode::Optimum, "NODE_MODE=gossipsub is not there yet");
    let sidecar = Listener::bind(config.bind_address, config.sidecar_port, "SIDECAR_PORT")?;
    let api = Listener::bind(config.bind_address, config.api_port, "API_PORT")?;
    let metrics = Arc::new(Metrics::default());
    let (swarm, listening) = open_network(&config, &keypair, &metrics.streams).await?;

    let hub = Arc::new(Hub::new(config.stream_queue_bytes, STREAMS_MAX));
    let (fanout, encoder) = Fanout::new(Arc::clone(&hub), own, config.trace);
    let (handle, commands) = Handle::new();
    let (stop_faces, stop_network) = (CancellationToken::new(), CancellationToken::new());
    let event_loop = EventLoop {
        swarm,
        network: Network::new(
            own,
            hello(&config),
            &config.bootstrap_peers,
            config.quic,
            Instant::now(),
        ),
        commands,
        hub: Arc::clone(&hub),
        fanout: fanout.clone(),
        stop: stop_network.clone(),
        announce: config.announce.clone(),
        traffic: Arc::clone(&metrics.traffic),
        publishes_refused: 0,
    };
    let tasks = TaskTracker::new();
    let health = Arc::new(Health::new(config.mode, own, told_addresses(&config, &listening)));
    let service = Sidecar {
        handle: handle.clone(),
        hub: Arc::clone(&hub),
        health: Arc::clone(&health),
        tasks: tasks.clone(),
        stop: stop_faces.clone(),
        meter: Arc::clone(&metrics.sidecar),
    };
    let pages =
        Pages { own, handle: handle.clone(), health, config: Arc::new(config.clone()), metrics };
    let (sidecar_address, api_address) = (sidecar.address(), api.address());
    let message_bytes_max = config.gossip().message_bytes_max;
    let grpc = service.serve(sidecar, message_bytes_max);
    let http = http::serve(api, pages, stop_faces.clone());
    info!(peer = %own, cluster = config.cluster_id, sidecar = %sidecar_address, api = %api_address, "node started");
    Ok(Running {
        peer_id: own,
        sidecar: reachable(sidecar_address),
        api: reachable(api_address),
        listening,
        handle,
        hub,
        tasks,
        stop_faces,
        stop_network,
        event_loop: tokio::spawn(event_loop.run()),
        encoder: tokio::spawn(encoder.run()),
        fanout,
        faces: vec![face("sidecar", grpc), face("HTTP API", http)],
    })
}

/// Serves one face until it is stopped or fails.
fn face<E: std::fmt::Display>(
    name: &'static str,
    serve: impl Future<Output = Result<(), E>> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = serve.await {
            warn!(%error, face = name, "a face failed");
        }
    })
}

/// Makes the swarm and listens for peers; returns where.
async fn open_network(
    config: &Config,
    keypair: &Keypair,
    meter: &Arc<StreamMeter>,
) -> anyhow::Result<(Swarm<Behaviour>, Vec<Multiaddr>)> {
    let behaviour = pubsub::new(config.gossip(), keypair)?;
    let settings = swarm::Settings {
        keypair,
        cluster_id: &config.cluster_id,
        software: version::VERSION,
        quic: config.quic,
        announce: &config.announce,
        meter,
    };
    let mut swarm = swarm::build(&settings, behaviour)?;
    let listening = listen(&mut swarm, config).await?;
    Ok((swarm, listening))
}

/// Returns where peers are told to find the node.
fn told_addresses<'a>(config: &'a Config, listening: &'a [Multiaddr]) -> &'a [Multiaddr] {
    if config.announce.is_empty() { listening } else { &config.announce }
}

fn hello(config: &Config) -> Hello {
    Hello {
        cluster_id: config.cluster_id.clone(),
        mode: config.mode.name().to_owned(),
        profile: config.optimum.profile.name().to_owned(),
        versions: vec![GOSSIP_VERSION],
        max_message_bytes: config.optimum.max_message_bytes,
        software: version::VERSION.to_owned(),
    }
}

/// Listens for peers; returns where, once that is known.
async fn listen(swarm: &mut Swarm<Behaviour>, config: &Config) -> anyhow::Result<Vec<Multiaddr>> {
    let (mut port, variable) = config.p2p_port();
    let mut first = true;
    for ip in swarm::bind_ips(config.bind_address) {
        let listened = match swarm::check_port_is_free(ip, port) {
            Ok(()) => listen_on(swarm, swarm::tcp_address(ip, port)).await,
            Err(error) => Err(error),
        };
        let listened = match listened {
            Ok(taken) => {
                port = taken;
                if config.quic {
                    listen_on(swarm, swarm::quic_address(ip, port)).await
                } else {
                    Ok(port)
                }
            }
            Err(error) => Err(error),
        };
        match listened {
            Ok(_) => {}
            // IPv4 works; a machine without IPv6 is no reason not to start.
            Err(source) if !first && source.kind() != io::ErrorKind::AddrInUse => {
                info!(error = %source, "no IPv6 for peers");
            }
            Err(source) => {
                let address = (ip, port).into();
                return Err(ListenError { address, variable, source }.into());
            }
        }
        first = false;
    }
    Ok(swarm::listening(swarm))
}

/// Begins to listen, and waits for the first address; returns its port.
async fn listen_on(swarm: &mut Swarm<Behaviour>, address: Multiaddr) -> io::Result<u16> {
    swarm.listen_on(address).map_err(|error| match error {
        libp2p::TransportError::Other(error) => error,
        error @ libp2p::TransportError::MultiaddrNotSupported(_) => {
            io::Error::other(error.to_string())
        }
    })?;
    let port = first_port(swarm).await;
    port.ok_or_else(|| io::Error::other("the listener closed at once"))
}

/// Waits for the first address of a listener and returns its port.
#[expect(clippy::wildcard_enum_match_arm, reason = "the lists of others are open")]
async fn first_port(swarm: &mut Swarm<Behaviour>) -> Option<u16> {
    loop {
        match swarm.next().await? {
            SwarmEvent::NewListenAddr { address, .. } => {
                info!(%address, "listening for peers");
                return address.iter().find_map(|part| match part {
                    Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
                    _ => None,
                });
            }
            SwarmEvent::ListenerClosed { .. } | SwarmEvent::ListenerError { .. } => return None,
            _ => {}
        }
    }
}

/// Returns an address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    // One socket serves both families.
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

impl Running {
    /// Returns who the node is.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Returns where gRPC clients on this machine connect.
    pub fn sidecar_address(&self) -> SocketAddr {
        self.sidecar
    }

    /// Returns where HTTP clients on this machine connect.
    pub fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// Returns where the node listened for peers when it started, with the real port and without
    /// its peer id.
    pub fn p2p_addresses(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// Returns a handle to ask and tell the node things without going through gRPC.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the node with care, in less than 5 s: takes no new commands, closes the connections to
    /// peers, gives readers what was delivered and ends their streams.
    pub async fn shutdown(mut self) {
        self.stop_faces.cancel();
        self.tasks.close();
        within("commands", self.tasks.wait()).await;
        self.stop_network.cancel();
        within("connections", &mut self.event_loop).await;
        self.fanout.close();
        within("readers", &mut self.encoder).await;
        self.hub.close();
        within("servers", futures::future::join_all(self.faces.iter_mut())).await;
        info!(peer = %self.peer_id, "node stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_faces.cancel();
        self.stop_network.cancel();
        self.hub.close();
        self.event_loop.abort();
        self.encoder.abort();
        self.faces.iter().for_each(JoinHandle::abort);
    }
}

async fn within<F: Future>(what: &str, step: F) {
    if tokio::time::timeout(SHUTDOWN_STEP, step).await.is_err() {
        warn!(what, "took too long to end: cut short");
    }
}
