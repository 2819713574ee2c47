//! The daemon p2pnode: configured by environment variables, ended by SIGTERM or Ctrl-C.
#![forbid(unsafe_code)]

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Command;
use node::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Fewer page faults on buffers of 1 to 10 MiB than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command().get_matches();
    let config = Config::from_env();
    let level = config.as_ref().map_or("info", |config| &config.log_level);
    service::log::init(level, node::VERSION, node::COMMIT);
    raise_file_limit();
    match config.map_err(Into::into).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything else: a signal that comes during the start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
    let running = node::start(config).await?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = name, "stopping");
    running.shutdown().await;
    Ok(())
}

/// Every connection is a file. Many systems allow 1,024 unless a program asks for more.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit of open files stays as it is");
    }
}

fn command() -> Command {
    let width = node::variables().map(|(name, _, _)| name.len()).max().unwrap_or(0);
    let mut help = "Environment variables (default):\n".to_owned();
    for (name, default, meaning) in node::variables() {
        // Writing to a string does not fail.
        let default = default.trim_matches(['(', ')']);
        let _written = writeln!(help, "  {name:width$}  {meaning} ({default})");
    }
    Command::new("p2pnode")
        .about("One node of a coded-gossip cluster, configured by environment variables")
        .version(format!("{} ({})", node::VERSION, node::COMMIT))
        .after_help(help)
}
