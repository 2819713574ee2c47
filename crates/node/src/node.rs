//! Puts a node together, and takes it apart again.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use api::{handshake::Hello, sidecar::ResponseType};
use futures::StreamExt as _;
use gossip::Topic;
use libp2p::{Multiaddr, PeerId, Swarm, identity::Keypair, multiaddr::Protocol, swarm::SwarmEvent};
use service::{
    geo::Place,
    listener::{ListenError, Listener},
    version,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    config::{Config, HandshakePolicy, Mode},
    event_loop::EventLoop,
    grpc::Sidecar,
    handle::Handle,
    health::Health,
    http::{self, Pages},
    hub::{Fanout, Hub},
    metrics::{Metrics, StreamMeter},
    network::{
        Network,
        swarm::{self, Behaviour},
    },
    pubsub,
    recent::{KEPT_BYTES_MAX, Recent},
    subscriptions::Subscriptions,
    tickets::Tickets,
    topics_dump,
};

/// Streams of readers at once, all connections together. Each may hold `STREAM_QUEUE_BYTES`.
const STREAMS_MAX: usize = 1024;

/// How long each step of a shutdown may take before it is cut short; all together below 5 s.
const SHUTDOWN_STEP: Duration = Duration::from_millis(950);

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
    topics_dump: Option<JoinHandle<()>>,
}

/// Starts a node: binds all ports, then begins to work.
///
/// # Errors
///
/// Returns an error if the identity cannot be read or made, a file that a setting names cannot be
/// used, or a port cannot be bound; the text names the file or the port and its variable.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let identity = identity::load_or_generate(&config.identity_dir).context("IDENTITY_DIR")?;
    let folder = config.identity_dir.clone();
    start_with(config, identity.keypair, Some(&folder)).await
}

/// Starts a node with a key pair of the caller's; `IDENTITY_DIR` is not touched.
///
/// # Errors
///
/// As [`start`].
pub async fn start_as(config: Config, keypair: Keypair) -> anyhow::Result<Running> {
    start_with(config, keypair, None).await
}

/// Looks whether a node could start with the files that its settings name, and starts none.
///
/// # Errors
///
/// Returns an error that names the variable and the file.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    tickets(config).await?;
    place(config)?;
    if let Some(files) = &config.tls {
        files.server_config(&[])?;
    }
    Ok(())
}

/// Topics are kept in `folder`, if there is one.
async fn start_with(
    config: Config,
    keypair: Keypair,
    folder: Option<&Path>,
) -> anyhow::Result<Running> {
    let own = keypair.public().to_peer_id();
    let (tickets, place) = (tickets(&config).await?, place(&config)?);
    let (sidecar, api) = bind_faces(&config)?;
    let faces = vec![("sidecar", sidecar.refusals()), ("http", api.refusals())];
    let metrics = Arc::new(Metrics { faces, ..Metrics::default() });
    let (swarm, listening) = open_network(&config, &keypair, &metrics.streams).await?;

    let hub = Arc::new(Hub::new(config.stream_queue_bytes, STREAMS_MAX));
    let (fanout, encoder) = Fanout::new(Arc::clone(&hub), own, config.trace);
    let (handle, commands) = Handle::new();
    let (stop_faces, stop_network) = (CancellationToken::new(), CancellationToken::new());
    let recent = Arc::new(Recent::new(KEPT_BYTES_MAX.min(config.optimum.retain_bytes)));
    let KeptTopics { subscriptions, topics, failures, writer } = KeptTopics::of(folder);
    let event_loop = EventLoop {
        swarm,
        network: network(&config, own),
        commands,
        hub: Arc::clone(&hub),
        fanout: fanout.clone(),
        recent: Arc::clone(&recent),
        subscriptions,
        topics,
        topic_dump_failures: failures,
        stop: stop_network.clone(),
        announce: config.announce.clone(),
        traffic: Arc::clone(&metrics.traffic),
        publishes_refused: 0,
        subscriptions_refused: 0,
    };
    let tasks = TaskTracker::new();
    let addresses = told_addresses(&config, &listening);
    let health = Arc::new(Health::new(config.mode, own, addresses, place));
    let service = Sidecar {
        own,
        handle: handle.clone(),
        hub: Arc::clone(&hub),
        health: Arc::clone(&health),
        recent,
        tickets,
        traces: traces(config.mode),
        tasks: tasks.clone(),
        stop: stop_faces.clone(),
        meter: Arc::clone(&metrics.sidecar),
    };
    let pages =
        Pages { own, handle: handle.clone(), health, config: Arc::new(config.clone()), metrics };
    let (sidecar_address, api_address) = (sidecar.address(), api.address());
    let reachable = (sidecar.reachable_address(), api.reachable_address());
    let message_bytes_max = config.max_message_bytes().saturating_mul(6) / 5;
    let grpc = service.serve(sidecar, message_bytes_max);
    let counters = Arc::clone(&pages.metrics.http);
    let http = service::http::serve(api, http::routes(pages), counters, stop_faces.clone());
    info!(peer = %own, cluster = config.cluster_id, sidecar = %sidecar_address, api = %api_address, "node started");
    Ok(Running {
        peer_id: own,
        sidecar: reachable.0,
        api: reachable.1,
        listening,
        handle,
        hub,
        tasks,
        stop_faces,
        stop_network,
        event_loop: tokio::spawn(event_loop.run()),
        encoder: tokio::spawn(encoder.run()),
        fanout,
        faces: vec![tokio::spawn(log_failure(grpc)), tokio::spawn(http)],
        topics_dump: writer,
    })
}

