//! A Prometheus of the machine's own that scrapes the cluster.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tracing::warn;

use crate::{cluster::Cluster, last_lines, ports::LOOPBACK, scratch::Scratch};

const PROGRAM: &str = "prometheus";

/// How a shell says that there is no such program.
const NOT_FOUND: u8 = 127;

/// How long it may take until it listens.
const START_WAIT: Duration = Duration::from_secs(60);

/// How long it may take to end.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// How often it is asked whether it listens, which it does not tell.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A Prometheus that runs; killed when dropped.
#[derive(Debug)]
pub(crate) struct Prometheus {
    child: Child,
    address: SocketAddr,
    /// Its configuration, its data and its log.
    _folder: Scratch,
}

impl Prometheus {
    /// Starts it at `port` (0 takes a free one) and waits until it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not installed or does not come up; with the end of its log.
    pub(crate) async fn start(port: u16, cluster: &Cluster) -> anyhow::Result<Self> {
        let address = free(port).context("a port for Prometheus")?;
        let folder = Scratch::new().context("make a temporary folder for Prometheus")?;
        let (config, log) = (folder.path().join("prometheus.yml"), folder.path().join("log"));
        fs::write(&config, configuration(cluster)).context("write Prometheus' configuration")?;
        let stderr = File::create(&log).context("make Prometheus' log")?;
        let child = command(&config, folder.path(), address)?
            .stderr(stderr)
            .spawn()
            .context("start what becomes Prometheus")?;
        let mut started = Self { child, address, _folder: folder };
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = started.child.try_wait().context("watch Prometheus")? {
                if status.code() == Some(NOT_FOUND.into()) {
                    bail!(
                        "{PROGRAM} is not on the PATH: apt-get install prometheus, or start \
                         without --prometheus (prometheus=1)"
                    );
                }
                bail!("prometheus ended at once ({status}):\n{}", last_lines(&log));
            }
            if begin.elapsed() > START_WAIT {
                bail!("prometheus does not listen on {address}:\n{}", last_lines(&log));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(started)
    }

    /// Returns where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns when it ended by itself, with how.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("prometheus ended ({status})"),
            Err(error) => format!("prometheus cannot be watched: {error}"),
        }
    }

    /// Ends it in good order.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            // It may have ended meanwhile.
            let _ended = kill_process(id, Signal::TERM);
        }
        if tokio::time::timeout(STOP_WAIT, self.child.wait()).await.is_err() {
            warn!("prometheus took too long to end: killed");
        }
    }
}

/// Returns this program in its hidden task, which becomes Prometheus.
fn command(config: &Path, folder: &Path, address: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command
        .arg("become-prometheus")
        .arg(std::process::id().to_string())
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Ctrl-C is for us; it is ended after what it scrapes.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Becomes Prometheus, which the kernel ends when `parent` ends, however that ends. To ask for that
/// between fork and exec would need unsafe code; what was asked for outlives exec.
///
/// What ends a child is the end of the thread that started it: devnet's main one, which drives the
/// stack.
pub(crate) fn become_it(parent: u32, arguments: &[String]) -> ExitCode {
    let asked = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // Of a parent that ended before, nothing is told.
    let is_orphan = std::os::unix::process::parent_id() != parent;
    if asked.is_err() || is_orphan {
        return ExitCode::FAILURE;
    }
    let error = std::process::Command::new(PROGRAM).args(arguments).exec();
    if error.kind() == io::ErrorKind::NotFound {
        return NOT_FOUND.into();
    }
    // Its log: who started it shows the end of that.
    let _gone = writeln!(io::stderr(), "{PROGRAM}: {error}");
    ExitCode::FAILURE
}

fn free(port: u16) -> io::Result<SocketAddr> {
    TcpListener::bind(SocketAddr::new(LOOPBACK, port))?.local_addr()
}

/// Jobs and labels are those that the dashboards select by.
fn configuration(cluster: &Cluster) -> String {
    let nodes = cluster.members().iter().map(|member| member.running.api_address().to_string());
    let proxies = cluster.proxies().iter().map(|proxy| proxy.running.http_address().to_string());
    let mut text =
        "global:\n  scrape_interval: 2s\n  scrape_timeout: 2s\nscrape_configs:\n".to_owned();
    for (job, targets) in [("p2p-nodes", nodes.collect::<Vec<_>>()), ("proxies", proxies.collect())]
    {
        if targets.is_empty() {
            continue;
        }
        let (targets, mode) = (targets.join("', '"), cluster.mode().name());
        // Writing to a string does not fail.
        let _written = write!(
            text,
            "  - job_name: {job}\n    static_configs:\n      - targets: ['{targets}']\n        \
             labels: {{cluster_id: optimum_local, protocol_type: {mode}}}\n"
        );
    }
    text
}
