//! One cell of the table: nodes of one kind are started, messages are published, and it is looked
//! when they come.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sim::run::Setup;
use tokio::sync::mpsc;

use crate::{
    arrivals::Arrivals,
    coded,
    counters::{Counters, Used, Watch},
    kinds::Kind,
    network::{DEVICE, Network, address},
    node::{Event, Node, PORT, Publish, Start},
    scenario::{Load, Pace},
    spread::Spread,
};

/// How long meshes may take to form.
const MESH_LIMIT: Duration = Duration::from_secs(90);

/// The message that shows that all are reached; those that are measured have numbers from 1 on.
const WARM_UP: Publish = Publish { number: 0, bytes: 1000 };

/// How often it is looked whether the links are quiet.
const QUIET_LOOK: Duration = Duration::from_millis(500);

/// How long they may take to be; what still travels then is counted up to there.
const QUIET_LIMIT: Duration = Duration::from_secs(120);

/// The share of the links' rate below which they are quiet: heartbeats and pings.
const QUIET_SHARE: f64 = 0.02;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) spread: Spread,
    pub(crate) used: Used,
    /// Connections of a node, in the mean.
    pub(crate) connections: f64,
    /// Messages for one peer that were given up.
    pub(crate) dropped: usize,
    /// The share of the time in which all cores were busy.
    pub(crate) saturated: f64,
}

/// The nodes of a run and what they tell.
struct Run<'a> {
    network: &'a Network,
    load: Load,
    nodes: Vec<Node>,
    events: mpsc::UnboundedReceiver<Event>,
    arrivals: Arrivals,
    folder: &'a Path,
}

/// Starts the nodes, measures and ends them.
pub(crate) async fn measure(
    network: &Network,
    load: Load,
    kind: Kind,
    seed: u64,
    keep: Option<&Path>,
) -> Result<Measured> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let setup = load.scenario(kind)?.setup(seed)?;
    let (events, receiver) = mpsc::unbounded_channel();
    let mut run = Run {
        network,
        load,
        nodes: Vec::new(),
        events: receiver,
        arrivals: Arrivals::new(load.links.nodes),
        folder: folder.path(),
    };
    run.start(kind, &setup, &events).await?;
    drop(events);
    let before = run.counters()?;
    let watch = Watch::start();
    let begin = Instant::now();
    for (place, message) in setup.messages.iter().enumerate() {
        if let Pace::Every(interval) = load.pace {
            let due = begin + interval * place as u32;
            run.until(due, |_| false).await?;
        }
        let publisher = message.publisher as usize;
        run.publish(publisher, Publish { number: place as u64 + 1, bytes: load.bytes }).await?;
        if load.pace == Pace::Apart {
            run.all_arrived().await?;
            run.quiet().await?;
        }
    }
    run.all_arrived().await?;
    run.quiet().await?;
    let messages: Vec<u64> = (1..=setup.messages.len() as u64).collect();
    let times = run.arrivals.times(&messages)?;
    let spread = Spread::of(&times);
    let used = run.counters()?.since(&before, &load, spread.pairs - spread.missing);
    if let Some(keep) = keep {
        run.keep(kind, &times, keep)?;
    }
    let connections = run.arrivals.connections();
    let (dropped, saturated) = (run.arrivals.dropped, watch.saturated());
    Ok(Measured { spread, used, connections, dropped, saturated })
}

