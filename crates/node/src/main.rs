//! The daemon p2pnode: configured by environment variables, ended by SIGTERM or Ctrl-C.
#![forbid(unsafe_code)]

mod commands;

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::{Arg, ArgAction, Command};
use node::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};

/// Fewer page faults on buffers of 1 to 10 MiB than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fewer open files than this, and peers and clients soon find no room.
const FILES_MIN: u64 = 4096;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let config = Config::from_env();
    if matches.get_flag("check") {
        return commands::check(config);
    }
    if matches.subcommand_matches("healthcheck").is_some() {
        return commands::health(config);
    }
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
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < FILES_MIN => warn!(
            limit,
            "few files may be open, and every connection is one: raise the hard limit (ulimit -n, LimitNOFILE) to {FILES_MIN} or more"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
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
    let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
    let health = Command::new("healthcheck");
    Command::new("p2pnode")
        .about("One node of a coded-gossip cluster, configured by environment variables")
        .version(format!("{} ({})", node::VERSION, node::COMMIT))
        .arg(check.help("Print the settings that would be used, or what is wrong with them"))
        .subcommand(health.about("Ask the node of API_PORT on this machine how it is"))
        .after_help(help)
}
