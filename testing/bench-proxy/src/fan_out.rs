//! How much a server delivers when it has as much as it can take.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::time::timeout;

use crate::{
    comparison::{Comparison, Effort, Figures, by_turns, median_of, verdict},
    crowd::Crowd,
    faces::Face,
    message::Clock,
    profile,
    publisher::Publisher,
    server::{Programs, Server},
    usage::{CORES_NOTE, Cores, Meter},
};

/// Payload bytes that a publisher may be ahead of the slowest subscriber, and messages at least and
/// at most. A smaller window measures how soon the two cores wake each other: with 1024 messages of
/// 100 B, NATS used 0.6 of its core for one subscriber.
const WINDOW_BYTES: usize = 1 << 20;
const WINDOW_MIN: u64 = 16;
const WINDOW_MAX: u64 = 4096;

/// What is published at once is at least this part of the window.
const BATCHES_OF_WINDOW: u64 = 4;

/// Nobody received anything for so long: something is lost.
const STALLED: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) face: Face,
    pub(crate) subscribers: usize,
    pub(crate) bytes: usize,
}

impl Load {
    fn name(self) -> String {
        format!("{} × {} B by {}", self.subscribers, self.bytes, self.face.name())
    }

    fn window(self) -> u64 {
        ((WINDOW_BYTES / self.bytes) as u64).clamp(WINDOW_MIN, WINDOW_MAX)
    }

    fn batch(self) -> u64 {
        self.window() / BATCHES_OF_WINDOW
    }
}

/// What a server delivered.
#[derive(Clone, Copy, Debug)]
struct Throughput {
    deliveries_per_second: f64,
    payload_mb_per_second: f64,
    /// What came through the sockets.
    wire_mb_per_second: f64,
    cores: Cores,
}

impl Figures for Throughput {
    fn median(all: &[Self]) -> Self {
        let cores: Vec<Cores> = all.iter().map(|one| one.cores).collect();
        Self {
            deliveries_per_second: median_of(all, |one| one.deliveries_per_second),
            payload_mb_per_second: median_of(all, |one| one.payload_mb_per_second),
            wire_mb_per_second: median_of(all, |one| one.wire_mb_per_second),
            cores: Cores::median(&cores),
        }
    }
}

/// How long is measured, and how long is not, before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) settle: Duration,
    pub(crate) measure: Duration,
}

/// What was used and delivered up to a moment.
struct Mark {
    meter: Meter,
    deliveries: u64,
    bytes: u64,
}

impl Mark {
    fn now(server: &Server, crowd: &Crowd) -> Result<Self> {
        let meter = Meter::start(server)?;
        Ok(Self { meter, deliveries: crowd.deliveries(), bytes: crowd.bytes() })
    }

    /// Returns what happened since.
    fn throughput(&self, server: &Server, crowd: &Crowd, bytes: usize) -> Result<Throughput> {
        let (seconds, cores) = self.meter.stop(server)?;
        let deliveries_per_second = (crowd.deliveries() - self.deliveries) as f64 / seconds;
        Ok(Throughput {
            deliveries_per_second,
            payload_mb_per_second: deliveries_per_second * bytes as f64 / 1e6,
            wire_mb_per_second: (crowd.bytes() - self.bytes) as f64 / seconds / 1e6,
            cores,
        })
    }
}

/// Publishes as fast as the slowest subscriber reads, and waits for the last message.
async fn saturate(server: &Server, load: Load, times: Times) -> Result<Throughput> {
    let clock = Clock::start();
    let crowd = Crowd::gather(server, load.face, load.subscribers, clock, false).await?;
    let mut publisher = Publisher::start(server, clock, load.bytes).await?;
    let begin = Instant::now() + times.settle;
    let end = begin + times.measure;
    let mut sent = 0;
    let mut mark = None;
    while Instant::now() < end {
        if mark.is_none() && Instant::now() >= begin {
            mark = Some(Mark::now(server, &crowd)?);
        }
        let room = load.window() - (sent - crowd.slowest());
        if room >= load.batch() {
            publisher.publish(room).await?;
            sent += room;
        }
        if timeout(STALLED, crowd.changed()).await.is_err() {
            bail!("nobody receives anything although {room} of the window are free");
        }
        crowd.check()?;
    }
    let mark = mark.context("the time was too short")?;
    let throughput = mark.throughput(server, &crowd, load.bytes)?;
    crowd.until_everybody_has(sent, STALLED).await?;
    Ok(throughput)
}

/// Returns where the proxy's core goes under a load.
pub(crate) async fn profile(programs: &Programs, load: Load, times: Times) -> Result<String> {
    profile::of(programs, &load.name(), async |server| {
        saturate(server, load, times).await.map(drop)
    })
    .await
}

/// Measures the loads; returns a table, and what failed.
pub(crate) async fn measure(
    effort: Effort<'_>,
    programs: &Programs,
    loads: &[Load],
    times: Times,
) -> (String, Vec<String>) {
    let mut text = format!(
        "**Fan-out at saturation.** The publisher is at most *window* messages ahead of the slowest \
         subscriber, and publishes at least a quarter of it at once; {:?} are measured after {:?}. \
         *Wire* is what the subscribers' sockets received. {CORES_NOTE}\n\n\
         | face | subscribers × message | window | proxy k deliveries/s | NATS | ratio | \
         proxy payload MB/s | NATS | proxy wire MB/s | NATS | ratio | \
         server cores, proxy / NATS | generator | others | target |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        times.measure, times.settle
    );
    let mut failures = Vec::new();
    for &load in loads {
        let what = load.name();
        let comparison = by_turns(effort, &what, async |system| {
            let server = Server::start(system, programs).await?;
            saturate(&server, load, times).await.map_err(|error| server.explain(&error))
        })
        .await;
        failures.extend(comparison.failures().map(|failure| format!("{what}, {failure}")));
        text.push_str(&row(load, &comparison));
    }
    (text, failures)
}

fn row(load: Load, comparison: &Comparison<Throughput>) -> String {
    let payload = comparison.cells(1, |one| one.payload_mb_per_second);
    let (payload, _) = payload.rsplit_once(" | ").unwrap_or((&payload, ""));
    format!(
        "| {} | {} × {} B | {} | {} | {payload} | {} | {} | {} | {} | {} |\n",
        load.face.name(),
        load.subscribers,
        load.bytes,
        load.window(),
        comparison.cells(1, |one| one.deliveries_per_second / 1e3),
        comparison.cells(1, |one| one.wire_mb_per_second),
        comparison.pair(2, |one| one.cores.server),
        comparison.pair(2, |one| one.cores.generator),
        comparison.pair(2, |one| one.cores.others),
        target(load, comparison),
    )
}

/// Our frames hold JSON of about 400 bytes, or base64, which is a third longer: what is asked is
/// less than what NATS delivers, and at 10 KiB by WebSocket as many bytes.
fn target(load: Load, comparison: &Comparison<Throughput>) -> String {
    let deliveries = comparison.ratio(|one| one.deliveries_per_second);
    let wire = comparison.ratio(|one| one.wire_mb_per_second);
    let (text, is_reached) = match (load.face, load.bytes) {
        (Face::WebSocket, ..1024) => ("0.5 deliveries", deliveries.map(|ratio| ratio >= 0.5)),
        (Face::WebSocket, _) => ("1.0 wire", wire.map(|ratio| ratio >= 1.0)),
        (Face::Stream, 1024..) => ("0.5 deliveries", deliveries.map(|ratio| ratio >= 0.5)),
        (Face::Stream, _) => return String::new(),
    };
    format!("{text} {}", verdict(is_reached)).trim_end().to_owned()
}
