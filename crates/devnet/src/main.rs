//! A whole local cluster in one process and one command: nodes and proxies on the guide's ports, a first
//! message that is seen to arrive, then everything stays up until Ctrl-C.
#![forbid(unsafe_code)]

mod arguments;
mod cluster;
mod first_message;
mod report;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments::Arguments, cluster::Cluster, report::Report};

/// Fewer page faults on buffers of 1 to 10 MiB than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the mesh may take to stand, and the first message to arrive. Generous: both take a
/// fraction of a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "error".to_owned());
    service::log::init(&level, node::VERSION, node::COMMIT);
    let report = Report::new(arguments.quiet, arguments.json);
    match run(&arguments, report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Arguments, report: Report) -> anyhow::Result<()> {
    // Before anything else: a signal that comes during the start is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
    let mut cluster = Cluster::start(arguments).await?;
    let stopped = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        shown = show(&cluster, report) => match shown {
            Ok(()) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                Ok(())
            }
            Err(error) => Err(error),
        },
    };
    report.stopping();
    cluster.stop().await;
    stopped
}

/// Shows the cluster at work.
async fn show(cluster: &Cluster, report: Report) -> anyhow::Result<()> {
    report.addresses(cluster);
    let readers = first_message::listen(cluster).await?;
    let mesh = cluster.until_meshed(first_message::TOPIC, LIMIT).await?;
    report.meshed(mesh);
    let shown = first_message::publish(cluster, readers, LIMIT).await?;
    report.first_message(&shown);
    report.ready(cluster);
    Ok(())
}
