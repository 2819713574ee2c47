//! How late messages are that come one by one, and what that costs.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    comparison::{Comparison, Effort, Figures, by_turns, median_of, verdict},
    crowd::Crowd,
    faces::Face,
    message::Clock,
    profile,
    publisher::Publisher,
    server::{Programs, Server},
    statistics::percentile,
    usage::{Cores, Meter},
};

/// Nothing came for so long: it is lost.
const STALLED: Duration = Duration::from_secs(10);

/// What to measure, over WebSocket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trickle {
    pub(crate) subscribers: usize,
    pub(crate) bytes: usize,
    pub(crate) per_second: u32,
}

impl Trickle {
    fn name(self) -> String {
        format!("{} × {} B, {}/s", self.subscribers, self.bytes, self.per_second)
    }
}

/// How late messages were.
#[derive(Clone, Copy, Debug)]
struct Delay {
    median_ms: f64,
    p99_ms: f64,
    cores: Cores,
}

impl Figures for Delay {
    fn median(all: &[Self]) -> Self {
        let cores: Vec<Cores> = all.iter().map(|one| one.cores).collect();
        Self {
            median_ms: median_of(all, |one| one.median_ms),
            p99_ms: median_of(all, |one| one.p99_ms),
            cores: Cores::median(&cores),
        }
    }
}

/// Publishes one message after the other at a steady pace.
async fn trickle(
    server: &Server,
    load: Trickle,
    settle: Duration,
    time: Duration,
) -> Result<Delay> {
    let clock = Clock::start();
    let crowd = Crowd::gather(server, Face::WebSocket, load.subscribers, clock, true).await?;
    let mut publisher = Publisher::start(server, clock, load.bytes).await?;
    let mut pace = interval(Duration::from_secs(1) / load.per_second);
    // A generator that is late makes the same number of messages, not a heap of them at once.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let messages = |time: Duration| (time.as_secs_f64() * f64::from(load.per_second)) as u64;
    let (settling, measured) = (messages(settle), messages(time));
    for _ in 0..settling {
        pace.tick().await;
        publisher.publish(1).await?;
    }
    crowd.until_everybody_has(settling, STALLED).await?;
    drop(crowd.take_times());
    let meter = Meter::start(server)?;
    for _ in 0..measured {
        pace.tick().await;
        publisher.publish(1).await?;
        crowd.check()?;
    }
    crowd.until_everybody_has(settling + measured, STALLED).await?;
    let (_, cores) = meter.stop(server)?;
    let mut times = crowd.take_times();
    times.sort_unstable();
    let milliseconds = |share| f64::from(percentile(&times, share)) / 1e3;
    Ok(Delay { median_ms: milliseconds(0.5), p99_ms: milliseconds(0.99), cores })
}

/// Returns where the proxy's core goes under a load.
pub(crate) async fn profile(
    programs: &Programs,
    load: Trickle,
    settle: Duration,
    time: Duration,
) -> Result<String> {
    profile::of(programs, &load.name(), async |server| {
        trickle(server, load, settle, time).await.map(drop)
    })
    .await
}

/// Measures the loads; returns a table, and what failed.
pub(crate) async fn measure(
    effort: Effort<'_>,
    programs: &Programs,
    loads: &[Trickle],
    settle: Duration,
    time: Duration,
) -> (String, Vec<String>) {
    let mut text = format!(
        "**At a low rate, over WebSocket.** Milliseconds from publishing to receipt, over {time:?}; \
         every message of every subscriber counts.\n\n\
         | subscribers × message, rate | proxy p50 | NATS | ratio | proxy p99 | NATS | ratio | \
         proxy server cores | NATS | ratio | generator, proxy / NATS | others | target |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    let mut failures = Vec::new();
    for &load in loads {
        let what = load.name();
        let comparison = by_turns(effort, &what, async |system| {
            let server = Server::start(system, programs).await?;
            let delay = trickle(&server, load, settle, time).await;
            delay.map_err(|error| server.explain(&error))
        })
        .await;
        failures.extend(comparison.failures().map(|failure| format!("{what}, {failure}")));
        text.push_str(&row(&what, &comparison));
    }
    (text, failures)
}

fn row(what: &str, comparison: &Comparison<Delay>) -> String {
    let p99 = comparison.ratio(|one| one.p99_ms);
    let cores = comparison.ratio(|one| one.cores.server);
    let is_reached = p99.zip(cores).map(|(p99, cores)| p99 <= 1.0 && cores <= 1.0);
    format!(
        "| {what} | {} | {} | {} | {} | {} | p99 and cores 1.0 {} |\n",
        comparison.cells(2, |one| one.median_ms),
        comparison.cells(2, |one| one.p99_ms),
        comparison.cells(2, |one| one.cores.server),
        comparison.pair(2, |one| one.cores.generator),
        comparison.pair(2, |one| one.cores.others),
        verdict(is_reached),
    )
}
