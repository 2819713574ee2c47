//! The proxy beside NATS, on one machine and in one run: what each delivers, how late, and what it
//! costs.
//!
//! The server has core 0 for itself; everything else, which is this process, has core 1: the
//! subscribers, the publisher, and the node that the proxy stands before (a sidecar that takes,
//! answers and delivers, and gossips with nobody). The two servers are measured by turns, each time
//! as a new process, and a row fails when a message is lost or a connection is.
#![forbid(unsafe_code)]

mod comparison;
mod crowd;
mod faces;
mod fan_out;
mod idle;
mod low_rate;
mod message;
mod profile;
mod publisher;
mod publishing;
mod server;
mod sink;
mod statistics;
mod tally;
mod usage;
mod wire;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use tokio::task::LocalSet;

use crate::{
    comparison::Effort,
    faces::Face,
    fan_out::{Load, Times},
    low_rate::Trickle,
    server::{Programs, System},
};

/// What everything is published on.
const TOPIC: &str = "bench";

/// What a server is measured with, over each face.
const FAN_OUT: [(usize, usize); 6] =
    [(1, 100), (1, 10_240), (100, 100), (100, 10_240), (1000, 100), (1000, 10_240)];

const LOW_RATE: [Trickle; 2] = [
    Trickle { subscribers: 1000, bytes: 100, per_second: 100 },
    Trickle { subscribers: 100, bytes: 10_240, per_second: 100 },
];

/// Files that a process may have open beside the sockets of its clients.
const OTHER_FILES: u64 = 512;

/// Measures the proxy beside NATS.
#[derive(Parser)]
struct Options {
    /// The proxy.
    #[arg(long, default_value = "target/release/proxy")]
    proxy: PathBuf,
    /// The NATS server (Debian: apt-get install nats-server).
    #[arg(long, default_value = "nats-server")]
    nats: PathBuf,
    /// Measure only this; may be repeated.
    #[arg(long)]
    only: Vec<Measurement>,
    /// Which servers.
    #[arg(long, value_delimiter = ',', default_values = ["proxy", "nats"])]
    systems: Vec<System>,
    /// Repeats of each row; the median counts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Idle WebSocket clients.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Once, short, and with fewer idle clients: to see whether it works.
    #[arg(long)]
    quick: bool,
    /// Also record where the proxy's core goes (needs perf).
    #[arg(long)]
    profile: bool,
    /// A file whose section between `<!-- bench-proxy -->` marks is replaced by the results.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Deliveries a second at saturation.
    FanOut,
    /// Delay and CPU at a low rate.
    LowRate,
    /// Messages published a second.
    Publish,
    /// Memory of idle clients.
    Idle,
}

/// In the order of the report.
const EVERY: [Measurement; 4] =
    [Measurement::FanOut, Measurement::LowRate, Measurement::Publish, Measurement::Idle];

fn main() -> Result<()> {
    let options = Options::parse();
    // Asked while all cores may be used.
    let machine = report::machine();
    server::pin_self()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(options, machine))
}

#[expect(clippy::print_stdout, reason = "a command that prints tables")]
async fn run(options: Options, machine: String) -> Result<()> {
    let programs = Programs { proxy: options.proxy.clone(), nats: options.nats.clone() };
    programs.check(&options.systems)?;
    let pace = Pace::of(&options);
    let effort = Effort { systems: &options.systems, repeats: pace.repeats };
    let most = FAN_OUT.iter().map(|(subscribers, _)| *subscribers).chain([pace.idle]).max();
    // The servers inherit it.
    raise_open_files(most.unwrap_or_default() as u64 + OTHER_FILES)?;
    let mut text = head(&options, &programs, &machine)?;
    let mut failures = Vec::new();
    let is_wanted =
        |measurement: &Measurement| options.only.is_empty() || options.only.contains(measurement);
    for measurement in EVERY.into_iter().filter(is_wanted) {
        let (table, failed) = measure(measurement, effort, &programs, pace).await;
        text.push('\n');
        text.push_str(&table);
        failures.extend(failed);
    }
    for measurement in EVERY.into_iter().filter(|each| options.profile && is_wanted(each)) {
        match profiles(measurement, &programs, pace).await {
            Ok(profiles) => text.push_str(&profiles),
            Err(problem) => failures.push(format!("profile: {problem:#}")),
        }
    }
    if !failures.is_empty() {
        text.push_str("\nFailed:\n\n");
        text.extend(failures.iter().map(|failure| format!("* {failure}\n")));
    }
    println!("{text}");
    if let Some(path) = &options.write {
        report::write_section(path, "bench-proxy", &text)?;
    }
    ensure!(failures.is_empty(), "{} measurements failed", failures.len());
    Ok(())
}

