//! A Prometheus of the machine's own that scrapes the cluster.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tracing::warn;

use crate::{cluster::Cluster, last_lines, ports::LOOPBACK};

const PROGRAM: &str = "prometheus";

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
    /// Its configuration, its data and its log; removed at the end.
    _folder: TempDir,
}

impl Prometheus {
    /// Starts it at `port` (0 takes a free one) and waits until it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not installed or does not come up; with the end of its log.
    pub(crate) async fn start(port: u16, cluster: &Cluster) -> anyhow::Result<Self> {
        let address = free(port).context("a port for Prometheus")?;
        let folder = tempfile::tempdir().context("make a temporary folder for Prometheus")?;
        let (config, log) = (folder.path().join("prometheus.yml"), folder.path().join("log"));
        fs::write(&config, configuration(cluster)).context("write Prometheus' configuration")?;
        let stderr = File::create(&log).context("make Prometheus' log")?;
        let spawned = Command::new(PROGRAM)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C is for us; it is ended after what it scrapes.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = spawned.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return anyhow::anyhow!(
                    "{PROGRAM} is not installed: apt-get install prometheus, or start without \
                     --prometheus (prometheus=1)"
                );
            }
            anyhow::Error::new(error).context("prometheus does not start")
        })?;
        let mut started = Self { child, address, _folder: folder };
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = started.child.try_wait().context("watch Prometheus")? {
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
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            // It may have ended meanwhile.
            let _ended = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_WAIT, self.child.wait()).await.is_err() {
            warn!("prometheus took too long to end: killed");
        }
    }
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
