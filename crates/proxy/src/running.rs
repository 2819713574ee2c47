//! Puts a proxy together, and takes it apart again.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use access::{Change, Quotas, Store, TicketSigner, Verifier};
use anyhow::Context as _;
use service::{host::Machine, listener::Listener};
use tokio::{sync::broadcast::error::RecvError, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    config::{Config, Face},
    deliveries::{DRAIN_MAX, Made, Task},
    grpc, http,
    metrics::Metrics,
    proxy::Proxy,
    sessions::Sessions,
    traffic::Traffic,
    upstream::Upstream,
};

/// Connections of clients at once, of each face: WebSockets and streams stay open.
const CONNECTIONS_MAX: usize = 32_768;

/// How often it is told that clients with a connection still want what they subscribed, at most.
const KEEP_INTERVAL_MAX: Duration = Duration::from_secs(600);

/// How long after an attempt with Redis away the next one comes.
const SYNCHRONIZE_PAUSE: Duration = Duration::from_secs(1);

/// A proxy that runs. Dropping it stops it at once; [`Running::shutdown`] does it with care.
#[derive(Debug)]
pub struct Running {
    http: SocketAddr,
    grpc: SocketAddr,
    stop_faces: CancellationToken,
    stop_deliveries: CancellationToken,
    stop_upstream: CancellationToken,
    sockets: TaskTracker,
    upstream_tasks: TaskTracker,
    deliveries: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
}

/// Looks whether a proxy could start with the files that its settings name, and starts none.
///
/// # Errors
///
/// Returns an error that names the variable and the file.
pub async fn check(config: &Config) -> anyhow::Result<()> {
    verifier(config).await?;
    config.geo.place(None)?;
    if let Some(files) = &config.tls {
        files.server_config(&[])?;
    }
    Ok(())
}

/// Starts a proxy: binds its ports, then begins to connect to its nodes.
///
/// # Errors
///
/// Returns an error if a port cannot be bound or a file that a setting names cannot be used; the
/// text names the port or the file and its variable.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let (http, grpc) = bind(&config)?;
    let (http_address, grpc_address) = (http.address(), grpc.address());
    let reachable = (http.reachable_address(), grpc.reachable_address());
    let faces = vec![("http", http.refusals()), ("grpc", grpc.refusals())];
    let verifier = verifier(&config).await?;
    let place = config.geo.place(None)?;
    let traffic = Traffic::new(config.nodes.len(), Instant::now(), SystemTime::now());
    let traffic = Arc::new(Mutex::new(traffic));
    let Made { task, deliveries, orders, reports } =
        Task::make(broker(&config), config.stream_queue_bytes, Arc::clone(&traffic));
    let [stop_faces, stop_deliveries, stop_upstream] = [(); 3].map(|()| CancellationToken::new());
    let upstream_tasks = TaskTracker::new();
    let signer = Arc::new(signer(&config)?);
    let upstream =
        Upstream::new(&config, &signer, &orders, &reports, &upstream_tasks, &stop_upstream);
    let upstream = Arc::new(upstream);
    let delivering =
        task.run(Arc::clone(&upstream), upstream_tasks.clone(), stop_deliveries.clone());
    let store = Arc::new(store(&config)?);
    let proxy = Arc::new(Proxy {
        deliveries,
        upstream,
        store: Arc::clone(&store),
        verifier,
        quotas: Quotas::new(store),
        sessions: Sessions::new(signer),
        traffic,
        budget: Arc::default(),
        machine: Machine::default(),
        place,
        config,
    });
    info!(http = %http_address, grpc = %grpc_address, nodes = proxy.config.nodes.len(), "proxy started");
    if proxy.config.nodes.is_empty() {
        warn!("P2P_NODES names no node: nothing can be published or delivered");
    }
    let metrics = Arc::new(Metrics { faces, ..Metrics::default() });
    let sockets = TaskTracker::new();
    let tasks = vec![
        tokio::spawn(serve_http(http, &proxy, &metrics, &sockets, &stop_faces)),
        tokio::spawn(serve_grpc(grpc, &proxy, &metrics, &stop_faces)),
        tokio::spawn(follow_changes(Arc::clone(&proxy))),
        tokio::spawn(keep_subscriptions(proxy)),
    ];
    Ok(Running {
        http: reachable.0,
        grpc: reachable.1,
        stop_faces,
        stop_deliveries,
        stop_upstream,
        sockets,
        upstream_tasks,
        deliveries: tokio::spawn(delivering),
        tasks,
    })
}

fn serve_http(
    listener: Listener,
    proxy: &Arc<Proxy>,
    metrics: &Arc<Metrics>,
    sockets: &TaskTracker,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let face = http::Face {
        proxy: Arc::clone(proxy),
        counters: Arc::clone(&metrics.http),
        sockets: Arc::clone(&metrics.sockets),
        tasks: sockets.clone(),
        metrics: Arc::clone(metrics),
    };
    let counters = Arc::clone(&metrics.http);
    service::http::serve(listener, http::routes(face), counters, stop.clone())
}

