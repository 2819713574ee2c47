//! Frame delay and goodput of the real behaviour and state over a shaped link, with windows and
//! without. Needs root: it makes two network namespaces joined by a veth pair of 50 Mbit/s, and
//! takes them away again.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints a table")]

mod measure;
mod namespaces;
mod peer;
mod report;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    measure::{Figures, Setting, delays},
    namespaces::Namespaces,
    report::Row,
};

/// Measures frame delay and goodput over a shaped link.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// Rate of the link in Mbit/s, both ways.
    #[arg(long, default_value_t = 50)]
    rate_mbit: u32,
    /// Latency added each way, in milliseconds; more than 0 needs netem in the kernel.
    #[arg(long, value_delimiter = ',', default_values_t = [0])]
    latency_ms: Vec<u32>,
    /// Seconds measured in each run, after three to settle.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Numbers of peers behind the link.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    peers: Vec<u16>,
    /// What the frames travel over.
    #[arg(long, value_delimiter = ',', default_values = ["tcp", "quic"])]
    transport: Vec<Transport>,
    /// TCP congestion control on both ends.
    #[arg(long, default_value = "cubic")]
    congestion: String,
    /// A file whose section between `<!-- bench-link -->` marks is replaced by the results.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What frames travel over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Tcp,
    Quic,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }
}

#[derive(Subcommand)]
enum Role {
    /// One end of the link; started by the benchmark itself.
    #[command(hide = true)]
    Receive(peer::Receive),
    /// The other end.
    #[command(hide = true)]
    Send(peer::Send),
}

fn main() -> Result<()> {
    let command = Command::parse();
    match command.role {
        Some(Role::Receive(options)) => peer::receive(&options),
        Some(Role::Send(options)) => peer::send(&options),
        None => bench(&command.options),
    }
}

fn bench(options: &Options) -> Result<()> {
    let mut rows = Vec::new();
    for &latency_ms in &options.latency_ms {
        let namespaces = Namespaces::make(options.rate_mbit, latency_ms, &options.congestion)
            .context("network namespaces could not be made (root and iproute2 are needed)")?;
        for &transport in &options.transport {
            for &peers in &options.peers {
                eprintln!("{}, {latency_ms} ms added latency, {peers} peers …", transport.name());
                let setting = Setting { transport, peers, windows: true };
                let with = run(options, &namespaces, setting)?;
                let without = run(options, &namespaces, Setting { windows: false, ..setting })?;
                rows.push(Row { latency_ms, transport, peers, with, without });
            }
        }
    }
    let text = report::text(options, &rows);
    println!("{text}");
    if let Some(path) = &options.write {
        ::report::write_section(path, "bench-link", &text)?;
    }
    Ok(())
}

fn run(options: &Options, namespaces: &Namespaces, setting: Setting) -> Result<Figures> {
    let folder = std::env::temp_dir().join(format!("bench-link-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let seconds = Duration::from_secs(options.seconds);
    let figures = measure::run(namespaces, &folder, setting, seconds)
        .and_then(|(sent, taken)| delays(&sent, &taken, seconds));
    std::fs::remove_dir_all(&folder)?;
    figures
}
