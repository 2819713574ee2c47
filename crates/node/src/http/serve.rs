//! The server: HTTP/1.1 with a bound on everything that a client can make it hold.

use std::{io, sync::Arc, time::Duration};

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

use super::{Pages, routes};
use service::listener::Listener;

use crate::metrics::HttpCounters;

/// About where a request line with its headers ends: 431, or 414 when the line itself is longer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a connection may be idle and the next head take, both together. Longer than scrapers
/// pause between two requests of one connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a page may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is stopped; requests that came are answered.
///
/// # Errors
///
/// None today: a connection that fails concerns its client alone.
pub(crate) async fn serve(
    mut listener: Listener,
    pages: Pages,
    stop: CancellationToken,
) -> io::Result<()> {
    let counters = Arc::clone(&pages.metrics.http);
    let router = routes(pages);
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
    Ok(())
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    counters: Arc<HttpCounters>,
    stop: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
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
