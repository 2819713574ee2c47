//! What a process has used, from the process folder.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::{comparison::median_of, server::Server};

/// Ticks of a second in the process folder; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// How many cores were used, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: f64,
    pub(crate) generator: f64,
    /// By the rest of the machine, the kernel's own work included.
    pub(crate) others: f64,
}

impl Cores {
    /// Returns the medians.
    pub(crate) fn median(all: &[Self]) -> Self {
        Self {
            server: median_of(all, |one| one.server),
            generator: median_of(all, |one| one.generator),
            others: median_of(all, |one| one.others),
        }
    }
}

/// What the table of every measurement says of cores.
pub(crate) const CORES_NOTE: &str = "Cores, of the server, of the generator and of the rest of the \
    machine (*others*): where the generator has a whole one and the server has not, the generator \
    is what limits; where others have some, the figures are theirs too.";

/// What was used up to a moment.
pub(crate) struct Meter {
    begin: Instant,
    server: Duration,
    generator: Duration,
    machine: Duration,
}

impl Meter {
    pub(crate) fn start(server: &Server) -> Result<Self> {
        let (server, generator, machine) = (server.cpu()?, own_cpu()?, machine_cpu()?);
        Ok(Self { begin: Instant::now(), server, generator, machine })
    }

    /// Returns the seconds since the start, and what was used in them.
    pub(crate) fn stop(&self, server: &Server) -> Result<(f64, Cores)> {
        let seconds = self.begin.elapsed().as_secs_f64();
        let cores = |now: Duration, then| now.saturating_sub(then).as_secs_f64() / seconds;
        let (server, generator) =
            (cores(server.cpu()?, self.server), cores(own_cpu()?, self.generator));
        let others = (cores(machine_cpu()?, self.machine) - server - generator).max(0.0);
        Ok((seconds, Cores { server, generator, others }))
    }
}

/// Returns the time that any core was busy since the machine's start.
fn machine_cpu() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("the machine does not say how busy it is")?;
    let fields: Vec<f64> =
        line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or_default()).collect();
    // User, nice, system, interrupts, soft interrupts, stolen; not idle and waiting for disks.
    let ticks: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at| fields.get(at)).sum();
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

fn own_cpu() -> Result<Duration> {
    cpu(std::process::id())
}

/// Returns the user and system time of a process since its start.
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in brackets, may contain anything.
    let (_, fields) = text.rsplit_once(')').context("no name in the process's status")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap_or_default())
        .sum();
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// Returns the resident memory of a process.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    Ok(kib.context("the process does not say what it occupies")? * 1024)
}
