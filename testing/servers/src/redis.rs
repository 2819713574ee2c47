//! A Redis of a test's own.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpStream;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Redis.
#[derive(Debug)]
pub struct RedisServer {
    url: String,
    port: u16,
    arguments: Vec<String>,
    process: Child,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RedisServer {
    /// Starts one on a free port; none if it is not installed.
    pub async fn start() -> Option<Self> {
        let port = free_port();
        let arguments = vec!["--port".to_owned(), port.to_string()];
        Self::start_with(format!("redis://127.0.0.1:{port}"), port, arguments).await
    }

    /// The same with TLS and nothing else.
    pub async fn start_with_tls(certificate: &str, key: &str) -> Option<Self> {
        let port = free_port();
        let text = port.to_string();
        let arguments = [
            ["--port", "0", "--tls-port", &text],
            ["--tls-cert-file", certificate, "--tls-key-file", key],
            ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"],
        ];
        let arguments = arguments.concat().into_iter().map(str::to_owned).collect();
        Self::start_with(format!("rediss://localhost:{port}"), port, arguments).await
    }

    async fn start_with(url: String, port: u16, arguments: Vec<String>) -> Option<Self> {
        let process = match spawn(&arguments) {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("redis-server: {error}"),
        };
        let server = Self { url, port, arguments, process };
        server.until_it_listens().await;
        Some(server)
    }

    /// Ends it as a crash would; what it held is lost.
    pub fn kill(&mut self) {
        self.process.kill().expect("ours");
        self.process.wait().expect("ended");
    }

    /// Starts it again, empty.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.arguments).expect("it started before");
        self.until_it_listens().await;
    }

    /// Stops it without an end (`STOP`) or lets it go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Returns its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn until_it_listens(&self) {
        let listens = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("redis-server listens");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn spawn(arguments: &[String]) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(arguments)
        // Nothing is written, wherever it is.
        .stdout(Stdio::null())
        .spawn()
}
