//! The command line.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};

/// Simulates how a message spreads: protocols side by side, on the same links, beside the bound
/// that none can beat.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario: a file, or the name of a built-in one.
    Run(Run),
    /// Compare two scenarios, two results (JSON), or two protocols in one scenario.
    Compare(Compare),
    /// Run a scenario for each value of one of its keys.
    Sweep(Sweep),
    /// Run the lab's set-ups, and print what real GossipSub nodes were measured to do beside.
    Validate(Validate),
    /// Run the built-in scenarios: those up to 1 MiB, or all.
    Suite(Suite),
    /// List the built-in scenarios and the protocols.
    List,
}

/// What every command that runs something takes.
#[derive(Clone, Debug, Group)]
pub(crate) struct Common {
    /// Runs at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Seeds 1 to this many, in place of the scenario's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: Option<u64>,
    /// Protocols, in place of the scenario's.
    #[arg(long, value_delimiter = ',')]
    pub(crate) protocols: Option<Vec<String>>,
    /// Write the runs as a JSON array.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write plots (SVG) into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct Run {
    /// A scenario file, or the name of a built-in scenario.
    pub(crate) scenario: String,
    /// Set a key of the scenario: `--set topology.nodes=200`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Group)]
pub(crate) struct Compare {
    /// A scenario, a JSON file of results, or a protocol.
    pub(crate) a: String,
    /// Another of the same kind.
    pub(crate) b: String,
    /// The scenario that two protocols are compared in.
    #[arg(long, default_value = "size-1m")]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Group)]
pub(crate) struct Sweep {
    /// A scenario file, or the name of a built-in scenario.
    pub(crate) scenario: String,
    /// The key and its values: `topology.nodes=100,300,1000`.
    #[arg(value_name = "KEY=V1,V2,…")]
    pub(crate) values: String,
    /// Set another key of the scenario: `--set links.loss=0.01`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Group)]
pub(crate) struct Validate {
    /// Vac's scenario S2 beside its published figures, too (minutes).
    #[arg(long)]
    pub(crate) vac: bool,
    /// Runs at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Seeds 1 to this many.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Write the runs as a JSON array.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Group)]
pub(crate) struct Suite {
    /// Those above 1 MiB, above 1,000 nodes, and Vac's, too, and all nodes of those that else have
    /// fewer.
    #[arg(long)]
    pub(crate) full: bool,
    /// Only scenarios whose names begin with one of these.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}
