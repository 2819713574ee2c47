//! Four p2pnode processes on this machine: what they deliver in a second, and what that costs, in
//! mode optimum in each profile and in mode gossipsub by turns.
//!
//! One node publishes, three receive, all through their sidecars. A bounded number of messages is
//! under way at once (a new one is published when an old one is everywhere), so that what is
//! measured is what the nodes sustain and nothing is lost for want of room.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints a table")]

mod devnet;
mod load;
mod profile;
mod report;
mod usage;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use e2e::node_process::{NodeCommand, cluster};

use crate::{load::Figures, report::Row};

/// Measures what four nodes on this machine deliver, mode against mode.
#[derive(Parser)]
struct Options {
    /// Seconds measured in each round.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Rounds of each cell; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of a message.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_240, 1_048_576])]
    sizes: Vec<usize>,
    /// Modes, by turns; the first two are mode optimum in that profile.
    #[arg(long, value_delimiter = ',', default_values = ["adaptive", "documented", "gossipsub"])]
    modes: Vec<Mode>,
    /// Also record where the CPU goes (needs perf).
    #[arg(long)]
    profile: bool,
    /// A file whose section between `<!-- bench-node -->` marks is replaced by the results.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Mode optimum, profile `adaptive`.
    Adaptive,
    /// Mode optimum, profile `documented`.
    Documented,
    /// Mode gossipsub.
    Gossipsub,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "optimum, adaptive",
            Self::Documented => "optimum, documented",
            Self::Gossipsub => "gossipsub",
        }
    }

    /// A node in this mode that sends no traces.
    fn node(self, command: NodeCommand) -> NodeCommand {
        let command = match self {
            Self::Adaptive => command.with("OPTIMUM_PROFILE", "adaptive"),
            Self::Documented => command.with("OPTIMUM_PROFILE", "documented"),
            Self::Gossipsub => command.with("NODE_MODE", "gossipsub").with("GOSSIPSUB_PORT", "0"),
        };
        command.with("OPTIMUM_TRACE", "none")
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut idle = Vec::new();
    for &mode in &options.modes {
        eprintln!("{}, idle …", mode.name());
        idle.push((mode, idle_usage(mode).await?));
    }
    let mut rows: Vec<Row> = Vec::new();
    for &bytes in &options.sizes {
        let mut cells = vec![Vec::new(); options.modes.len()];
        for round in 1..=options.rounds {
            for (cell, &mode) in cells.iter_mut().zip(&options.modes) {
                eprintln!("{bytes} B, {}, round {round} …", mode.name());
                cell.push(measure(&options, mode, bytes).await?);
            }
        }
        for (figures, &mode) in cells.into_iter().zip(&options.modes) {
            rows.push(Row { mode, bytes, figures: Figures::median(&figures) });
        }
    }
    eprintln!("{} nodes in one process …", devnet::NODES);
    let mesh = devnet::mesh_times()?;
    let mut text = report::text(&options, &idle, mesh, &rows);
    if options.profile {
        for &mode in &options.modes {
            text.push_str(&profile::of(&options, mode).await?);
        }
    }
    println!("{text}");
    if let Some(path) = &options.write {
        ::report::write_section(path, "bench-node", &text)?;
    }
    Ok(())
}

/// What one node costs that nobody asks for anything.
async fn idle_usage(mode: Mode) -> Result<usage::Usage> {
    let node = mode.node(NodeCommand::new()).start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = usage::Usage::of(&node)?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    Ok(usage::Usage::of(&node)?.since(begin))
}

async fn measure(options: &Options, mode: Mode, bytes: usize) -> Result<Figures> {
    let nodes = cluster(4, |command| mode.node(command)).await;
    let mut load = load::Load::start(&nodes, bytes).await?;
    load.run(&nodes, Duration::from_secs_f64(options.seconds)).await
}
