//! The server: HTTP/1.1 with a bound on everything that a client can make it hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::listener::Listener;

/// About where a request line with its headers ends: 431, or 414 when the line itself is longer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a connection may be idle and the next head take, both together. Longer than scrapers
/// pause between two requests of one connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Serves until it is stopped; requests that came are answered. A connection that fails concerns
/// its client alone. What becomes a WebSocket is its handler's from then on.
pub async fn serve(
    mut listener: Listener,
    router: Router,
    counters: Arc<HttpCounters>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            (stream, _) = listener.accept() => {
                let (router, counters) = (router.clone(), Arc::clone(&counters));
                connections.spawn(connection(stream, router, counters, stop.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    counters: Arc<HttpCounters>,
    stop: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a client's HTTP connection failed");
        if error.is_timeout() {
            counters.timed_out();
        } else if error.is_parse() {
            counters.refused();
        }
    }
}

/// What the HTTP face counts.
#[derive(Debug, Default)]
pub struct HttpCounters {
    requests: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
}

impl HttpCounters {
    /// A request was understood.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was no HTTP or too long.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was idle, or its next request too slow.
    pub fn timed_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers of requests, and of connections refused and timed out.
    pub fn snapshot(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.refused), load(&self.timed_out))
    }
}
