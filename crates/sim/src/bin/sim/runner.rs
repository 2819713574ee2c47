//! Runs, some at a time, in an order of results that does not depend on how long each takes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sim::{
    protocol::Received,
    protocols::{self, Entry},
    record::RunRecord,
    run::{Labels, RunOutcome},
    scenario::Scenario,
};

use crate::args::Common;

/// A run to be done.
#[derive(Clone, Copy)]
struct Job<'a> {
    scenario: &'a Scenario,
    protocol: &'static Entry,
    seed: u64,
}

/// What the nodes received, per byte of all messages; the mean of all nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kinds {
    pub(crate) useful: f64,
    pub(crate) duplicate: f64,
    pub(crate) dependent: f64,
    pub(crate) late: f64,
    pub(crate) header: f64,
    pub(crate) coefficients: f64,
    /// Everything else on the streams.
    pub(crate) control: f64,
}

impl Kinds {
    pub(crate) const NAMES: [&'static str; 7] =
        ["useful", "duplicate", "dependent", "late", "header", "coefficients", "control"];

    pub(crate) fn values(&self) -> [f64; 7] {
        let Self { useful, duplicate, dependent, late, header, coefficients, control } = *self;
        [useful, duplicate, dependent, late, header, coefficients, control]
    }

    fn of(outcome: &RunOutcome) -> Self {
        let bytes = outcome.message_bytes().max(1) as f64 * outcome.nodes.len().max(1) as f64;
        let sum = |part: fn(&Received) -> u64| {
            outcome.nodes.iter().map(|node| part(&node.received)).sum::<u64>() as f64 / bytes
        };
        let all: u64 = outcome.nodes.iter().map(|node| node.usage.received()).sum();
        let mut kinds = Self {
            useful: sum(|received| received.useful),
            duplicate: sum(|received| received.duplicate),
            dependent: sum(|received| received.dependent),
            late: sum(|received| received.late),
            header: sum(|received| received.header),
            coefficients: sum(|received| received.coefficients),
            control: 0.0,
        };
        let payload: f64 = kinds.values().iter().sum();
        kinds.control = (all as f64 / bytes - payload).max(0.0);
        kinds
    }
}

impl Job<'_> {
    /// Returns whether both are the same run, whatever their scenarios are called.
    fn is_same(&self, other: &Self) -> bool {
        self.protocol.name == other.protocol.name
            && self.seed == other.seed
            && self.scenario.is_same_network(other.scenario)
    }

    /// Returns a number that grows with the time that it takes, roughly.
    fn weight(&self) -> u64 {
        self.scenario.topology.nodes() as u64 * self.scenario.publishers as u64
    }
}

/// A run that is done.
#[derive(Clone)]
pub(crate) struct Done {
    /// Which of the registry it ran; the record says the protocol, and whether it was tuned.
    pub(crate) protocol: &'static str,
    pub(crate) record: RunRecord,
    /// When each pair of a message and a node was served, rising; infinite at the end.
    pub(crate) times_ms: Vec<f64>,
    pub(crate) kinds: Kinds,
    /// The postal bounds B1 and B2 for k = 4 and k = 64, if all nodes are alike.
    pub(crate) postal_ms: Option<[(u32, f64, f64); 2]>,
}

/// A scenario with the runs of it, by protocol and then by seed.
pub(crate) struct Group {
    pub(crate) scenario: Scenario,
    pub(crate) runs: Vec<Done>,
}

impl Group {
    /// Returns the protocols in order.
    pub(crate) fn protocols(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.protocol) {
                names.push(run.protocol);
            }
        }
        names
    }

    /// Returns the runs of a protocol, by seed.
    pub(crate) fn of<'a>(&'a self, protocol: &'a str) -> impl Iterator<Item = &'a Done> + Clone {
        self.runs.iter().filter(move |run| run.protocol == protocol)
    }
}

/// Returns the scenario with what the command line says in place of what it says.
pub(crate) fn adjusted(mut scenario: Scenario, common: &Common) -> Result<Scenario> {
    if let Some(seeds) = common.seeds {
        scenario.seeds = (1..=seeds).collect();
    }
    if let Some(protocols) = &common.protocols {
        for name in protocols {
            if protocols::find(name).is_none() {
                bail!("there is no protocol {name:?}; `sim list` shows what there is");
            }
        }
        scenario.protocols.clone_from(protocols);
    }
    Ok(scenario)
}

