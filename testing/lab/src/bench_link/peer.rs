//! The two ends: one process with all receivers, one with the sender.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use futures::StreamExt as _;
use gossip::{Config, Limits, MeshConfig, Publish, State, Topic};
use gossip_libp2p::{Behaviour, Moved, NodeKeys, Versions};
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, identity::Keypair, noise, swarm::SwarmEvent, tcp, yamux,
};
use rand::Rng as _;

use crate::Transport;

const MESSAGE_BYTES: usize = 1 << 20;

/// Options of the receiving end.
#[derive(Args)]
pub(crate) struct Receive {
    #[arg(long)]
    transport: Transport,
    #[arg(long)]
    peers: u16,
    #[arg(long)]
    address: String,
    #[arg(long)]
    seconds: f64,
    /// Where the listen addresses go, and the record of each peer.
    #[arg(long)]
    folder: PathBuf,
}

/// Options of the sending end.
#[derive(Args)]
pub(crate) struct Send {
    /// Whom to dial.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Multiaddr>,
    #[arg(long)]
    without_windows: bool,
    #[arg(long)]
    seconds: f64,
    #[arg(long)]
    folder: PathBuf,
}

/// A data frame that moved: with whom, when (Unix time in nanoseconds) and its bytes.
type Record = (PeerId, u128, usize);

/// Time that two processes of one machine agree on, and that does not step.
fn clock() -> impl Fn() -> u128 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = Instant::now();
    move || (unix + began.elapsed()).as_nanos()
}

fn config(windows: bool) -> Config {
    Config {
        message_bytes_max: 4 << 20,
        // Enough shards for each of 16 peers to decode from the publisher alone.
        shard_multiplier: 16.0,
        mesh: MeshConfig { low: 3, target: 16, high: 24, ..MeshConfig::default() },
        limits: Limits { publish_bytes_max: 4 << 20, ..Limits::default() },
        windows,
        ..Config::default()
    }
}

fn topic() -> Result<Topic> {
    Ok(Topic::new("bench-link")?)
}

/// A swarm that records the data frames that move `way`.
fn swarm(config: Config, way: Moved, records: Arc<Mutex<Vec<Record>>>) -> Result<Swarm<Behaviour>> {
    let keypair = Keypair::generate_ed25519();
    let keys = Arc::new(NodeKeys::new(keypair.clone())?);
    let state = State::new(config, keys, rand::random(), 1, Instant::now())?;
    let mut swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_quic()
        .with_behaviour(|_| Behaviour::new(state, Versions::default()))?
        .build();
    let clock = clock();
    swarm.behaviour_mut().observe_data(move |moved, peer, bytes| {
        if moved == way {
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            records.push((peer, clock(), bytes));
        }
    });
    swarm.behaviour_mut().subscribe(topic()?);
    Ok(swarm)
}

/// Writes what was recorded: peer, Unix nanoseconds and bytes on each line.
fn write(path: &Path, records: &[(PeerId, u128, usize)]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for (peer, at, bytes) in records {
        writeln!(file, "{peer} {at} {bytes}")?;
    }
    Ok(file.flush()?)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")
}

/// The receiving end: all peers, each with its own swarm and port.
pub(crate) fn receive(options: &Receive) -> Result<()> {
    runtime()?.block_on(async {
        let mut records = Vec::new();
        let mut tasks = Vec::new();
        let mut addresses = Vec::new();
        for _ in 0..options.peers {
            let record = Arc::new(Mutex::new(Vec::new()));
            let mut swarm = swarm(config(true), Moved::In, record.clone())?;
            let port = match options.transport {
                Transport::Tcp => "tcp/0",
                Transport::Quic => "udp/0/quic-v1",
            };
            swarm.listen_on(format!("/ip4/{}/{port}", options.address).parse()?)?;
            let address = loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    break address;
                }
            };
            addresses.push(format!("{address}/p2p/{}", swarm.local_peer_id()));
            records.push((*swarm.local_peer_id(), record));
            tasks.push(tokio::spawn(drive(swarm)));
        }
        // Written under another name first: whoever waits for it finds it whole.
        let listening = options.folder.join("listening");
        std::fs::write(options.folder.join("listening.new"), addresses.join(","))?;
        std::fs::rename(options.folder.join("listening.new"), listening)?;
        tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let mut taken = Vec::new();
        for (peer, record) in records {
            let record = record.lock().unwrap_or_else(PoisonError::into_inner);
            taken.extend(record.iter().map(|&(_, at, bytes)| (peer, at, bytes)));
        }
        write(&options.folder.join("taken"), &taken)
    })
}

async fn drive(mut swarm: Swarm<Behaviour>) {
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            swarm.behaviour_mut().admit(peer_id);
        }
    }
}

/// The sending end: publishes whenever there is room.
pub(crate) fn send(options: &Send) -> Result<()> {
    runtime()?.block_on(async {
        let record = Arc::new(Mutex::new(Vec::new()));
        let mut swarm = swarm(config(!options.without_windows), Moved::Out, record.clone())?;
        for address in &options.peers {
            swarm.dial(address.clone())?;
        }
        let end = tokio::time::sleep(Duration::from_secs_f64(options.seconds));
        tokio::pin!(end);
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let mut ticket = 0;
        loop {
            tokio::select! {
                () = &mut end => break,
                event = swarm.select_next_some() => {
                    if let SwarmEvent::ConnectionEstablished { peer_id, .. } = event {
                        swarm.behaviour_mut().admit(peer_id);
                    }
                }
                _ = tick.tick() => {
                    let meshed = swarm.behaviour().view().mesh(&topic()?).count();
                    if meshed == options.peers.len() && swarm.behaviour().accepts_publish() {
                        ticket += 1;
                        swarm.behaviour_mut().publish(publish(ticket)?);
                    }
                }
            }
        }
        let record = record.lock().unwrap_or_else(PoisonError::into_inner);
        write(&options.folder.join("sent"), &record)
    })
}

fn publish(ticket: u64) -> Result<Publish> {
    let mut payload = vec![0; MESSAGE_BYTES];
    rand::rng().fill_bytes(&mut payload);
    let payload = Bytes::from(payload);
    Ok(Publish { ticket, topic: topic()?, payload, published_unix_ns: 0 })
}
