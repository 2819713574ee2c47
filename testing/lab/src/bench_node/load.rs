//! One node publishes and three receive, with a bounded number of messages under way.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use api::{
    Delivery,
    sidecar::{Command, Request, ResponseType, command_stream_client::CommandStreamClient},
};
use e2e::{node_process::NodeProcess, reader::Reader};
use rand::Rng as _;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;

use crate::usage::Usage;

const TOPIC: &str = "bench-node";

/// Bytes under way at once, and messages at least and at most.
const WINDOW_BYTES: usize = 8 << 20;
const WINDOW_MIN: usize = 4;
const WINDOW_MAX: usize = 256;

/// Not measured: windows and queues find their size.
const SETTLE: Duration = Duration::from_secs(1);

/// So long nothing came anywhere: messages are lost, and their places are given back.
const STALLED: Duration = Duration::from_secs(5);

/// What a cell showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) messages_per_second: f64,
    pub(crate) mb_per_second: f64,
    /// From publish to the last of the three receivers.
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    /// Of all four nodes, for each MiB delivered to one receiver.
    pub(crate) cpu_ms_per_mib: f64,
    /// Of the node that had most.
    pub(crate) peak_mib: f64,
    /// Published and not received everywhere.
    pub(crate) lost: u64,
}

impl Figures {
    /// Returns the median of each figure.
    pub(crate) fn median(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Self {
            messages_per_second: of(|f| f.messages_per_second),
            mb_per_second: of(|f| f.mb_per_second),
            median: Duration::from_secs_f64(of(|f| f.median.as_secs_f64())),
            p99: Duration::from_secs_f64(of(|f| f.p99.as_secs_f64())),
            cpu_ms_per_mib: of(|f| f.cpu_ms_per_mib),
            peak_mib: of(|f| f.peak_mib),
            lost: all.iter().map(|f| f.lost).sum(),
        }
    }
}

/// An open stream to each node.
pub(crate) struct Load {
    bytes: usize,
    publish: mpsc::Sender<Request>,
    arrivals: mpsc::UnboundedReceiver<u64>,
    receivers: usize,
    /// Ended with the load.
    _streams: JoinSet<()>,
    next: u64,
}

impl Load {
    /// Subscribes everywhere, and waits until a message comes everywhere.
    pub(crate) async fn start(nodes: &[NodeProcess], bytes: usize) -> Result<Self> {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let mut streams = JoinSet::new();
        for node in &nodes[1..] {
            let reader = Reader::subscribed(node.sidecar, TOPIC).await;
            streams.spawn(receive(reader, arrived.clone()));
        }
        let address = format!("http://{}", nodes[0].sidecar);
        let mut client =
            CommandStreamClient::connect(address).await?.max_decoding_message_size(usize::MAX);
        let (publish, requests) = mpsc::channel(1);
        let mut answers = client.listen_commands(ReceiverStream::new(requests)).await?.into_inner();
        // Its own messages come back to it, as to every client that publishes.
        streams.spawn(async move {
            while answers.message().await.is_ok_and(|answer| answer.is_some()) {}
        });
        let receivers = nodes.len() - 1;
        let mut load = Self { bytes, publish, arrivals, receivers, _streams: streams, next: 0 };
        load.until_everywhere().await?;
        Ok(load)
    }

    /// Publishes until one message has come to all receivers.
    async fn until_everywhere(&mut self) -> Result<()> {
        let begin = Instant::now();
        let mut seen: HashMap<u64, usize> = HashMap::new();
        loop {
            ensure!(begin.elapsed() < e2e::LIMIT, "no message comes to all receivers");
            self.publish().await?;
            let wait = Instant::now() + Duration::from_millis(500);
            while let Some(number) = self.arrival_before(wait).await? {
                let count = seen.entry(number).or_default();
                *count += 1;
                if *count == self.receivers {
                    return Ok(());
                }
            }
        }
    }

    /// Publishes for the time given, and measures.
    pub(crate) async fn run(
        &mut self,
        nodes: &[NodeProcess],
        seconds: Duration,
    ) -> Result<Figures> {
        let mut window = Window::new(self.bytes);
        let begin = Instant::now() + SETTLE;
        let end = begin + seconds;
        let mut tally = Tally::default();
        let mut used = None;
        while Instant::now() < end {
            if used.is_none() && Instant::now() >= begin {
                used = Some(Usage::of_all(nodes)?);
                tally = Tally { lost: tally.lost, ..Tally::default() };
            }
            while window.has_room() {
                let number = self.publish().await?;
                window.published(number);
            }
            match self.arrival_before((Instant::now() + STALLED).min(end)).await? {
                Some(number) => {
                    tally.arrivals += 1;
                    tally.times.extend(window.arrived(number, self.receivers));
                }
                None if Instant::now() < end => tally.lost += window.give_up(),
                None => {}
            }
        }
        let used_before = used.context("the time was too short")?;
        let used = Usage::of_all(nodes)?;
        tally.lost += self.drain(window, end + STALLED).await?;
        Ok(tally.figures(self.bytes, seconds, used.since(used_before)))
    }

