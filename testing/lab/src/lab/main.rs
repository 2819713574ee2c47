//! Real nodes over shaped links, protocol beside protocol: each node a process in its own network
//! namespace, the links shaped both ways, with emulated latency and without, and beside each figure
//! what the simulator predicts. Needs root.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints a table")]

mod arrivals;
mod cell;
mod coded;
mod counters;
mod delay;
mod delay_line;
mod kinds;
mod network;
mod node;
mod plain;
mod report;
mod scenario;
mod spread;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    kinds::Kind,
    network::{Links, Network},
    report::{Head, Row},
    scenario::{Load, Pace},
};

/// Above this rate of all links together two cores decide, and not the links.
const MBPS_MAX: u32 = 800;

/// Measures real nodes over shaped links, protocol beside protocol.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Role {
    /// Delays packets; started by the lab itself.
    #[command(hide = true)]
    Delay(delay::Delay),
}

#[derive(Args)]
struct Options {
    /// Numbers of nodes.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 32])]
    nodes: Vec<u32>,
    /// Rates of a node's link in Mbit/s, both ways: one for each number of nodes.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 20])]
    mbps: Vec<u32>,
    /// Latencies from node to node, one way.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 25])]
    latency_ms: Vec<u32>,
    /// Bytes of a message.
    #[arg(long, value_delimiter = ',', default_values_t = [65_536, 1_048_576, 4_194_304])]
    sizes: Vec<usize>,
    /// What the nodes run, by turns.
    #[arg(long, value_delimiter = ',', default_values = ["adaptive", "documented", "gossipsub", "gossipsub-best"])]
    kinds: Vec<Kind>,
    /// Messages of a run, each from another node.
    #[arg(long, default_value_t = 5)]
    messages: usize,
    /// From one message to the next; 0 waits until the one before is everywhere.
    #[arg(long, default_value_t = 1500)]
    interval_ms: u64,
    /// Decides who dials whom and who publishes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// TCP congestion control.
    #[arg(long, default_value = "cubic")]
    congestion: String,
    /// Without the simulator's predictions.
    #[arg(long)]
    without_predictions: bool,
    /// One quick run to see that it works: 8 nodes at 50 Mbit/s, 1 MiB.
    #[arg(long, conflicts_with_all = ["nodes", "mbps", "sizes"])]
    quick: bool,
    /// A folder for what explains each run: the time of each message to each node in ms, a line a
    /// message, and of each p2pnode its log and counters.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// A file whose section between `<!-- lab -->` marks is replaced by the results.
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Options {
    /// Returns the links of all runs.
    fn links(&self) -> Result<Vec<Links>> {
        let (nodes, mbps) =
            if self.quick { (vec![8], vec![50]) } else { (self.nodes.clone(), self.mbps.clone()) };
        ensure!(
            nodes.len() == mbps.len(),
            "--nodes has {} numbers and --mbps {}: one rate for each number of nodes is expected",
            nodes.len(),
            mbps.len()
        );
        ensure!(
            nodes.iter().all(|nodes| (2..=128).contains(nodes)),
            "--nodes: 2 to 128 nodes are possible"
        );
        ensure!(mbps.iter().all(|&mbps| mbps > 0), "--mbps: more than 0 is needed");
        let fewest = nodes.iter().min().copied().unwrap_or_default() as usize;
        ensure!(
            (1..=fewest).contains(&self.messages),
            "--messages: 1 to {fewest}, since each is from another node"
        );
        ensure!(self.sizes.iter().all(|&size| size > 0), "--sizes: at least 1 byte is needed");
        let pairs = nodes.iter().zip(&mbps);
        let links = pairs.flat_map(|(&nodes, &mbps)| {
            let latencies = self.latency_ms.iter();
            latencies.map(move |&latency_ms| Links { nodes: nodes as usize, mbps, latency_ms })
        });
        Ok(links.collect())
    }

    fn pace(&self) -> Pace {
        match self.interval_ms {
            0 => Pace::Apart,
            interval => Pace::Every(Duration::from_millis(interval)),
        }
    }
}

/// Returns a program of the workspace, which is beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name(name);
    ensure!(program.exists(), "{} is not built; run this by make lab", program.display());
    Ok(program)
}

