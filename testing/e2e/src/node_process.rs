//! p2pnode as a process.
#![expect(clippy::print_stderr, reason = "what a failed test leaves for its reader")]

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{LIMIT, program};

/// How often something outside is asked whether it is so far.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A running node.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    folder: PathBuf,
    /// The sidecar's address.
    pub sidecar: SocketAddr,
    /// The HTTP API's address.
    pub api: SocketAddr,
    /// Its peer id.
    pub peer_id: String,
    /// Its multiaddress with its id, for others to find it.
    pub address: String,
    temporary: Option<TempDir>,
}

/// A node to be started.
#[derive(Debug)]
pub struct NodeCommand {
    variables: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

impl NodeCommand {
    /// On loopback, free ports, cluster `e2e`.
    pub fn new() -> Self {
        let fixed = [
            ("CLUSTER_ID", "e2e"),
            ("BIND_ADDRESS", "127.0.0.1"),
            ("SIDECAR_PORT", "0"),
            ("API_PORT", "0"),
            ("OPTIMUM_PORT", "0"),
            ("GOSSIPSUB_PORT", "0"),
            ("LOG_LEVEL", "info"),
        ];
        let variables = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: variables.into(), folder: None }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps identity and log in `folder`.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    fn spawn(&self, folder: &Path) -> Child {
        let log = File::create(folder.join("log")).expect("a log file");
        Command::new(program("p2pnode"))
            .env_clear()
            .env("IDENTITY_DIR", folder.join("identity"))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("p2pnode runs")
    }

    /// Starts the node and waits until it says that it did.
    pub async fn start(self) -> NodeProcess {
        let temporary =
            self.folder.is_none().then(|| tempfile::tempdir().expect("a temporary folder"));
        let given = self.folder.clone();
        let folder = temporary.as_ref().map(|folder| folder.path().to_owned()).or(given);
        let folder = folder.expect("one or the other");
        let child = self.spawn(&folder);
        let mut node = NodeProcess {
            child,
            folder,
            sidecar: SocketAddr::from(([127, 0, 0, 1], 0)),
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            peer_id: String::new(),
            address: String::new(),
            temporary,
        };
        let started = until("the node has started", || node.started()).await;
        let text = |key: &str| started[key].as_str().unwrap_or_default().to_owned();
        node.sidecar = text("sidecar").parse().expect("an address");
        node.api = text("api").parse().expect("an address");
        node.peer_id = text("peer");
        let state = node.http("/api/v1/node-state").await;
        let address = state["addresses"][0].as_str().expect("an address").to_owned();
        node.address = format!("{address}/p2p/{}", node.peer_id);
        node
    }

    /// Starts a node that is to refuse; returns its exit status and what it logged.
    pub async fn refuse(self) -> (ExitStatus, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = self.spawn(folder.path());
        let status =
            until("the node has refused to start", || child.try_wait().expect("a child of ours"))
                .await;
        (status, std::fs::read_to_string(folder.path().join("log")).expect("a log"))
    }
}

impl Default for NodeCommand {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeProcess {
    /// Returns the record that says the node has started, once it is there.
    fn started(&mut self) -> Option<Value> {
        if let Some(status) = self.child.try_wait().expect("a child of ours") {
            panic!("the node ended with {status}:\n{}", self.log());
        }
        let log = self.log();
        let mut records = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        records.find(|record: &Value| record["msg"] == "node started")
    }

    /// Returns the id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the node has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until the node has logged `text`.
    pub async fn until_logged(&self, text: &str) {
        until(&format!("{text:?} is logged"), || self.log().contains(text).then_some(())).await;
    }

    /// Returns the JSON answer of a page.
    pub async fn http(&self, path: &str) -> Value {
        let (status, body) = self.http_text(path).await;
        assert!(status.contains(" 200 "), "{path}: {status}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The same, none if the node closes the connection without an answer.
    pub async fn try_http(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.api).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// Returns status line and body of a page.
    pub async fn http_text(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.api).await.expect("the API answers");
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the API reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the API writes");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    /// Waits until the node is connected to `count` peers.
    pub async fn until_peers(&self, count: usize) {
        let begin = Instant::now();
        loop {
            let state = self.http("/api/v1/node-state").await;
            let peers = state["peers"].as_array().map_or(0, Vec::len);
            if peers == count {
                return;
            }
            let late = begin.elapsed() > LIMIT;
            assert!(!late, "{peers} peers, not {count}, after {LIMIT:?}:\n{}", self.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns a line of the `status` file in the process folder, in KiB: `VmRSS` or `VmHWM`.
    pub fn memory_kib(&self, name: &str) -> u64 {
        memory_kib(self.child.id(), name)
    }

    /// Sends SIGTERM and returns how the node ended and how long that took.
    pub async fn terminate(mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success());
        let status =
            until("the node has ended", || self.child.try_wait().expect("a child of ours")).await;
        (status, begin.elapsed())
    }

    /// Ends the node at once, without a chance to say goodbye; returns the folder it kept.
    pub fn kill(mut self) -> Option<TempDir> {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
        self.temporary.take()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            eprintln!("--- the last of node {}:\n{tail}", self.peer_id);
        }
    }
}

/// Returns a line of the `status` file of a process of ours, in KiB.
pub(crate) fn memory_kib(process: u32, name: &str) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Asks until there is an answer.
///
/// # Panics
///
/// Panics when there is none within [`LIMIT`].
pub async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Starts a cluster: node 1, then the others, which know only node 1; waits until everybody knows
/// everybody.
pub async fn cluster(count: usize, with: impl Fn(NodeCommand) -> NodeCommand) -> Vec<NodeProcess> {
    let first = with(NodeCommand::new()).start().await;
    let bootstrap = first.address.clone();
    let mut nodes = vec![first];
    for _ in 1..count {
        let command = with(NodeCommand::new()).with("BOOTSTRAP_PEERS", &bootstrap);
        nodes.push(command.start().await);
    }
    for node in &nodes {
        node.until_peers(count - 1).await;
    }
    nodes
}