/// Runs all protocols and seeds of the scenarios. What several scenarios have in common is run once.
pub(crate) fn run_all(scenarios: &[Scenario], threads: u16) -> Result<Vec<Group>> {
    let planned: Vec<Vec<Job<'_>>> = scenarios.iter().map(jobs).collect();
    let mut different = once_each(&planned);
    // The longest first, so that no thread is left with one while the others are done.
    different.sort_by_key(|job| std::cmp::Reverse(job.weight()));
    let done = work(&different, threads)?;
    let of = |job: &Job<'_>| {
        let place = different.iter().position(|other| other.is_same(job));
        let mut done = place.map(|place| done[place].clone())?;
        done.record.scenario.clone_from(&job.scenario.name);
        Some(done)
    };
    let groups = scenarios.iter().zip(&planned).map(|(scenario, jobs)| Group {
        scenario: scenario.clone(),
        runs: jobs.iter().filter_map(of).collect(),
    });
    Ok(groups.collect())
}

/// Returns the runs that are different, in the order of the plan.
fn once_each<'a>(planned: &[Vec<Job<'a>>]) -> Vec<Job<'a>> {
    let mut different: Vec<Job<'_>> = Vec::new();
    for &job in planned.iter().flatten() {
        if !different.iter().any(|other| other.is_same(&job)) {
            different.push(job);
        }
    }
    different
}

/// Returns the runs of a scenario, by protocol and then by seed. A protocol with other settings is
/// none where the scenario has no such settings.
fn jobs(scenario: &Scenario) -> Vec<Job<'_>> {
    let protocols = scenario.protocols.iter().filter_map(|name| protocols::find(name));
    let protocols = protocols.filter(|protocol| !protocol.tuned || scenario.coded.is_tuned());
    let jobs = protocols.flat_map(|protocol| {
        scenario.seeds.iter().map(move |&seed| Job { scenario, protocol, seed })
    });
    jobs.collect()
}

fn work(jobs: &[Job<'_>], threads: u16) -> Result<Vec<Done>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Done>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let bar = progress(jobs.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(place) = take(&next, jobs.len()) {
                    let job = &jobs[place];
                    bar.set_message(format!("{} {}", job.scenario.name, job.protocol.name));
                    let done = run(job);
                    *results[place].lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let results = results.into_iter().map(|result| {
        let result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.unwrap_or_else(|| bail!("a run ended without a result"))
    });
    results.collect()
}

fn take(next: &AtomicUsize, count: usize) -> Option<usize> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    (place < count).then_some(place)
}

/// A bar on standard error; nothing where that is no terminal.
fn progress(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {elapsed} {wide_msg}");
    let bar = ProgressBar::new(runs as u64);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn run(job: &Job<'_>) -> Result<Done> {
    let outcome = (job.protocol.run)(job.scenario, &job.scenario.setup(job.seed)?);
    let labels = Labels {
        scenario: &job.scenario.name,
        protocol: job.protocol.protocol,
        tuned: job.protocol.tuned,
    };
    let mut times_ms: Vec<f64> = outcome
        .times()
        .into_iter()
        .map(|time| time.map_or(f64::INFINITY, |time| time.as_secs_f64() * 1000.0))
        .collect();
    times_ms.sort_unstable_by(f64::total_cmp);
    Ok(Done {
        protocol: job.protocol.name,
        record: outcome.record(labels),
        times_ms,
        kinds: Kinds::of(&outcome),
        postal_ms: postal(&outcome, job.scenario.message_bytes),
    })
}

fn postal(outcome: &RunOutcome, message_bytes: u64) -> Option<[(u32, f64, f64); 2]> {
    let topology = &outcome.topology;
    if !topology.is_uniform() {
        return None;
    }
    Some([4, 64].map(|chunks| {
        let uniform = sim::bound::Uniform {
            nodes: topology.len() as u64,
            bps: topology.nodes[0].up_bps as f64,
            latency_s: topology.latency.between(0, 1).as_secs_f64(),
            message_bytes,
            chunks,
        };
        (chunks, uniform.last_chunk_s() * 1000.0, uniform.capacity_s() * 1000.0)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::load;

    #[test]
    fn one_network_under_several_names_is_run_once() {
        let names = ["size-1m", "lossless", "growth-1000", "loss-1"];
        let scenarios = names.map(|name| load(name).expect("it is built in"));
        let planned: Vec<Vec<Job<'_>>> = scenarios.iter().map(jobs).collect();
        // The second column is of the first name alone.
        assert_eq!(planned[0].len(), planned[1].len() + scenarios[0].seeds.len());
        assert_eq!(once_each(&planned[..3]).len(), planned[0].len());
        assert_eq!(once_each(&planned).len(), planned[0].len() + planned[3].len());
    }
}
