//! A first figure beside that of plain GossipSub: printed, not asserted.

use std::time::{Duration, Instant};

use e2e::{
    LIMIT,
    node_process::cluster,
    payload,
    proxy_process::{ProxyCommand, Socket},
    reader::Reader,
};
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder,
    futures::StreamExt as _,
    gossipsub::{self, IdentTopic, MessageAuthenticity},
    noise,
    swarm::SwarmEvent,
    tcp, yamux,
};
use tokio::sync::mpsc;

const NODES: usize = 4;
const MESSAGE_BYTES: usize = 1 << 20;
const ROUNDS: usize = 10;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Publishes through the sidecar of one of four nodes, received at the sidecars of all others.
async fn ours() -> Vec<Duration> {
    let nodes = cluster(NODES, |node| node.with("OPTIMUM_TRACE", "GRAFT")).await;
    let mut readers = Vec::new();
    for node in &nodes {
        readers.push(Reader::subscribed(node.sidecar, "figure").await);
    }
    for reader in &mut readers {
        reader.until_grafted(NODES - 1).await;
    }
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let sent = payload(round as u64, MESSAGE_BYTES);
        let begin = Instant::now();
        readers[round % NODES].publish("figure", &sent).await;
        let mut last = begin;
        for reader in &mut readers {
            last = last.max(reader.arrival(&sent).await);
        }
        times.push(last - begin);
    }
    times
}

type GossipsubSwarm = Swarm<gossipsub::Behaviour>;

fn gossipsub_swarm() -> GossipsubSwarm {
    let config = gossipsub::ConfigBuilder::default()
        .heartbeat_interval(Duration::from_millis(700))
        .max_transmit_size(2 * MESSAGE_BYTES)
        .build()
        .expect("a sound config");
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("noise works")
        .with_behaviour(|key| {
            let signed = MessageAuthenticity::Signed(key.clone());
            gossipsub::Behaviour::new(signed, config).map_err(Into::into)
        })
        .expect("a behaviour")
        .build()
}

/// What a swarm's task tells: its mesh size, or a message.
enum Told {
    Mesh(usize),
    Message(Vec<u8>),
}

async fn drive(
    mut swarm: GossipsubSwarm,
    topic: IdentTopic,
    mut publish: mpsc::Receiver<Vec<u8>>,
    told: mpsc::Sender<Told>,
) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        let event = tokio::select! {
            event = swarm.select_next_some() => event,
            Some(message) = publish.recv() => {
                swarm.behaviour_mut().publish(topic.clone(), message).expect("peers are there");
                continue;
            }
            _ = tick.tick() => {
                let mesh = swarm.behaviour().mesh_peers(&topic.hash()).count();
                if told.try_send(Told::Mesh(mesh)).is_err() && told.is_closed() {
                    return;
                }
                continue;
            }
        };
        if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event
            && told.send(Told::Message(message.data)).await.is_err()
        {
            return;
        }
    }
}

/// The same between four GossipSub nodes in this process, without a sidecar in between.
async fn gossipsub() -> Vec<Duration> {
    let topic = IdentTopic::new("figure");
    let mut addresses: Vec<Multiaddr> = Vec::new();
    let mut publishers = Vec::new();
    let mut listeners = Vec::new();
    for _ in 0..NODES {
        let mut swarm = gossipsub_swarm();
        swarm.behaviour_mut().subscribe(&topic).expect("a subscription");
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("loopback");
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        for other in &addresses {
            swarm.dial(other.clone()).expect("a dial begins");
        }
        addresses.push(address);
        let (publish, published) = mpsc::channel(1);
        let (told, tells) = mpsc::channel(64);
        tokio::spawn(drive(swarm, topic.clone(), published, told));
        publishers.push(publish);
        listeners.push(tells);
    }
    for tells in &mut listeners {
        let meshed = async {
            while let Some(told) = tells.recv().await {
                if matches!(told, Told::Mesh(size) if size == NODES - 1) {
                    return;
                }
            }
        };
        tokio::time::timeout(LIMIT, meshed).await.expect("a mesh in time");
    }
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let sent = payload(1_000 + round as u64, MESSAGE_BYTES).to_vec();
        let begin = Instant::now();
        publishers[round % NODES].send(sent.clone()).await.expect("the swarm runs");
        for (index, tells) in listeners.iter_mut().enumerate() {
            if index == round % NODES {
                continue;
            }
            let arrived = async {
                while let Some(told) = tells.recv().await {
                    if matches!(&told, Told::Message(data) if *data == sent) {
                        return;
                    }
                }
            };
            tokio::time::timeout(LIMIT, arrived).await.expect("a message in time");
        }
        times.push(begin.elapsed());
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_from_publish_to_all_others_is_measured_beside_gossipsub() {
    let (ours, gossipsub) = (ours().await, gossipsub().await);
    println!("1 MiB, 4 nodes on loopback, publish until received at all others, {ROUNDS} rounds");
    for (name, times) in [("p2pnode by its sidecars", ours), ("rust-libp2p gossipsub", gossipsub)] {
        let (best, worst) = (times.iter().min(), times.iter().max());
        println!("{name:<24} median {:?}, best {best:?}, worst {worst:?}", median(times.clone()));
    }
}

/// Messages published one after the other, and then as fast as answers come.
const SINGLE: usize = 200;
const MANY: usize = 5_000;
const AT_ONCE: usize = 16;

/// Takes messages until so many came that are not of the warming up.
async fn take(socket: &mut Socket, count: usize) {
    let mut taken = 0;
    while taken < count {
        taken += usize::from(socket.text().await.starts_with('m'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_through_the_whole_stack_is_measured() {
    let nodes = cluster(NODES, |node| node).await;
    let (first, second) =
        (ProxyCommand::new(&nodes).start().await, ProxyCommand::new(&nodes).start().await);
    first.until_nodes(NODES).await;
    second.until_nodes(NODES).await;
    second.subscribe("c", "t", 0.1).await;
    let mut socket = second.socket("c").await;
    // The mesh forms meanwhile.
    for number in 0.. {
        first.publish("p", "t", &format!("warm {number}")).await;
        let soon = tokio::time::timeout(Duration::from_millis(500), socket.text()).await;
        if soon.is_ok() && number > 10 {
            break;
        }
    }
    let mut times = Vec::new();
    for number in 0..SINGLE {
        let (text, begin) = (format!("m{number}"), Instant::now());
        let ((status, answer), ()) =
            tokio::join!(first.publish("p", "t", &text), take(&mut socket, 1));
        assert_eq!(status, 200, "{answer}");
        times.push(begin.elapsed());
    }
    let begin = Instant::now();
    let publishes = futures::stream::iter(0..MANY).map(|number| {
        let first = &first;
        async move {
            let text = format!("many {number} {}", "x".repeat(80));
            let (status, answer) = first.publish("p", "t", &text).await;
            assert_eq!(status, 200, "{answer}");
        }
    });
    let publishes = publishes.buffer_unordered(AT_ONCE).for_each(|()| std::future::ready(()));
    tokio::join!(publishes, take(&mut socket, MANY));
    let rate = MANY as f64 / begin.elapsed().as_secs_f64();
    times.sort();
    println!(
        "whole stack, REST at one proxy to WebSocket at the other, {NODES} nodes: p50 {:?}, p99 {:?}, \
         {rate:.0} messages of 100 B a second with {AT_ONCE} at once",
        times[SINGLE / 2],
        times[SINGLE * 99 / 100],
    );
}
