//! Proxies in front of real nodes: as one service, through bursts and deaths.

use std::{collections::BTreeSet, process::Command};

use api::sidecar::Request;
use e2e::{
    LIMIT,
    node_process::{NodeCommand, NodeProcess, cluster},
    program,
    proxy_process::{ProxyCommand, ProxyProcess, Socket},
    reader::Reader,
};
use futures::{StreamExt as _, stream};
use servers::redis::RedisServer;

const TOPIC: &str = "t";

async fn stack(nodes: usize) -> (Vec<NodeProcess>, ProxyProcess, ProxyProcess) {
    let nodes = cluster(nodes, |command| command).await;
    let first = ProxyCommand::new(&nodes).start().await;
    let second = ProxyCommand::new(&nodes).start().await;
    for proxy in [&first, &second] {
        proxy.until_nodes(nodes.len()).await;
    }
    (nodes, first, second)
}

/// Publishes until a message arrives: the mesh of a topic forms within some heartbeats.
async fn until_delivered(publisher: &ProxyProcess, socket: &mut Socket) {
    let mut number = 0;
    let publish = async {
        loop {
            number += 1;
            publisher.publish("warm", TOPIC, &format!("warm {number}")).await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = publish => {}
        first = socket.text() => assert!(first.starts_with("warm"), "{first}"),
    }
}

/// Takes messages until all of `count` numbered ones came; returns how many came twice.
async fn all_of(socket: &mut Socket, count: usize) -> usize {
    let (mut missing, mut twice) = ((0..count).collect::<BTreeSet<_>>(), 0);
    while !missing.is_empty() {
        let text = socket.text().await;
        if let Some(number) = text.strip_prefix("m").and_then(|number| number.parse().ok()) {
            twice += usize::from(!missing.remove(&number));
        }
    }
    twice
}

/// Publishes numbered messages, 16 at a time; a proxy that is gone is told by `None`.
async fn burst(proxies: &[&ProxyProcess], count: usize) {
    let publishes = stream::iter(0..count).map(|number| async move {
        let proxy = proxies[number % proxies.len()];
        let (status, answer) = proxy.publish("p", TOPIC, &format!("m{number}")).await;
        assert_eq!(status, 200, "{answer}");
    });
    publishes.buffer_unordered(16).collect::<Vec<_>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_at_one_proxy_is_delivered_at_the_other_in_every_form() {
    let (_nodes, first, second) = stack(4).await;
    let (status, answer) = second.publish("p", TOPIC, "nobody is there").await;
    assert!(status == 400 && answer.contains("topic not assigned"), "{answer}");
    first.subscribe("c", TOPIC, 0.7).await;
    let mut socket = first.socket("c").await;
    let assigned = async {
        while second.publish("p", TOPIC, "warm 0").await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, assigned).await.expect("assigned at the other");
    until_delivered(&second, &mut socket).await;
    let mut stream = first.stream("c").await;
    let (status, answer) = second.publish("p", TOPIC, "for everybody").await;
    assert!(status == 200 && answer.contains("published"), "{answer}");
    while socket.text().await != "for everybody" {}
    while stream.text().await != "for everybody" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_10000_messages_reaches_healthy_readers_whole_and_once() {
    const COUNT: usize = 10_000;
    let (_nodes, first, second) = stack(4).await;
    first.subscribe("a", TOPIC, 0.1).await;
    second.subscribe("b", TOPIC, 0.1).await;
    let (mut a, mut b) = (first.socket("a").await, second.socket("b").await);
    until_delivered(&second, &mut a).await;
    until_delivered(&first, &mut b).await;
    let both = [&first, &second];
    let begin = std::time::Instant::now();
    let ((), twice_a, twice_b) =
        tokio::join!(burst(&both, COUNT), all_of(&mut a, COUNT), all_of(&mut b, COUNT));
    println!("{COUNT} messages through two proxies and four nodes: {:?}", begin.elapsed());
    assert_eq!((twice_a, twice_b), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_one_proxy_lose_nothing_when_the_other_is_killed_in_a_burst() {
    const COUNT: usize = 1000;
    let (_nodes, first, second) = stack(4).await;
    first.subscribe("a", TOPIC, 0.1).await;
    let mut a = first.socket("a").await;
    until_delivered(&first, &mut a).await;
    second.subscribe("b", TOPIC, 0.1).await;
    let mut b = second.socket("b").await;
    let kill = async {
        // The burst is on its way when the first of it arrives there.
        while b.next().await.is_some_and(|message| !message.message.starts_with(b"m")) {}
        second.kill();
    };
    let surviving = [&first];
    let ((), twice, ()) = tokio::join!(burst(&surviving, COUNT), all_of(&mut a, COUNT), kill);
    assert_eq!(twice, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_messages_are_delivered_when_a_node_is_killed_in_a_burst() {
    const COUNT: usize = 1000;
    let (mut nodes, first, second) = stack(4).await;
    first.subscribe("a", TOPIC, 0.1).await;
    let mut a = first.socket("a").await;
    until_delivered(&first, &mut a).await;
    second.subscribe("everywhere", TOPIC, 1.0).await;
    let mut everywhere = second.socket("everywhere").await;
    until_delivered(&first, &mut everywhere).await;
    let kill = async {
        let log = first.log();
        let source = log.lines().rev().find(|line| line.contains("payloads come from"));
        let record: serde_json::Value =
            serde_json::from_str(source.expect("a source")).expect("JSON");
        let place = record["node"].as_u64().expect("a number") as usize;
        nodes.remove(place).kill();
    };
    let begun = async {
        let only = [&first];
        burst(&only, COUNT / 2).await;
        // What a node confirmed and told nobody of before it died is gone with it.
        assert_eq!(all_of(&mut everywhere, COUNT / 2).await, 0);
        kill.await;
        let later = stream::iter(COUNT / 2..COUNT).map(|number| {
            let first = &first;
            async move {
                let (status, answer) = first.publish("p", TOPIC, &format!("m{number}")).await;
                assert_eq!(status, 200, "{answer}");
            }
        });
        later.buffer_unordered(16).collect::<Vec<_>>().await;
    };
    let ((), twice) = tokio::join!(begun, all_of(&mut a, COUNT));
    assert_eq!(twice, 0);
    first.until_nodes(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_redis_proxies_are_one_service_and_its_death_is_survived() {
    let Some(mut redis) = RedisServer::start().await else {
        println!("skipped: redis-server is missing; apt-get install redis-server");
        return;
    };
    let nodes = cluster(2, |command| command).await;
    let with_redis = || ProxyCommand::new(&nodes).with("REDIS_URL", redis.url());
    let (first, second) = (with_redis().start().await, with_redis().start().await);
    first.until_nodes(2).await;
    second.until_nodes(2).await;
    first.subscribe("c", TOPIC, 0.1).await;
    let mut socket = second.socket("c").await;
    until_delivered(&first, &mut socket).await;
    assert!(first.publish("p", TOPIC, "once").await.1.contains("\"published\""));
    assert!(second.publish("p", TOPIC, "once").await.1.contains("\"deduplicated\""));
    redis.kill();
    assert_eq!(first.publish("p", TOPIC, "while it is away").await.0, 200);
    while socket.text().await != "while it is away" {}
    redis.start_again().await;
    let shared = async {
        let mut number = 0;
        loop {
            number += 1;
            let text = format!("again {number}");
            first.publish("p", TOPIC, &text).await;
            if second.publish("p", TOPIC, &text).await.1.contains("deduplicated") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, shared).await.expect("shared again");
}

#[tokio::test]
async fn a_proxy_says_what_is_wrong_with_its_settings_and_ends_cleanly_when_told() {
    let wrong = ProxyCommand::new(&[]).with("P2P_NODES", "p2pnode-1").refuse().await;
    assert!(!wrong.0.success() && wrong.1.contains("P2P_NODES"), "{}", wrong.1);
    let proxy = ProxyCommand::new(&[]).start().await;
    let taken = proxy.http.to_string();
    let (status, log) = ProxyCommand::new(&[]).with("PROXY_PORT", &taken).refuse().await;
    assert!(!status.success() && log.contains("PROXY_PORT"), "{log}");
    let health = |port: &str| {
        let mut command = Command::new(program("proxy"));
        command.env("PROXY_PORT", port).arg("healthcheck").output().expect("proxy runs")
    };
    assert!(health(&taken).status.success());
    assert!(proxy.terminate().await.success());
    let gone = health(&taken);
    assert!(!gone.status.success() && !gone.stderr.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_checks_tickets_takes_those_of_a_session_and_the_proxys_own() {
    // The node is there before its proxy, and needs its address: the proxy's port is chosen first.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let http = port.local_addr().expect("bound").to_string();
    drop(port);
    let jwks = format!("http://{http}/.well-known/jwks.json");
    let node = NodeCommand::new().with("SIDECAR_JWKS", &jwks).start().await;
    let nodes = [node];
    let proxy = ProxyCommand::new(&nodes).with("PROXY_PORT", &http).start().await;
    proxy.until_nodes(1).await;
    proxy.subscribe("c", TOPIC, 0.1).await;
    let mut socket = proxy.socket("c").await;
    until_delivered(&proxy, &mut socket).await;
    let wish =
        serde_json::json!({"client_id": "c", "topics": [TOPIC], "capabilities": ["publish"]});
    let (status, session) = proxy.post("/api/v1/session", &wish).await;
    assert_eq!(status, 200, "{session}");
    let session: serde_json::Value = serde_json::from_str(&session).expect("JSON");
    let ticket = session["nodes"][0]["ticket"].as_str().expect("a ticket");
    assert_eq!(session["nodes"][0]["id"], nodes[0].peer_id);
    let direct = Reader::open(nodes[0].sidecar).await;
    let publish = Request {
        command: api::sidecar::Command::Publish as i32,
        topic: TOPIC.to_owned(),
        data: "with a ticket".into(),
        jwt_token: ticket.to_owned(),
    };
    direct.commands.send(publish).await.expect("the stream is open");
    while socket.text().await != "with a ticket" {}
}