impl Run<'_> {
    /// Starts all nodes and waits until a message comes from one to all others.
    async fn start(
        &mut self,
        kind: Kind,
        setup: &Setup,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Result<()> {
        let numbers = coded::Numbers::default();
        let addresses = self.addresses()?;
        let dials = &setup.topology.dials;
        let mut wanted = Vec::new();
        for node in 0..self.load.links.nodes {
            let of =
                |(a, b): &(u32, u32)| (*a as usize == node).then(|| addresses[*b as usize].clone());
            let own: Vec<String> = dials.iter().filter_map(of).collect();
            let degree = dials.iter().filter(|(a, b)| [*a, *b].contains(&(node as u32))).count();
            let peers = (degree, kind.mesh_min().min(degree));
            wanted.push(peers);
            let start = Start {
                node,
                kind,
                network: self.network,
                folder: &self.folder.join(node.to_string()),
                dials: &own,
                bytes_max: self.load.bytes.max(1 << 20),
                peers,
                numbers: numbers.clone(),
                events: events.clone(),
            };
            self.nodes.push(Node::start(start).await?);
        }
        let limit = Instant::now() + MESH_LIMIT;
        let meshed = self.until(limit, |arrivals| arrivals.have_peers(&wanted)).await?;
        let peers = || self.arrivals.peers_text();
        ensure!(meshed, "meshes are not formed after {MESH_LIMIT:?}: {}", peers());
        let publisher = setup.messages.first().map_or(0, |message| message.publisher as usize);
        self.publish(publisher, WARM_UP).await?;
        let reached = self.until(limit, |arrivals| arrivals.is_everywhere(WARM_UP.number)).await?;
        ensure!(reached, "the first message does not come to all nodes");
        self.quiet().await
    }

    /// Gives every node an identity; returns where all can be dialled.
    fn addresses(&self) -> Result<Vec<String>> {
        let node = |node: usize| {
            let folder = self.folder.join(node.to_string());
            let peer = identity::load_or_generate(&folder)?.peer_id();
            Ok(format!("/ip4/{}/tcp/{PORT}/p2p/{peer}", address(node)))
        };
        (0..self.load.links.nodes).map(node).collect()
    }

    async fn publish(&mut self, node: usize, message: Publish) -> Result<()> {
        let sent = self.nodes[node].publish.send(message).await;
        sent.ok().with_context(|| format!("node {node} takes no message"))?;
        self.arrivals.expect(message.number, node);
        Ok(())
    }

    /// Takes what nodes tell until `done` or a time; returns whether it is done.
    async fn until(&mut self, end: Instant, done: impl Fn(&Arrivals) -> bool) -> Result<bool> {
        while !done(&self.arrivals) {
            match tokio::time::timeout_at(end.into(), self.events.recv()).await {
                Err(_) => return Ok(false),
                Ok(None) => bail!("all nodes ended"),
                Ok(Some(Event::Failed { node, why })) => {
                    let log = coded::log_tail(&self.folder.join(node.to_string()));
                    bail!("node {node}: {why}\n{log}");
                }
                Ok(Some(event)) => self.arrivals.on(&event),
            }
        }
        Ok(true)
    }

    /// Waits until all that was published is everywhere, or nothing comes any more.
    async fn all_arrived(&mut self) -> Result<()> {
        let patience = (self.load.unit() * 20).max(Duration::from_secs(15));
        loop {
            let count = self.arrivals.count();
            let more = |arrivals: &Arrivals| arrivals.all_everywhere() || arrivals.count() > count;
            let came = self.until(Instant::now() + patience, more).await?;
            if !came || self.arrivals.all_everywhere() {
                return Ok(());
            }
        }
    }

    /// Waits until nothing of weight travels any more.
    async fn quiet(&mut self) -> Result<()> {
        let links = self.load.links;
        let rate = links.nodes as f64 * f64::from(links.mbps) * 1e6 / 8.0;
        let limit = Instant::now() + QUIET_LIMIT;
        let mut before = self.received()?;
        while Instant::now() < limit {
            self.until(Instant::now() + QUIET_LOOK, |_| false).await?;
            let now = self.received()?;
            if ((now - before) as f64) < rate * QUIET_SHARE * QUIET_LOOK.as_secs_f64() {
                return Ok(());
            }
            before = now;
        }
        Ok(())
    }

    /// Keeps what explains a run: the times of each message, and of each p2pnode log and counters.
    fn keep(&self, kind: Kind, times: &[Vec<Option<Duration>>], folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let line = |times: &Vec<Option<Duration>>| {
            let text = |time: &Option<Duration>| {
                time.map_or("never".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3))
            };
            times.iter().map(text).collect::<Vec<_>>().join(" ") + "\n"
        };
        std::fs::write(folder.join("times_ms"), times.iter().map(line).collect::<String>())?;
        for node in 0..self.nodes.len() {
            if kind.profile().is_some() {
                let page = coded::http(self.network.namespace(node), node, "/metrics")?;
                std::fs::write(folder.join(format!("metrics-{node}")), page)?;
                let log = self.folder.join(node.to_string()).join("log");
                std::fs::copy(log, folder.join(format!("log-{node}")))?;
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<u64> {
        self.nodes.iter().map(|node| lab::process::received_bytes(node.id, DEVICE)).sum()
    }

    fn counters(&self) -> Result<Counters> {
        let ids: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        Counters::read(&ids, DEVICE, self.network.delay_process())
    }
}