/// How long everything takes.
#[derive(Clone, Copy)]
struct Pace {
    repeats: usize,
    settle: Duration,
    saturated: Duration,
    trickled: Duration,
    published: Duration,
    idle: usize,
}

impl Pace {
    fn of(options: &Options) -> Self {
        let seconds = Duration::from_secs_f64;
        if options.quick {
            return Self {
                repeats: 1,
                settle: seconds(0.3),
                saturated: seconds(0.5),
                trickled: seconds(1.0),
                published: seconds(0.5),
                idle: options.idle.min(1000),
            };
        }
        Self {
            repeats: options.repeats,
            settle: seconds(1.0),
            saturated: seconds(2.0),
            trickled: seconds(5.0),
            published: seconds(3.0),
            idle: options.idle,
        }
    }

    fn saturation(self) -> Times {
        Times { settle: self.settle, measure: self.saturated }
    }
}

async fn measure(
    measurement: Measurement,
    effort: Effort<'_>,
    programs: &Programs,
    pace: Pace,
) -> (String, Vec<String>) {
    match measurement {
        Measurement::FanOut => {
            let loads = [Face::WebSocket, Face::Stream].into_iter().flat_map(|face| {
                FAN_OUT.map(|(subscribers, bytes)| Load { face, subscribers, bytes })
            });
            let loads: Vec<Load> = loads.collect();
            fan_out::measure(effort, programs, &loads, pace.saturation()).await
        }
        Measurement::LowRate => {
            low_rate::measure(effort, programs, &LOW_RATE, pace.settle, pace.trickled).await
        }
        Measurement::Publish => {
            publishing::measure(effort, programs, pace.settle, pace.published).await
        }
        Measurement::Idle => {
            // Memory hardly differs between repeats, and each connects thousands of clients.
            let effort = Effort { repeats: effort.repeats.min(3), ..effort };
            idle::measure(effort, programs, pace.idle).await
        }
    }
}

/// Returns where the proxy's core goes, for each kind of load once.
async fn profiles(measurement: Measurement, programs: &Programs, pace: Pace) -> Result<String> {
    let mut text = String::new();
    match measurement {
        Measurement::FanOut => {
            for face in [Face::WebSocket, Face::Stream] {
                for bytes in [100, 10_240] {
                    let load = Load { face, subscribers: 1000, bytes };
                    text += &fan_out::profile(programs, load, pace.saturation()).await?;
                }
            }
        }
        Measurement::LowRate => {
            let load = LOW_RATE[0];
            text += &low_rate::profile(programs, load, pace.settle, pace.trickled).await?;
        }
        Measurement::Publish => {
            text += &publishing::profile(programs, pace.settle, pace.published).await?;
        }
        Measurement::Idle => {}
    }
    Ok(text)
}

/// Returns what was measured, on what.
fn head(options: &Options, programs: &Programs, machine: &str) -> Result<String> {
    let nats = if options.systems.contains(&System::Nats) {
        programs.nats_version()?
    } else {
        "without NATS".to_owned()
    };
    let Pace { repeats, .. } = Pace::of(options);
    Ok(format!(
        "Measured on {} with {machine}; {}; {nats}.\nThe server on one core, the generator with subscribers, \
         publisher and sidecar on another; loopback without TLS and compression; medians of {repeats} \
         by turns, each with a new process.\n",
        report::date(),
        report::kernel(),
    ))
}

/// Lets this process and its children have so many files open.
fn raise_open_files(wanted: u64) -> Result<()> {
    let (soft, hard) = rlimit::Resource::NOFILE.get()?;
    if soft < wanted {
        let problem = || format!("{wanted} open files are needed, and {hard} are allowed");
        rlimit::Resource::NOFILE.set(wanted, hard.max(wanted)).with_context(problem)?;
    }
    Ok(())
}