fn serve_grpc(
    listener: Listener,
    proxy: &Arc<Proxy>,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let face = grpc::Face {
        proxy: Arc::clone(proxy),
        streams: Arc::clone(&metrics.streams),
        meter: Arc::clone(&metrics.grpc),
        stop: stop.clone(),
    };
    async move {
        if let Err(error) = face.serve(listener).await {
            warn!(%error, "the gRPC face failed");
        }
    }
}

fn bind(config: &Config) -> anyhow::Result<(Listener, Listener)> {
    let tls =
        |protocol| config.tls.as_ref().map(|files| files.server_config(&[protocol])).transpose();
    let (http1, http2) = (tls("http/1.1")?, tls("h2")?);
    let bind = |face: Face, tls| {
        let bound = Listener::bind(face.ip, face.port, face.variable)?;
        anyhow::Ok(bound.with_connections_max(CONNECTIONS_MAX).with_tls(tls))
    };
    Ok((bind(config.http, http1)?, bind(config.grpc, http2)?))
}

fn broker(config: &Config) -> broker::Config {
    let default = broker::Config::default();
    broker::Config {
        threshold: config.threshold,
        fallback_delay: config.fallback_delay,
        give_up_delay: default.give_up_delay.max(config.fallback_delay * 2),
        subscription_ttl: config.subscription_ttl,
        secret: rand::random(),
        ..default
    }
}

async fn verifier(config: &Config) -> anyhow::Result<Option<Verifier>> {
    let Some(auth) = &config.access.auth else { return Ok(None) };
    let verifier = Verifier::new(auth).await;
    Ok(Some(verifier.with_context(|| format!("JWKS_URL={}", auth.jwks))?))
}

fn store(config: &Config) -> anyhow::Result<Store> {
    match &config.access.redis {
        Some(redis) => Store::shared(redis, &config.cluster_id).context("REDIS_URL"),
        None => Ok(Store::in_memory()),
    }
}

fn signer(config: &Config) -> anyhow::Result<TicketSigner> {
    match &config.access.ticket_key {
        Some(pem) => TicketSigner::from_pem(pem).context("TICKET_SIGNING_KEY"),
        None => Ok(TicketSigner::generate()),
    }
}

/// Brings subscriptions that other proxies take to the clients that are connected here.
async fn follow_changes(proxy: Arc<Proxy>) {
    let mut changes = proxy.store.changes();
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            Err(RecvError::Lagged(_)) => Change::Any,
            Err(RecvError::Closed) => return,
        };
        match change {
            Change::Of(client) => match proxy.deliveries.is_connected(client.clone()).await {
                Ok(true) => proxy.synchronize(&client).await,
                Ok(false) => {}
                Err(_) => return,
            },
            Change::Any => synchronize_all(&proxy).await,
        }
    }
}

/// Does it again until Redis answers: it may be back, and not asked again yet.
async fn synchronize_all(proxy: &Proxy) {
    loop {
        // Everybody's: what was subscribed here while Redis was away may be waited for elsewhere.
        let Ok(known) = proxy.deliveries.known().await else { return };
        for client in known {
            proxy.synchronize(&client).await;
        }
        if proxy.store.counts().redis_is_there != Some(false) {
            return;
        }
        tokio::time::sleep(SYNCHRONIZE_PAUSE).await;
    }
}

/// Lets the subscriptions of connected clients hold on.
async fn keep_subscriptions(proxy: Arc<Proxy>) {
    let ttl = proxy.config.subscription_ttl;
    let interval = (ttl / 4).clamp(Duration::from_millis(100), KEEP_INTERVAL_MAX);
    loop {
        tokio::time::sleep(interval).await;
        let Ok(connected) = proxy.deliveries.connected().await else { return };
        for client in connected {
            if matches!(proxy.store.keep(&client, ttl).await, Ok(false)) {
                proxy.synchronize(&client).await;
            }
        }
    }
}

impl Running {
    /// Returns where HTTP clients on this machine connect.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Returns where gRPC clients on this machine connect.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// Ends the proxy with care: takes no new connections and requests, gives clients what waits
    /// for them, tells them, and leaves the nodes.
    pub async fn shutdown(mut self) {
        self.stop_deliveries.cancel();
        within("deliveries", &mut self.deliveries).await;
        self.sockets.close();
        within("WebSockets", self.sockets.wait()).await;
        self.stop_faces.cancel();
        let [http, grpc, ..] = &mut self.tasks[..] else { return };
        within("servers", futures::future::join(http, grpc)).await;
        self.stop_upstream.cancel();
        self.upstream_tasks.close();
        within("nodes", self.upstream_tasks.wait()).await;
        info!("proxy stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_faces.cancel();
        self.stop_deliveries.cancel();
        self.stop_upstream.cancel();
        self.deliveries.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn within<F: Future>(what: &str, step: F) {
    if tokio::time::timeout(DRAIN_MAX, step).await.is_err() {
        warn!(what, "took too long to end: cut short");
    }
}
