//! The servers that are measured, each a process of its own on a core of its own.

use std::{
    ffi::OsStr,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    sink::Sink,
    usage,
    wire::http1::{self, Connection},
};

/// The core of the server, and that of everything else.
const SERVER_CORE: &str = "0";
const OWN_CORE: &str = "1";

/// Within this a server is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);

/// How many lines of a server's log are shown when it ends.
const LOG_LINES: usize = 5;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    /// Ours, before a sidecar that is part of the benchmark.
    Proxy,
    /// nats-server.
    Nats,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Nats => "NATS",
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) proxy: PathBuf,
    pub(crate) nats: PathBuf,
}

impl Programs {
    /// Checks that what is needed is there.
    ///
    /// # Errors
    ///
    /// Says what to do about what is missing.
    pub(crate) fn check(&self, systems: &[System]) -> Result<()> {
        if systems.contains(&System::Proxy) {
            ensure!(
                self.proxy.is_file(),
                "{} is not there; cargo build --release builds it, --proxy names another",
                self.proxy.display()
            );
        }
        if systems.contains(&System::Nats) {
            self.nats_version()?;
        }
        Ok(())
    }

    /// Returns the version of nats-server.
    pub(crate) fn nats_version(&self) -> Result<String> {
        let output = Command::new(&self.nats).arg("--version").output().with_context(|| {
            format!("{} does not run; apt-get install nats-server", self.nats.display())
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Moves this process, and every thread that it starts later, to its core.
pub(crate) fn pin_self() -> Result<()> {
    let output = Command::new("taskset")
        .args(["-p", "-c", OWN_CORE, &std::process::id().to_string()])
        .output()
        .context("taskset does not run; apt-get install util-linux")?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "two cores are needed: {}", problem.trim());
    Ok(())
}

/// A running server; it is killed with this.
pub(crate) struct Server {
    pub(crate) system: System,
    /// HTTP and WebSocket.
    pub(crate) web: SocketAddr,
    /// gRPC at the proxy, TCP at NATS.
    pub(crate) stream: SocketAddr,
    /// The proxy's node.
    pub(crate) sink: Option<Sink>,
    child: Child,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(system: System, programs: &Programs) -> Result<Self> {
        let (web, stream) = (free_address()?, free_address()?);
        let folder = tempfile::tempdir()?;
        let (child, sink) = match system {
            System::Proxy => {
                let sink = Sink::start().await?;
                let mut command = pinned(&programs.proxy);
                command
                    .env("PROXY_PORT", web.to_string())
                    .env("PROXY_GRPC_PORT", stream.to_string())
                    .env("BIND_ADDRESS", "127.0.0.1")
                    .env("P2P_NODES", sink.address.to_string())
                    .env("CLUSTER_ID", "bench")
                    .env("LOG_LEVEL", "error");
                (spawn(command, folder.path())?, Some(sink))
            }
            System::Nats => {
                let settings = folder.path().join("nats.conf");
                std::fs::write(&settings, nats_settings(web, stream))?;
                let mut command = pinned(&programs.nats);
                command.arg("--config").arg(settings);
                (spawn(command, folder.path())?, None)
            }
        };
        let mut server = Self { system, web, stream, sink, child, folder };
        server.until_ready().await?;
        Ok(server)
    }

    async fn until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let problem = match self.is_ready().await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended, {status}: {}", self.system.name(), self.log());
            }
            if begin.elapsed() > READY_LIMIT {
                let log = self.log();
                let text = format!("{} does not get ready: {log}", self.system.name());
                return Err(problem.context(text));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    async fn is_ready(&self) -> Result<()> {
        TcpStream::connect(self.stream).await?;
        let mut connection = Connection::open(self.web).await?;
        if self.system == System::Proxy {
            connection.expect_success(&http1::get("/readyz")).await?;
        }
        Ok(())
    }

    /// Returns the number of the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Returns the CPU time that it has used.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        usage::cpu(self.process())
    }

    /// Returns the memory that it occupies.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        usage::resident_bytes(self.process())
    }

    /// Adds to what went wrong what the server says of it.
    pub(crate) fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow::anyhow!("{error:#} ({} logged: {})", self.system.name(), self.log())
    }

    /// Returns the last lines of its log.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join(" / ")
    }
}

/// A program on the server's core.
fn pinned(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(program);
    command
}

fn spawn(mut command: Command, folder: &Path) -> Result<Child> {
    let log = std::fs::File::create(folder.join("log"))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("taskset does not run; apt-get install util-linux")
}

/// Everything but the addresses is as it comes.
fn nats_settings(web: SocketAddr, stream: SocketAddr) -> String {
    format!(
        "host: 127.0.0.1\nport: {}\nwebsocket {{ host: 127.0.0.1, port: {}, no_tls: true }}\n",
        stream.port(),
        web.port()
    )
}

/// Returns an address that nobody listens at.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
