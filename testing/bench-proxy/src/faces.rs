//! The four ways to subscribe: WebSocket and gRPC at the proxy, WebSocket and TCP at NATS.

use anyhow::{Context as _, Result, bail};
use api::proxy::ProxyMessage;
use prost::Message as _;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    TOPIC,
    message::Form,
    server::{Server, System},
    tally::Tally,
    wire::{
        http1,
        http2::{self, Event},
        nats::{self, Line},
        websocket,
    },
};

/// Through what clients receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// WebSocket at both.
    WebSocket,
    /// gRPC at the proxy, TCP at NATS: what a program would use that is no browser.
    Stream,
}

impl Face {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Stream => "gRPC / TCP",
        }
    }
}

/// Reads what a server sends.
pub(crate) trait Decode {
    /// Counts the messages in the next bytes, and adds what the server is to be answered.
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally, answers: &mut Vec<u8>) -> Result<()>;
}

/// A subscriber's connection.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) decoder: Box<dyn Decode>,
    pub(crate) form: Form,
    /// Came with the answer to the handshake.
    pub(crate) begun: Vec<u8>,
}

/// Connects the subscriber of this number.
pub(crate) async fn connect(server: &Server, face: Face, number: usize) -> Result<Connected> {
    let connected = match (server.system, face) {
        (System::Proxy, Face::WebSocket) => proxy_websocket(server, number).await,
        (System::Proxy, Face::Stream) => proxy_grpc(server, number).await,
        (System::Nats, Face::WebSocket) => nats_websocket(server).await,
        (System::Nats, Face::Stream) => nats_tcp(server).await,
    };
    connected.with_context(|| format!("subscriber {number} does not get connected"))
}

fn client_id(number: usize) -> String {
    format!("c{number}")
}

/// Subscribes so many clients at the proxy; NATS is told on the connections.
pub(crate) async fn subscribe_all(server: &Server, count: usize) -> Result<()> {
    if server.system == System::Nats {
        return Ok(());
    }
    let mut connection = http1::Connection::open(server.web).await?;
    for number in 0..count {
        let body = format!(r#"{{"client_id":"{}","topic":"{TOPIC}"}}"#, client_id(number));
        let request = http1::post("/api/v1/subscribe", &body);
        connection.expect_success(&request).await.context("a subscription is refused")?;
    }
    Ok(())
}

async fn proxy_websocket(server: &Server, number: usize) -> Result<Connected> {
    let connection = http1::Connection::open(server.web).await?;
    let path = format!("/api/v1/ws?client_id={}", client_id(number));
    let (stream, begun) = connection.into_websocket(&path).await?;
    let decoder = Box::new(WebSocketMessages(websocket::Frames::new()));
    Ok(Connected { stream, decoder, form: Form::Json, begun })
}

async fn proxy_grpc(server: &Server, number: usize) -> Result<Connected> {
    let mut stream = TcpStream::connect(server.stream).await?;
    stream.set_nodelay(true)?;
    let hello = ProxyMessage {
        client_id: client_id(number),
        r#type: "subscribe".to_owned(),
        ..ProxyMessage::default()
    };
    let mut begin = http2::hello();
    let path = "/proto.ProxyStream/ClientStream";
    http2::write_call(1, path, &hello.encode_to_vec(), false, &mut begin);
    stream.write_all(&begin).await?;
    let decoder = Box::new(GrpcMessages(http2::Frames::new()));
    Ok(Connected { stream, decoder, form: Form::Json, begun: Vec::new() })
}

async fn nats_websocket(server: &Server) -> Result<Connected> {
    let connection = http1::Connection::open(server.web).await?;
    let (mut stream, begun) = connection.into_websocket("/").await?;
    let mut subscribe = Vec::new();
    websocket::write_binary(&nats::subscribe(), &mut subscribe);
    stream.write_all(&subscribe).await?;
    let frames = websocket::Frames::new();
    let decoder = Box::new(NatsWebSocket { frames, lines: nats::Lines::new() });
    Ok(Connected { stream, decoder, form: Form::Raw, begun })
}

async fn nats_tcp(server: &Server) -> Result<Connected> {
    let mut stream = TcpStream::connect(server.stream).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&nats::subscribe()).await?;
    let decoder = Box::new(nats::Lines::new());
    Ok(Connected { stream, decoder, form: Form::Raw, begun: Vec::new() })
}

/// Every frame is a message.
struct WebSocketMessages(websocket::Frames);

impl Decode for WebSocketMessages {
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally, answers: &mut Vec<u8>) -> Result<()> {
        // The proxy knew the subscription before the socket was opened.
        tally.is_ready = true;
        self.0.feed(bytes, answers, |part| {
            tally.take(part.head, part.body, part.is_first, part.is_last)
        })
    }
}

/// Every gRPC message is one.
pub(crate) struct GrpcMessages(pub(crate) http2::Frames);

impl Decode for GrpcMessages {
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally, answers: &mut Vec<u8>) -> Result<()> {
        self.0.feed(bytes, answers, |event| match event {
            Event::Headers => {
                tally.is_ready = true;
                Ok(())
            }
            Event::Message(part) => {
                tally.take(part.head.body_bytes, part.body, part.is_first, part.is_last)
            }
            Event::End => bail!("the server ended the stream"),
        })
    }
}

impl Decode for nats::Lines {
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally, answers: &mut Vec<u8>) -> Result<()> {
        self.feed(bytes, answers, |part| {
            match part.head {
                Line::Message(bytes) => {
                    // The line end after the payload is no part of it, and may come alone.
                    return tally.take(bytes, part.body, part.is_first, part.is_last);
                }
                Line::Pong => tally.is_ready = true,
                Line::Ping | Line::Done | Line::Info | Line::Error => {}
            }
            Ok(())
        })
    }
}

/// The bodies of the frames are one stream of lines.
struct NatsWebSocket {
    frames: websocket::Frames,
    lines: nats::Lines,
}

impl Decode for NatsWebSocket {
    fn feed(&mut self, bytes: &[u8], tally: &mut Tally, answers: &mut Vec<u8>) -> Result<()> {
        let Self { frames, lines } = self;
        let mut spoken = Vec::new();
        frames.feed(bytes, answers, |part| Decode::feed(lines, part.body, tally, &mut spoken))?;
        if !spoken.is_empty() {
            websocket::write_binary(&spoken, answers);
        }
        Ok(())
    }
}
