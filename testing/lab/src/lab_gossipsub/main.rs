//! A node of rust-libp2p's GossipSub, to be measured beside p2pnode: TCP, Noise and Yamux, messages
//! without signatures, nothing else running.
//!
//! It reads lines from stdin and writes lines to stdout; times are Unix time in nanoseconds:
//!
//! | line | way | meaning |
//! |---|---|---|
//! | `peers <connected> <mesh>` | out | whenever one of the numbers changed |
//! | `publish <number> <bytes>` | in | publish a message that begins with the number |
//! | `published <number> <time>` | out | it was handed to the library at that time |
//! | `arrived <number> <time>` | out | it came |
//! | `slow <dropped>` | out | messages for one peer were dropped: too many, or for too long |
//!
//! It ends at the end of stdin.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is spoken to by lines")]

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder,
    gossipsub::{
        Behaviour, Config, ConfigBuilder, Event, IdentTopic, Message, MessageAuthenticity,
        MessageId, ValidationMode,
    },
    noise,
    swarm::{SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use rand::Rng as _;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};

/// The number in front of a message, which is its id too: hashing would cost.
const NUMBER_BYTES: usize = 8;

/// What a frame may hold beside the longest message.
const FRAME_EXTRA_BYTES: usize = 64 << 10;

/// How often it is looked whether the mesh changed, and failed dials are repeated.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: Multiaddr,
    /// The folder of the identity, made if there is none.
    #[arg(long)]
    identity: PathBuf,
    /// Whom to dial.
    #[arg(long, value_delimiter = ',')]
    dial: Vec<Multiaddr>,
    /// Peers of the mesh: at least, aimed at, at most.
    #[arg(long, value_delimiter = ',', default_values_t = [6, 8, 12])]
    mesh: Vec<usize>,
    /// Do not tell ids to peers outside the mesh.
    #[arg(long)]
    without_gossip: bool,
    #[arg(long, default_value_t = 700)]
    heartbeat_ms: u64,
    /// The longest message.
    #[arg(long, default_value_t = 16 << 20)]
    bytes_max: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut node = Node::start(&options)?;
    let mut commands = lines();
    let mut look: Interval = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            line = commands.recv() => match line {
                Some(line) => node.publish(&line)?,
                None => return Ok(()),
            },
            event = node.swarm.select_next_some() => tell(&event),
            _ = look.tick() => node.look(),
        }
    }
}

/// Reads stdin on a thread of its own.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

struct Node {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    dial: Vec<Multiaddr>,
    /// Connected, and in the mesh, as it was told last.
    told: (usize, usize),
}

impl Node {
    fn start(options: &Options) -> Result<Self> {
        let keypair = identity::load_or_generate(&options.identity)?.keypair;
        let mut behaviour: Behaviour =
            Behaviour::new(MessageAuthenticity::Anonymous, config(options)?)
                .map_err(anyhow::Error::msg)?;
        let topic = IdentTopic::new("lab");
        behaviour.subscribe(&topic)?;
        let mut swarm = SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )?
            .with_behaviour(|_| behaviour)?
            .build();
        swarm.listen_on(options.listen.clone())?;
        Ok(Self { swarm, topic, dial: options.dial.clone(), told: (0, 0) })
    }

    fn publish(&mut self, line: &str) -> Result<()> {
        let command = parse_publish(line);
        let (number, bytes) =
            command.with_context(|| format!("{line:?}: publish <number> <bytes> is expected"))?;
        let mut data = vec![0; bytes.max(NUMBER_BYTES)];
        rand::rng().fill_bytes(&mut data);
        data[..NUMBER_BYTES].copy_from_slice(&number.to_be_bytes());
        println!("published {number} {}", unix_ns());
        if let Err(error) = self.swarm.behaviour_mut().publish(self.topic.clone(), data) {
            eprintln!("message {number} is not published: {error}");
        }
        Ok(())
    }

    /// Dials who is not connected, and tells how many peers there are when that changed.
    fn look(&mut self) {
        for address in &self.dial {
            let options = DialOpts::from(address.clone());
            let connected =
                options.get_peer_id().is_some_and(|peer| self.swarm.is_connected(&peer));
            if !connected {
                // It is dialled already, or refuses: the next look tries again.
                let _refused = self.swarm.dial(options);
            }
        }
        let mesh = self.swarm.behaviour().mesh_peers(&self.topic.hash()).count();
        let peers = (self.swarm.connected_peers().count(), mesh);
        if peers != self.told {
            self.told = peers;
            println!("peers {} {}", peers.0, peers.1);
        }
    }
}

/// Tells what others wait for.
fn tell(event: &SwarmEvent<Event>) {
    let SwarmEvent::Behaviour(event) = event else { return };
    if let Event::Message { message, .. } = event
        && let Some(number) = message.data.first_chunk::<NUMBER_BYTES>()
    {
        println!("arrived {} {}", u64::from_be_bytes(*number), unix_ns());
    }
    if let Event::SlowPeer { failed_messages, .. } = event {
        println!("slow {}", failed_messages.priority + failed_messages.non_priority);
    }
}

fn parse_publish(line: &str) -> Option<(u64, usize)> {
    let mut words = line.strip_prefix("publish ")?.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn config(options: &Options) -> Result<Config> {
    let &[low, target, high] = options.mesh.as_slice() else {
        bail!("--mesh needs three numbers: at least, aimed at, at most");
    };
    ensure!(low <= target && target <= high, "--mesh {low},{target},{high}: they must not fall");
    let mut builder = ConfigBuilder::default();
    builder
        .heartbeat_interval(Duration::from_millis(options.heartbeat_ms))
        .mesh_n_low(low)
        .mesh_n(target)
        .mesh_n_high(high)
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .max_transmit_size(options.bytes_max + FRAME_EXTRA_BYTES)
        .flood_publish(false);
    if options.without_gossip {
        builder.gossip_lazy(0).gossip_factor(0.0);
    }
    Ok(builder.build()?)
}

fn message_id(message: &Message) -> MessageId {
    MessageId::from(&message.data[..message.data.len().min(NUMBER_BYTES)])
}

fn unix_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_publish_has_two_numbers() {
        assert_eq!(parse_publish("publish 7 1048576"), Some((7, 1 << 20)));
        for wrong in ["", "publish", "publish 7", "publish 7 x", "forget 7 8"] {
            assert_eq!(parse_publish(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_measured_settings_are_sound() {
        let options = |arguments: &str| {
            let words =
                format!("lab-gossipsub --listen /ip4/127.0.0.1/tcp/0 --identity x {arguments}");
            Options::parse_from(words.split_whitespace())
        };
        let defaults = config(&options("")).expect("sound");
        assert_eq!((defaults.mesh_n(), defaults.flood_publish()), (8, false));
        let best = config(&options("--mesh 3,4,6 --without-gossip")).expect("sound");
        assert_eq!((best.mesh_n(), best.gossip_lazy()), (4, 0));
        assert!(config(&options("--mesh 6,4,3")).is_err());
    }
}
