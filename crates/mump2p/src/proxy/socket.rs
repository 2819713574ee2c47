//! Deliveries by WebSocket.

use std::time::Duration;

use api::Delivery;
use bytes::Bytes;
use cli::client::root_cause;
use futures::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpStream,
    time::{Instant, interval, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, header},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{
    Context, Error,
    http::{self, CHECK_PROXY, SHORT_TIMEOUT},
    received::Sink,
    signals,
};

/// The longest frame that is taken: what a proxy delivers is at most 64 MiB, in base64.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// A proxy that does not answer a ping until the one after the next is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// How long the proxy may take to say goodbye.
const CLOSE_MAX: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens the socket of a client.
///
/// # Errors
///
/// Returns an error if the proxy does not answer, or refuses.
pub(crate) async fn open(context: &Context, base: &str, client_id: &str) -> Result<Socket, Error> {
    // Both schemes get longer by an S with TLS.
    let base = base.replacen("http", "ws", 1);
    let url = format!("{base}/api/v1/ws?client_id={}", http::query_value(client_id));
    let wrong = |error: &dyn std::fmt::Display| Error::Failed(format!("WebSocket {url}: {error}"));
    let mut request = url.as_str().into_client_request().map_err(|error| wrong(&error))?;
    if let Some(token) = &context.token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        request.headers_mut().insert(header::AUTHORIZATION, value.map_err(|error| wrong(&error))?);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let connecting = connect_async_with_config(request, Some(config), true);
    match timeout(SHORT_TIMEOUT, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(refused(&url, &error)),
        Err(_) => Err(Error::Unreachable {
            address: url,
            cause: "no answer in time".to_owned(),
            check: CHECK_PROXY.to_owned(),
        }),
    }
}

fn refused(url: &str, error: &tungstenite::Error) -> Error {
    let tungstenite::Error::Http(answer) = error else {
        return Error::Unreachable {
            address: url.to_owned(),
            cause: root_cause(error),
            check: CHECK_PROXY.to_owned(),
        };
    };
    let body = answer.body().clone().unwrap_or_default();
    let status = answer.status().as_u16();
    let answer = http::Answer { status, body: String::from_utf8_lossy(&body).into_owned() };
    answer.ok("WebSocket refused").err().unwrap_or_else(|| {
        Error::Failed(format!("{url} answers, but not as a WebSocket (status {status})"))
    })
}

/// Takes deliveries until Ctrl-C.
///
/// # Errors
///
/// Returns an error if the proxy ends it, or the sink fails.
pub(crate) async fn read(mut socket: Socket, sink: &mut Sink) -> Result<(), Error> {
    let mut pings = interval(PING_INTERVAL);
    pings.reset();
    let mut heard = Instant::now();
    let mut interrupted = std::pin::pin!(signals::interrupted());
    loop {
        tokio::select! {
            frame = socket.next() => {
                heard = Instant::now();
                match frame {
                    Some(Ok(Message::Text(text))) => take(sink, &text.into())?,
                    Some(Ok(Message::Binary(bytes))) => take(sink, &bytes)?,
                    Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    None => return Err(closed(None)),
                    Some(Err(error)) => {
                        let cause = root_cause(&error);
                        return Err(Error::Failed(format!("Connection closed by server: {cause}")));
                    }
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    let text = "Connection closed: the server does not answer any more";
                    return Err(Error::Failed(text.to_owned()));
                }
                // A connection that is gone shows when it is read.
                let _gone = socket.send(Message::Ping(Bytes::new())).await;
            }
            _ = &mut interrupted => {
                sink.status("Closing connection...")?;
                goodbye(socket).await;
                return Ok(());
            }
        }
    }
}

fn take(sink: &mut Sink, frame: &Bytes) -> Result<(), Error> {
    match api::lost_messages(frame) {
        Some(messages) => sink.lost(messages),
        None => sink.take(&Delivery::of_frame(frame.clone()))?,
    }
    Ok(())
}

fn closed(frame: Option<&CloseFrame>) -> Error {
    let reason = frame.map(|frame| frame.reason.as_str()).filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Error::Failed(format!("Connection closed by server{reason}"))
}

async fn goodbye(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let close = async {
        let _gone = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _late = timeout(CLOSE_MAX, close).await;
}