fn main() -> Result<ExitCode> {
    let command = Command::parse();
    if let Some(Role::Delay(options)) = command.role {
        delay::carry(&options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let links = command.options.links()?;
    lab::namespace::check()?;
    for name in ["p2pnode", "lab-gossipsub"] {
        program(name)?;
    }
    if let Some(path) = &command.options.write {
        ::report::check_section(path, "lab")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let (mut interrupted, mut terminated) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            done = bench(&command.options, &links) => done.map(|()| ExitCode::SUCCESS),
            _ = interrupted.recv() => Ok(ExitCode::from(130)),
            _ = terminated.recv() => Ok(ExitCode::from(143)),
        }
    });
    // A prediction that runs is not waited for.
    runtime.shutdown_background();
    done
}

async fn bench(options: &Options, links: &[Links]) -> Result<()> {
    let mut rows = Vec::new();
    for &links in links {
        if links.nodes as u32 * links.mbps > MBPS_MAX {
            eprintln!("more than {MBPS_MAX} Mbit/s in all: two cores may be what limits");
        }
        let network = Network::make(links, &options.congestion)?;
        let sizes = if options.quick { &[1 << 20][..] } else { &options.sizes };
        for &bytes in sizes {
            let load = Load { links, bytes, messages: options.messages, pace: options.pace() };
            for &kind in &options.kinds {
                rows.push(row(&network, load, kind, options).await?);
            }
        }
    }
    if !options.without_predictions {
        // Not beside the nodes, whose cores it would take.
        for row in &mut rows {
            let (load, kind) = (row.load, row.kind);
            let prediction = tokio::task::spawn_blocking(move || load.predict(kind)).await?;
            row.prediction = Some(prediction?);
        }
    }
    let head = Head {
        congestion: &options.congestion,
        messages: options.messages,
        pace: options.pace(),
        seed: options.seed,
    };
    let text = report::text(&head, &rows);
    println!("{text}");
    if let Some(path) = &options.write {
        ::report::write_section(path, "lab", &text)?;
    }
    Ok(())
}

async fn row(network: &Network, load: Load, kind: Kind, options: &Options) -> Result<Row> {
    let Links { nodes, mbps, latency_ms } = load.links;
    let name = kind.name();
    let begin = Instant::now();
    eprint!("{nodes} × {mbps} Mbit/s, {latency_ms} ms, {} KiB, {name}: ", load.bytes >> 10);
    let folder =
        |keep: &PathBuf| keep.join(format!("{nodes}-{mbps}-{latency_ms}-{}-{kind:?}", load.bytes));
    let keep = options.keep.as_ref().map(folder);
    let measured = cell::measure(network, load, kind, options.seed, keep.as_deref()).await;
    let measured = measured.with_context(|| format!("{nodes} nodes of {name}"))?;
    let over = |time: Option<Duration>| {
        time.map_or(f64::INFINITY, |time| time.as_secs_f64() / load.unit().as_secs_f64())
    };
    eprintln!(
        "p50 {:.1}×, p99 {:.1}×, rx/S {:.2}, CPU {:.3} s/MiB, {} missing; {:.0} connections, {} \
         dropped, cores: nodes {:.2}, delay {:.2}, others {:.2}, saturated {:.0} %; {:.1} % sent \
         again; {:.0} s",
        over(measured.spread.p50),
        over(measured.spread.p99),
        measured.used.received,
        measured.used.cpu_s_per_mib,
        measured.spread.missing,
        measured.connections,
        measured.dropped,
        measured.used.node_cores,
        measured.used.delay_cores,
        measured.used.other_cores,
        measured.saturated * 100.0,
        measured.used.segments_again * 100.0,
        begin.elapsed().as_secs_f64(),
    );
    Ok(Row { load, kind, measured, prediction: None })
}
