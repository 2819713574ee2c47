//! The live page: the mesh drawn, messages that spread, and a form to publish. Served on loopback;
//! everything it needs comes from here.

mod assets;
mod feed;
mod guard;
mod publish;
mod told;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use service::{
    http::{HttpCounters, not_found},
    listener::Listener,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{cluster::Cluster, observe::Watched, ports::LOOPBACK, problems::Problems};
use feed::Feed;
use publish::Publisher;

/// Connections at once: a page holds one and opens few more.
const CONNECTIONS_MAX: usize = 64;

/// How long readers may take to take what is on the way to them at the end.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(1);

/// The page while it is served.
#[derive(Debug)]
pub(crate) struct Page {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// What handlers need.
#[derive(Clone, Debug)]
struct Face {
    /// What requests must be addressed to.
    address: SocketAddr,
    feed: Arc<Feed>,
    publisher: Arc<Publisher>,
}

impl Page {
    /// Begins to serve it at `port` of the loopback interface; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be listened on.
    pub(crate) fn serve(
        port: u16,
        cluster: &Cluster,
        watched: Arc<Watched>,
        problems: Arc<Problems>,
    ) -> anyhow::Result<Self> {
        let listener = Listener::bind(Some(LOOPBACK), port, "--base-port").context("live page")?;
        let listener = listener.with_connections_max(CONNECTIONS_MAX);
        let (address, stop) = (listener.address(), CancellationToken::new());
        let hello = told::hello(cluster);
        let feed = Arc::new(Feed::new(hello, watched, problems, stop.clone()));
        let publisher = Arc::new(Publisher::new(cluster));
        let router = routes(Face { address, feed, publisher });
        let counters = Arc::new(HttpCounters::default());
        let server = service::http::serve(listener, router, counters, stop.clone());
        Ok(Self { address, stop, server: tokio::spawn(server) })
    }

    /// Returns where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and with it what readers hold.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(SHUTDOWN_WAIT, &mut self.server).await.is_err() {
            // Somebody does not read: its connection ends with the task.
            self.server.abort();
        }
    }
}

fn routes(face: Face) -> Router {
    assets::routes()
        .route("/events", get(feed::stream))
        .route("/publish", post(publish::publish))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(publish::BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(face.clone(), guard::guarded))
        .with_state(face)
}
