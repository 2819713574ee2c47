//! A Redis of a test's own.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use access::{OnFailure, RedisConfig, Store};
use redis::aio::MultiplexedConnection;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns from a test, and says so, where there is no Redis; script/test.sh makes it a failure of
/// CI.
macro_rules! redis_or_skip {
    () => {
        match $crate::redis_server::RedisServer::start().await {
            Some(server) => server,
            None => {
                println!("skipped: redis-server is missing; apt-get install redis-server");
                return;
            }
        }
    };
}
pub(crate) use redis_or_skip;

pub(crate) struct RedisServer {
    port: u16,
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RedisServer {
    /// Starts one on a free port; none if it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a free port").port();
        let folder = tempfile::tempdir().expect("a folder");
        let process = match spawn(port, &folder) {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("redis-server: {error}"),
        };
        let server = Self { port, process, folder };
        server.connection().await;
        Some(server)
    }

    /// Ends it as a crash would; what it held is lost.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("ours");
        self.process.wait().expect("ended");
    }

    /// Starts it again, empty.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.folder).expect("it started before");
        self.connection().await;
    }

    /// Stops it without an end (`STOP`) or lets it go on (`CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    pub(crate) fn config(&self, on_failure: OnFailure) -> RedisConfig {
        RedisConfig { url: format!("redis://127.0.0.1:{}", self.port), on_failure }
    }

    /// The store of a proxy.
    pub(crate) fn store(&self, owner: &str, on_failure: OnFailure) -> Store {
        Store::shared(&self.config(on_failure), "c", owner.to_owned()).expect("a URL")
    }

    /// A connection of the test's own, once there is one.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.config(OnFailure::Open).url).expect("a URL");
        let connected = async {
            loop {
                if let Ok(connection) = client.get_multiplexed_async_connection().await {
                    return connection;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("redis-server listens")
    }
}

fn spawn(port: u16, folder: &tempfile::TempDir) -> io::Result<Child> {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
}

/// Calls until Redis answers the store again.
pub(crate) async fn until_it_is_back(store: &Store) {
    let answered = async {
        loop {
            // Whatever the answer is.
            drop(store.subscriptions("nobody").await);
            if store.counts().redis_is_there == Some(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it is asked again");
}
