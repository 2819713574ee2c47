//! A whole local cluster in one process and one command: nodes and proxies on the guide's ports, a first
//! message that is seen to arrive, then everything stays up until Ctrl-C, with a live view on the
//! terminal and a live page in the browser.
#![forbid(unsafe_code)]

mod arguments;
mod cluster;
mod detached;
mod first_message;
mod observe;
mod page;
mod picture;
mod ports;
mod problems;
mod prometheus;
mod report;
mod scratch;
mod view;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    arguments::{Arguments, Task},
    cluster::Cluster,
    detached::{Files, Lock},
    observe::{Observers, TOPIC, Watched},
    page::Page,
    ports::Ports,
    problems::{Lines, Problems},
    prometheus::Prometheus,
    report::{Places, Report},
};

/// Fewer page faults on buffers of 1 to 10 MiB than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long nothing may get better while the mesh begins to stand or the first message spreads.
/// Generous: few nodes take a fraction of a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Lines of a log that are shown with an error.
const LAST_LINES: usize = 10;

/// Bytes of a log that are looked at for these.
const LAST_BYTES: u64 = 64 << 10;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_live = shows_live(&arguments);
    let report = Report { quiet: arguments.quiet, json: arguments.json, brief: is_live };
    let done = match &arguments.task {
        Some(Task::Down { state }) => {
            scratch::remove_left();
            detached::down(&Files::of(state)).map(|told| report.line(&told))
        }
        Some(Task::BecomePrometheus { parent, arguments }) => {
            return prometheus::become_it(*parent, arguments);
        }
        None if arguments.detach => {
            detached::start(&Files::of(&arguments.state), std::env::args_os().skip(1))
        }
        None => stay(&arguments, report, is_live),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Who asks for logs gets them, and no view that they would run through.
fn shows_live(arguments: &Arguments) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let is_plain = arguments.quiet || arguments.json || std::env::var_os("LOG_LEVEL").is_some();
    !is_plain && !is_dumb && io::stdout().is_terminal()
}

/// Runs the cluster in this process.
fn stay(arguments: &Arguments, report: Report, is_live: bool) -> anyhow::Result<()> {
    scratch::remove_left();
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "error".to_owned());
    let problems = Arc::new(Problems::default());
    let beside = Lines(Arc::clone(&problems));
    service::log::init_beside(&level, node::VERSION, node::COMMIT, !is_live, beside);
    let lock = arguments.attached_to.as_deref().map(Files::of).map(Lock::take).transpose()?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let done =
        runtime.block_on(run(&Start { arguments, report, is_live, problems: &problems }, lock));
    // Whoever asked twice does not wait for what still runs.
    runtime.shutdown_background();
    if done.is_err() && is_live {
        problems.newest().iter().for_each(|line| report.line(line));
    }
    done
}

/// How a stack is started, and where it tells of itself.
#[derive(Clone, Copy, Debug)]
struct Start<'a> {
    arguments: &'a Arguments,
    report: Report,
    /// Whether the live view follows.
    is_live: bool,
    problems: &'a Arc<Problems>,
}

async fn run(start: &Start<'_>, lock: Option<Lock>) -> anyhow::Result<()> {
    // Before anything else: a signal that comes during the start is not lost.
    let mut signals = Signals::watch()?;
    let mut stack = Stack::default();
    let ran = tokio::select! {
        () = signals.next() => Ok(()),
        ran = stack.run(start, lock) => ran,
    };
    if stack.cluster.is_some() {
        start.report.stopping();
    }
    tokio::select! {
        () = stack.stop() => ran,
        () = signals.next() => Err(ran.err().unwrap_or_else(|| {
            anyhow::anyhow!("told to end again before everything had ended: killed")
        })),
    }
}

/// What a program is told to end by.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("watch for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("watch for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("watch for SIGHUP")?,
        })
    }

    /// Returns when the next one comes.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Everything that runs.
#[derive(Debug, Default)]
struct Stack {
    cluster: Option<Cluster>,
    observers: Option<Observers>,
    page: Option<Page>,
    prometheus: Option<Prometheus>,
    /// Held to the end.
    lock: Option<Lock>,
}

impl Stack {
    /// Starts everything, shows it at work, and stays. Returns only with an error.
    async fn run(&mut self, start: &Start<'_>, lock: Option<Lock>) -> anyhow::Result<()> {
        let Start { arguments, report, is_live, problems } = *start;
        self.lock = lock;
        let ports = Ports::of(arguments)?;
        ports.check_free()?;
        let cluster = self.cluster.insert(Cluster::start(arguments, &ports).await?);
        report.addresses(cluster);
        let watched = Arc::<Watched>::default();
        self.observers = Some(Observers::of(cluster, &watched).await?);
        if let Some(port) = ports.page {
            let page = Page::serve(port, cluster, Arc::clone(&watched), Arc::clone(problems))?;
            self.page = Some(page);
        }
        if let Some(port) = ports.prometheus {
            self.prometheus = Some(Prometheus::start(port, cluster).await?);
        }
        report.meshed(cluster::until_meshed(&cluster.handles(), TOPIC, LIMIT).await?);
        report.first_message(&first_message::publish(cluster, &watched, LIMIT).await?);
        let places = Places {
            page: self.page.as_ref().map(Page::url),
            prometheus: self.prometheus.as_ref().map(Prometheus::url),
        };
        report.ready(cluster, &places);
        report.stays(self.lock.is_some());
        self.lock.as_mut().map_or(Ok(()), Lock::ready)?;
        let live = async {
            if is_live {
                view::show(watched, Arc::clone(problems)).await;
            }
            std::future::pending::<()>().await;
        };
        let prometheus = async {
            if let Some(prometheus) = &mut self.prometheus {
                tracing::error!("{}", prometheus.ended().await);
            }
            std::future::pending::<()>().await;
        };
        tokio::join!(live, prometheus);
        Ok(())
    }

    /// Ends whoever looks at the cluster, then the cluster.
    async fn stop(&mut self) {
        if let Some(prometheus) = self.prometheus.take() {
            prometheus.stop().await;
        }
        if let Some(page) = self.page.take() {
            page.stop().await;
        }
        self.observers = None;
        if let Some(cluster) = &mut self.cluster {
            cluster.stop().await;
        }
        self.lock = None;
    }
}

/// Returns the end of a log, for an error.
fn last_lines(log: &Path) -> String {
    let text = end_of(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn end_of(log: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let begin = file.metadata()?.len().saturating_sub(LAST_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(LAST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_log_is_read_however_long_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        std::fs::write(&log, "x".repeat(1 << 20) + "\none\ntwo").expect("written");
        let shown = last_lines(&log);
        assert!(shown.ends_with("x\none\ntwo") && shown.len() as u64 <= LAST_BYTES);
        assert_eq!(last_lines(&folder.path().join("none")), "");
    }
}
