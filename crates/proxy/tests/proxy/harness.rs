//! A proxy, its nodes and its clients.

use std::{net::IpAddr, time::Duration};

use api::{
    Delivery,
    proxy::{
        ProxyMessage, proxy_stream_client::ProxyStreamClient,
        session_service_client::SessionServiceClient,
    },
};
use futures::{SinkExt as _, StreamExt as _};
use proxy::{Config, Running};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, protocol::CloseFrame},
};
use tonic::{Streaming, transport::Channel};

use crate::puppet::Puppet;

/// Generous: only something that hangs takes as long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Returns settings on loopback and free ports, before these nodes.
pub(crate) fn config(nodes: &[&Puppet]) -> Config {
    let mut config = Config::default();
    let loopback: IpAddr = [127, 0, 0, 1].into();
    for face in [&mut config.http, &mut config.grpc] {
        (face.ip, face.port) = (Some(loopback), 0);
    }
    config.nodes =
        nodes.iter().map(|node| node.address.to_string().parse().expect("an address")).collect();
    config.advertised.clone_from(&config.nodes);
    config
}

/// A proxy, and a client of its REST face.
pub(crate) struct Proxy {
    pub(crate) running: Running,
    http: reqwest::Client,
}

impl Proxy {
    /// Starts one and waits until its nodes are connected.
    pub(crate) async fn start(config: Config) -> Self {
        let nodes = config.nodes.len();
        let proxy = Self::start_alone(config).await;
        proxy.until_nodes(nodes).await;
        proxy
    }

    /// Starts one, whatever its nodes do.
    pub(crate) async fn start_alone(config: Config) -> Self {
        let running = proxy::start(config).await.expect("starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { running, http }
    }

    pub(crate) async fn until_nodes(&self, count: usize) {
        let value = format!("}} {count}.0");
        let says = |line: &str| line.starts_with("nodes_active_total{") && line.ends_with(&value);
        until("the nodes are connected", async || self.metrics().await.lines().any(says)).await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http_address())
    }

    /// Returns status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        answer(self.http.get(self.url(path))).await
    }

    /// Returns status and body.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
        answer(self.request(path).body(body)).await
    }

    pub(crate) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(self.url(path))
    }

    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.1
    }

    /// Returns the value of a metric with exactly these labels beside the cluster's.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = self.metrics().await;
        let line = page.lines().find(|line| line.starts_with(&format!("{name}{{")));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
    }

    pub(crate) async fn subscribe(&self, client: &str, topic: &str, threshold: f64) {
        let body = json!({ "client_id": client, "topic": topic, "threshold": threshold });
        let (status, body) = self.post("/api/v1/subscribe", body.to_string()).await;
        assert_eq!(status, 200, "{body}");
    }

    pub(crate) async fn publish(&self, client: &str, topic: &str, message: &str) -> (u16, Value) {
        let body = json!({ "client_id": client, "topic": topic, "message": message });
        let (status, body) = self.post("/api/v1/publish", body.to_string()).await;
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    pub(crate) async fn socket(&self, client: &str) -> Socket {
        let address = self.running.http_address();
        let url = format!("ws://{address}/api/v1/ws?client_id={client}");
        let (stream, _) = tokio_tungstenite::connect_async(url).await.expect("a WebSocket");
        Socket(stream)
    }

    pub(crate) async fn grpc(&self) -> ProxyStreamClient<Channel> {
        let url = format!("http://{}", self.running.grpc_address());
        ProxyStreamClient::connect(url).await.expect("connects")
    }

    pub(crate) async fn sessions(&self) -> SessionServiceClient<Channel> {
        let url = format!("http://{}", self.running.grpc_address());
        SessionServiceClient::connect(url).await.expect("connects")
    }

    /// Opens a stream of deliveries.
    pub(crate) async fn stream(&self, client: &str) -> GrpcStream {
        let (requests, sent) = tokio::sync::mpsc::channel(1);
        let first = ProxyMessage { client_id: client.to_owned(), ..ProxyMessage::default() };
        requests.send(first).await.expect("room");
        let stream = self.grpc().await.client_stream(ReceiverStream::new(sent)).await;
        GrpcStream { responses: stream.expect("a stream").into_inner(), _requests: requests }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// A WebSocket of a client.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Returns the next frame that is no ping.
    pub(crate) async fn frame(&mut self) -> Option<Message> {
        let frame = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(frame)) => return Some(frame),
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(LIMIT, frame).await.expect("a frame in time")
    }

    /// Returns the text of the next frame.
    pub(crate) async fn text(&mut self) -> String {
        match self.frame().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    pub(crate) async fn message(&mut self) -> Delivery {
        Delivery::from_json(self.text().await.as_bytes()).expect("a delivery")
    }

    /// Returns why the proxy closed it.
    pub(crate) async fn close(&mut self) -> CloseFrame {
        match self.frame().await {
            Some(Message::Close(Some(frame))) => frame,
            other => panic!("no close: {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("open");
    }

    /// Fails if a message came.
    pub(crate) async fn expect_nothing_before(&mut self, marker: &str) {
        assert_eq!(self.message().await.message, marker.to_owned(), "another came before");
    }
}

/// A stream of gRPC.
pub(crate) struct GrpcStream {
    pub(crate) responses: Streaming<ProxyMessage>,
    _requests: tokio::sync::mpsc::Sender<ProxyMessage>,
}

impl GrpcStream {
    pub(crate) async fn message(&mut self) -> ProxyMessage {
        let next = tokio::time::timeout(LIMIT, self.responses.message()).await;
        next.expect("in time").expect("no error").expect("open")
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
