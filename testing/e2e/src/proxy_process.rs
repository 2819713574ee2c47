//! proxy as a process, and its clients.
#![expect(clippy::print_stderr, reason = "what a failed test leaves for its reader")]

use std::{
    fs::File,
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use api::{
    Delivery,
    proxy::{ProxyMessage, proxy_stream_client::ProxyStreamClient},
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};
use tonic::Streaming;

use crate::{
    LIMIT,
    node_process::{NodeProcess, memory_kib, until},
    program,
};

/// A proxy to be started, on loopback and free ports.
#[derive(Debug)]
pub struct ProxyCommand {
    variables: Vec<(String, String)>,
}

/// A running proxy.
#[derive(Debug)]
pub struct ProxyProcess {
    child: Child,
    folder: TempDir,
    /// Where REST and WebSocket are.
    pub http: SocketAddr,
    /// Where gRPC is.
    pub grpc: SocketAddr,
    client: reqwest::Client,
}

impl ProxyCommand {
    /// Before these nodes.
    pub fn new(nodes: &[NodeProcess]) -> Self {
        let nodes = nodes.iter().map(|node| node.sidecar.to_string()).collect::<Vec<_>>();
        let variables = [
            ("CLUSTER_ID", "e2e".to_owned()),
            ("PROXY_PORT", "127.0.0.1:0".to_owned()),
            ("PROXY_GRPC_PORT", "127.0.0.1:0".to_owned()),
            ("P2P_NODES", nodes.join(",")),
            ("LOG_LEVEL", "info".to_owned()),
        ];
        Self { variables: variables.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn spawn(&self, folder: &TempDir) -> Child {
        let log = File::create(folder.path().join("log")).expect("a log file");
        Command::new(program("proxy"))
            .env_clear()
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("proxy runs")
    }

    /// Starts the proxy and waits until it says that it did.
    pub async fn start(self) -> ProxyProcess {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = self.spawn(&folder);
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut proxy = ProxyProcess { child, folder, http: nobody, grpc: nobody, client };
        let started = until("the proxy has started", || proxy.started()).await;
        let address = |key: &str| started[key].as_str().unwrap_or_default().parse();
        proxy.http = address("http").expect("an address");
        proxy.grpc = address("grpc").expect("an address");
        proxy
    }

    /// Starts a proxy that is to refuse; returns its exit status and what it logged.
    pub async fn refuse(self) -> (ExitStatus, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = self.spawn(&folder);
        let ended = || child.try_wait().expect("a child of ours");
        let status = until("the proxy has refused to start", ended).await;
        (status, std::fs::read_to_string(folder.path().join("log")).expect("a log"))
    }
}

impl ProxyProcess {
    fn started(&mut self) -> Option<Value> {
        if let Some(status) = self.child.try_wait().expect("a child of ours") {
            panic!("the proxy ended with {status}:\n{}", self.log());
        }
        let log = self.log();
        let mut records = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        records.find(|record: &Value| record["msg"] == "proxy started")
    }

    /// Returns what the proxy has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Returns status and body of a page.
    pub async fn get(&self, path: &str) -> (u16, String) {
        answer(self.client.get(format!("http://{}{path}", self.http))).await
    }

    /// Posts JSON; returns status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.http));
        answer(request.body(body.to_string())).await
    }

    /// The same by a client that shows a token.
    pub async fn post_with_token(&self, path: &str, body: &Value, token: &str) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.http)).bearer_auth(token);
        answer(request.body(body.to_string())).await
    }

    /// Waits until so many nodes are connected.
    pub async fn until_nodes(&self, count: usize) {
        let value = format!("}} {count}.0");
        let says = |line: &str| line.starts_with("nodes_active_total{") && line.ends_with(&value);
        let begin = Instant::now();
        while !self.get("/metrics").await.1.lines().any(says) {
            assert!(begin.elapsed() < LIMIT, "not {count} nodes:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Subscribes a client.
    pub async fn subscribe(&self, client: &str, topic: &str, threshold: f64) {
        let body = json!({"client_id": client, "topic": topic, "threshold": threshold});
        let (status, answer) = self.post("/api/v1/subscribe", &body).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Publishes; returns status and body.
    pub async fn publish(&self, client: &str, topic: &str, message: &str) -> (u16, String) {
        let body = json!({"client_id": client, "topic": topic, "message": message});
        self.post("/api/v1/publish", &body).await
    }

    /// Opens a WebSocket.
    pub async fn socket(&self, client: &str) -> Socket {
        let url = format!("ws://{}/api/v1/ws?client_id={client}", self.http);
        Socket(tokio_tungstenite::connect_async(url).await.expect("a WebSocket").0)
    }

    /// Opens a stream of gRPC.
    pub async fn stream(&self, client: &str) -> GrpcStream {
        let grpc = ProxyStreamClient::connect(format!("http://{}", self.grpc)).await;
        let (requests, sent) = mpsc::channel(1);
        let first = ProxyMessage { client_id: client.to_owned(), ..ProxyMessage::default() };
        requests.send(first).await.expect("room");
        let stream = grpc.expect("connects").client_stream(ReceiverStream::new(sent)).await;
        GrpcStream { responses: stream.expect("a stream").into_inner(), _requests: requests }
    }

    /// Returns a line of the `status` file in the process folder, in KiB: `VmRSS` or `VmHWM`.
    pub fn memory_kib(&self, name: &str) -> u64 {
        memory_kib(self.child.id(), name)
    }

    /// Sends SIGTERM and returns how the proxy ended.
    pub async fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success());
        until("the proxy has ended", || self.child.try_wait().expect("a child of ours")).await
    }

    /// Ends the proxy at once, without a chance to say goodbye.
    pub fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            eprintln!("--- the last of the proxy at {}:\n{tail}", self.http);
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// A client's WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Returns the next message; none when the proxy is gone.
    pub async fn next(&mut self) -> Option<Delivery> {
        let next = async {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => {
                        return Some(Delivery::from_json(text.as_bytes()).expect("a delivery"));
                    }
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(LIMIT, next).await.expect("a message in time")
    }

    /// Returns the payload of the next message, as text.
    pub async fn text(&mut self) -> String {
        let message = self.next().await.expect("open").message;
        String::from_utf8(message.to_vec()).expect("text")
    }
}

/// A client's stream of gRPC.
#[derive(Debug)]
pub struct GrpcStream {
    responses: Streaming<ProxyMessage>,
    _requests: mpsc::Sender<ProxyMessage>,
}

impl GrpcStream {
    /// Returns the payload of the next message, as text.
    pub async fn text(&mut self) -> String {
        let next = tokio::time::timeout(LIMIT, self.responses.message()).await;
        let message = next.expect("in time").expect("no error").expect("open");
        let delivery = Delivery::from_json(&message.message).expect("a delivery");
        String::from_utf8(delivery.message.to_vec()).expect("text")
    }
}