    /// Waits for what is under way; returns how many messages do not come everywhere.
    async fn drain(&mut self, mut window: Window, until: Instant) -> Result<u64> {
        while !window.is_empty() {
            let Some(number) = self.arrival_before(until).await? else { break };
            let _time = window.arrived(number, self.receivers);
        }
        Ok(window.give_up())
    }

    async fn arrival_before(&mut self, end: Instant) -> Result<Option<u64>> {
        match tokio::time::timeout_at(end.into(), self.arrivals.recv()).await {
            Ok(arrival) => Ok(Some(arrival.context("the receivers ended")?)),
            Err(_) => Ok(None),
        }
    }

    async fn publish(&mut self) -> Result<u64> {
        let number = self.next;
        self.next += 1;
        let mut data = vec![0; self.bytes.max(8)];
        rand::rng().fill_bytes(&mut data);
        data[..8].copy_from_slice(&number.to_be_bytes());
        let request = Request {
            command: Command::Publish as i32,
            topic: TOPIC.to_owned(),
            data: data.into(),
            ..Request::default()
        };
        self.publish.send(request).await.ok().context("the publishing stream ended")?;
        Ok(number)
    }
}

/// The messages under way.
struct Window {
    places: usize,
    /// When each was published, and where it has come.
    open: HashMap<u64, (Instant, usize)>,
}

impl Window {
    fn new(bytes: usize) -> Self {
        let places = (WINDOW_BYTES / bytes.max(1)).clamp(WINDOW_MIN, WINDOW_MAX);
        Self { places, open: HashMap::new() }
    }

    fn has_room(&self) -> bool {
        self.open.len() < self.places
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn published(&mut self, number: u64) {
        self.open.insert(number, (Instant::now(), 0));
    }

    /// Returns how long the message took, once it is everywhere.
    fn arrived(&mut self, number: u64, receivers: usize) -> Option<Duration> {
        let (published, count) = self.open.get_mut(&number)?;
        *count += 1;
        let time = published.elapsed();
        (*count == receivers).then(|| {
            self.open.remove(&number);
            time
        })
    }

    /// Gives all places back; returns how many were taken.
    fn give_up(&mut self) -> u64 {
        let lost = self.open.len() as u64;
        self.open.clear();
        lost
    }
}

/// What was seen while it was measured.
#[derive(Default)]
struct Tally {
    arrivals: u64,
    times: Vec<Duration>,
    lost: u64,
}

impl Tally {
    fn figures(mut self, bytes: usize, seconds: Duration, used: Usage) -> Figures {
        self.times.sort();
        let at = |share: f64| {
            let index = (self.times.len() as f64 * share) as usize;
            self.times.get(index.min(self.times.len().saturating_sub(1))).copied()
        };
        let delivered_bytes = self.arrivals as f64 * bytes as f64;
        let delivered_mib = delivered_bytes / f64::from(1 << 20);
        Figures {
            messages_per_second: self.arrivals as f64 / seconds.as_secs_f64(),
            mb_per_second: delivered_bytes / 1e6 / seconds.as_secs_f64(),
            median: at(0.5).unwrap_or_default(),
            p99: at(0.99).unwrap_or_default(),
            cpu_ms_per_mib: used.cpu.as_secs_f64() * 1e3 / delivered_mib,
            peak_mib: used.peak_kib as f64 / 1024.0,
            lost: self.lost,
        }
    }
}

/// Tells the number in front of every message that comes.
async fn receive(mut reader: Reader, arrived: mpsc::UnboundedSender<u64>) {
    while let Ok(Some(response)) = reader.commands.responses.message().await {
        if response.command() != ResponseType::Message {
            continue;
        }
        let Ok(delivery) = Delivery::from_json(&response.data) else { return };
        let Some(number) = delivery.message.first_chunk::<8>() else { continue };
        if arrived.send(u64::from_be_bytes(*number)).is_err() {
            return;
        }
    }
}
