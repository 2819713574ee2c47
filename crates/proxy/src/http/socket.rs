//! `GET /api/v1/ws`: a WebSocket on which a client is given the messages of all its topics.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::{
        RawQuery, State,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use service::http::answer::Failure;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use super::{Face, SocketCounters, client_of_query};
use crate::{
    connection::{Inbox, Item},
    error::RequestError,
    until,
};

/// How often a quiet client is asked whether it is still there. One that did not answer by the next
/// time, or the one after, is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// How long a client may take to read what was written at once.
const WRITE_MAX: Duration = Duration::from_secs(60);

/// Bytes written at once at most, if that many wait.
const BATCH_BYTES: usize = 64 << 10;

/// Longest frame that a client may send. It has nothing to say.
const FROM_CLIENT_BYTES_MAX: usize = 4 << 10;

/// Small: there may be tens of thousands.
const READ_BUFFER_BYTES: usize = 512;
const WRITE_BUFFER_BYTES: usize = 32 << 10;

/// Deliveries to a client: each a text frame of JSON.
#[utoipa::path(get, path = "/api/v1/ws",
    params(("client_id" = String, Query, description = "Who; not needed with authentication on")),
    responses(
        (status = 101, description = "A WebSocket. Each text frame is a message: source_node_id, upstream_peer_id, topic, message_id, message (base64); or lost: how many were given up because the client read too slowly"),
        (status = 400, description = "No client is named, or no WebSocket asked for", body = Failure),
        (status = 401, description = "No valid token", body = Failure),
        (status = 429, description = "Too many clients", body = Failure),
    ))]
pub(super) async fn upgrade(
    State(face): State<Face>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, RequestError> {
    let client = client_of_query(&face.proxy, &headers, query.as_deref()).await?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let inbox = face.proxy.connect(&client).await?;
    let (tasks, sockets) = (face.tasks.clone(), Arc::clone(&face.sockets));
    let expires = client.remaining().map(|remaining| Instant::now() + remaining);
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(FROM_CLIENT_BYTES_MAX)
        .max_frame_size(FROM_CLIENT_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| {
        let served = serve(socket, inbox, expires, sockets);
        tasks.track_future(served)
    }))
}

/// Why a socket is closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client is gone.
    Gone,
    /// It sent what no client sends here.
    Misused,
    /// It does not answer, or does not read.
    Stalled,
    /// Its token came to its end.
    Expired,
    /// The proxy does.
    Stopping,
}

impl End {
    fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone | Self::Stalled => return None,
            Self::Misused => (
                close_code::UNSUPPORTED,
                "this socket only delivers; publish with POST /api/v1/publish",
            ),
            Self::Expired => (close_code::POLICY, "the token expired"),
            Self::Stopping => (close_code::AWAY, "the proxy is shutting down"),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }
}

async fn serve(
    mut socket: WebSocket,
    mut inbox: Inbox,
    expires: Option<Instant>,
    counters: Arc<SocketCounters>,
) {
    let _open = Open::new(&counters);
    let end = run(&mut socket, &mut inbox, expires).await;
    debug!(connection = inbox.id.0, ?end, "a WebSocket ends");
    match end {
        End::Misused => SocketCounters::count(&counters.misused),
        End::Stalled => SocketCounters::count(&counters.stalled),
        End::Expired => SocketCounters::count(&counters.expired),
        End::Gone | End::Stopping => {}
    }
    drop(inbox);
    if let Some(frame) = end.close_frame() {
        let close = async {
            // A client that is gone need not be told.
            let _gone = socket.send(Message::Close(Some(frame))).await;
            // It answers with a frame of its own; then nothing is lost on the way.
            while let Some(Ok(_)) = socket.recv().await {}
        };
        let _late = tokio::time::timeout(Duration::from_secs(1), close).await;
    }
}

/// Counts an open socket.
struct Open<'a>(&'a SocketCounters);

impl<'a> Open<'a> {
    fn new(counters: &'a SocketCounters) -> Self {
        SocketCounters::count(&counters.open);
        Self(counters)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

async fn run(socket: &mut WebSocket, inbox: &mut Inbox, expires: Option<Instant>) -> End {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut heard = Instant::now();
    let mut expiry = pin!(until(expires));
    loop {
        let end = tokio::select! {
            item = inbox.next() => match item {
                Some(item) => in_time(write(socket, inbox, item)).await,
                // Every delivery was closed: what was queued is sent.
                None => Some(End::Stopping),
            },
            frame = socket.recv() => {
                heard = Instant::now();
                on_frame(frame)
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    Some(End::Stalled)
                } else {
                    in_time(socket.send(Message::Ping(bytes::Bytes::new()))).await
                }
            }
            () = &mut expiry => Some(End::Expired),
        };
        if let Some(end) = end {
            return end;
        }
    }
}

/// Waits for a write, but not for ever.
async fn in_time(write: impl Future<Output = Result<(), axum::Error>>) -> Option<End> {
    match tokio::time::timeout(WRITE_MAX, write).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some(End::Gone),
        Err(_) => Some(End::Stalled),
    }
}

/// Writes an item, and in the same breath what waits behind it.
async fn write(socket: &mut WebSocket, inbox: &mut Inbox, first: Item) -> Result<(), axum::Error> {
    let mut next = Some(first);
    let mut bytes = 0;
    while let Some(item) = next {
        let text = text(item);
        bytes += text.len();
        socket.feed(Message::Text(text)).await?;
        if bytes >= BATCH_BYTES {
            break;
        }
        next = inbox.next().now_or_never().flatten();
    }
    socket.flush().await
}

fn text(item: Item) -> Utf8Bytes {
    match item {
        Item::Message(delivery) => delivery.json.clone(),
        Item::Lost(messages) => api::lost_messages_json(messages).into(),
    }
}

fn on_frame(frame: Option<Result<Message, axum::Error>>) -> Option<End> {
    match frame {
        None | Some(Ok(Message::Close(_))) => Some(End::Gone),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
        Some(Ok(Message::Text(_) | Message::Binary(_))) => Some(End::Misused),
        // A frame too long is an error; so is a connection that is gone.
        Some(Err(error)) => {
            debug!(%error, "a WebSocket fails");
            Some(End::Gone)
        }
    }
}