/// The topics of a node, and where they outlive it.
struct KeptTopics {
    subscriptions: Subscriptions,
    /// Told of every change.
    topics: watch::Sender<BTreeSet<Topic>>,
    /// Times that they could not be written.
    failures: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl KeptTopics {
    /// Loads them from `folder` and keeps them there, if there is one.
    fn of(folder: Option<&Path>) -> Self {
        let mut subscriptions = Subscriptions::default();
        let loaded = folder.map(topics_dump::load).into_iter().flatten();
        for topic in loaded {
            if subscriptions.has_room_for(&topic) {
                subscriptions.subscribe(topic);
            }
        }
        let topics = watch::Sender::new(subscriptions.plain().clone());
        let failures = Arc::new(AtomicU64::new(0));
        let writer = folder.map(|folder| {
            let writer = topics_dump::Writer::new(folder, Arc::clone(&failures));
            tokio::spawn(writer.run(topics.subscribe()))
        });
        Self { subscriptions, topics, failures, writer }
    }
}

/// Makes the swarm and listens for peers; returns where.
async fn open_network(
    config: &Config,
    keypair: &Keypair,
    meter: &Arc<StreamMeter>,
) -> anyhow::Result<(Swarm<Behaviour>, Vec<Multiaddr>)> {
    let behaviour = pubsub::new(config, keypair)?;
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

fn network(config: &Config, own: PeerId) -> Network {
    let (peers, now) = (&config.bootstrap_peers, Instant::now());
    Network::new(own, hello(config), foreigners(config), peers, config.quic, now)
}

/// Returns where peers are told to find the node.
fn told_addresses<'a>(config: &'a Config, listening: &'a [Multiaddr]) -> &'a [Multiaddr] {
    if config.announce.is_empty() { listening } else { &config.announce }
}

async fn log_failure(sidecar: impl Future<Output = Result<(), tonic::transport::Error>>) {
    if let Err(error) = sidecar.await {
        warn!(%error, "the sidecar failed");
    }
}

async fn tickets(config: &Config) -> anyhow::Result<Option<Arc<Tickets>>> {
    let Some(source) = &config.sidecar_jwks else { return Ok(None) };
    let tickets = Tickets::new(source).await.with_context(|| format!("SIDECAR_JWKS={source}"))?;
    Ok(Some(Arc::new(tickets)))
}

/// Where the first address is that peers are told of and that anybody can reach.
fn place(config: &Config) -> anyhow::Result<Place> {
    let announced = config.announce.iter().filter_map(|address| address.iter().next());
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list of protocols is open")]
    let mut addresses = announced.filter_map(|part| match part {
        Protocol::Ip4(ip) if is_public(ip) => Some(IpAddr::from(ip)),
        Protocol::Ip6(ip)
            if !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()) =>
        {
            Some(ip.into())
        }
        _ => None,
    });
    Ok(config.geo.place(addresses.next())?)
}

fn is_public(ip: Ipv4Addr) -> bool {
    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified())
}

/// Binds gRPC and HTTP, with TLS if there is a certificate.
fn bind_faces(config: &Config) -> anyhow::Result<(Listener, Listener)> {
    let tls =
        |protocol| config.tls.as_ref().map(|files| files.server_config(&[protocol])).transpose();
    let (http2, http1) = (tls("h2")?, tls("http/1.1")?);
    let bind = |port, variable| Listener::bind(config.bind_address, port, variable);
    let sidecar = bind(config.sidecar_port, "SIDECAR_PORT")?.with_tls(http2);
    let api = bind(config.api_port, "API_PORT")?.with_tls(http1);
    Ok((sidecar, api))
}

fn hello(config: &Config) -> Hello {
    Hello {
        cluster_id: config.cluster_id.clone(),
        mode: config.mode.name().to_owned(),
        // The other mode knows no profiles.
        profile: match config.mode {
            Mode::Optimum => config.optimum.profile.name().to_owned(),
            Mode::Gossipsub => String::new(),
        },
        versions: config.gossip_versions.clone(),
        max_message_bytes: config.max_message_bytes(),
        software: version::VERSION.to_owned(),
    }
}

/// Returns whether peers that do not speak the handshake are admitted.
fn foreigners(config: &Config) -> bool {
    config.mode == Mode::Gossipsub && config.handshake == HandshakePolicy::Auto
}

/// Returns what the sidecar calls the trace events of a mode.
fn traces(mode: Mode) -> ResponseType {
    match mode {
        Mode::Optimum => ResponseType::MessageTraceMumP2p,
        Mode::Gossipsub => ResponseType::MessageTraceGossipSub,
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
        // The event loop took its end with it.
        if let Some(topics_dump) = &mut self.topics_dump {
            within("topics.dump", topics_dump).await;
        }
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
        self.faces.iter().chain(&self.topics_dump).for_each(JoinHandle::abort);
    }
}

async fn within<F: Future>(what: &str, step: F) {
    if tokio::time::timeout(SHUTDOWN_STEP, step).await.is_err() {
        warn!(what, "took too long to end: cut short");
    }
}
