//! More than anybody should ask for: a real node stays small, answers others, and recovers.

use std::time::Duration;

use bytes::Bytes;
use e2e::{
    LIMIT,
    node_process::{NodeCommand, NodeProcess},
    proxy_process::ProxyCommand,
    reader::Reader,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a node may hold at most while it is asked for too much; an idle one holds a tenth.
const MEMORY_MAX_KIB: u64 = 300 << 10;

/// What a proxy may hold at most for 10,000 clients that stall: 50 KiB each, unoptimised.
const STALLED_MAX_KIB: u64 = 500 << 10;

#[expect(clippy::print_stdout, reason = "what was measured is printed too")]
fn assert_small(node: &NodeProcess) {
    let peak = node.memory_kib("VmHWM");
    println!("peak memory {} MiB", peak >> 10);
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}

/// How many of `what` the node counts as refused.
async fn refused(node: &NodeProcess, what: &str) -> u64 {
    let (_, metrics) = node.http_text("/metrics").await;
    let name = format!("optimum_node_{what}_refused_total{{");
    let line = metrics.lines().find(|line| line.starts_with(&name)).expect(what);
    let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
    value.expect("a number").round() as u64
}

#[tokio::test]
async fn ten_thousand_topics_are_taken_up_to_the_bound_and_the_node_goes_on() {
    let node = NodeCommand::new().start().await;
    let reader = Reader::open(node.sidecar).await;
    for topic in 0..10_000 {
        reader.commands.subscribe(&format!("topic-{topic}")).await.expect("the stream is open");
    }
    let known = async {
        loop {
            let state = node.http("/api/v1/node-state").await;
            let topics = state["topics"].as_array().map_or(0, Vec::len);
            assert!(topics <= 1024, "{topics} topics");
            if topics == 1024 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, known).await.expect("1024 topics in time");
    // One of those that were taken works, also after a publish that would join one more.
    let mut other = Reader::subscribed(node.sidecar, "topic-0").await;
    other.publish("one more", &Bytes::from_static(b"refused")).await;
    let sent = Bytes::from_static(b"still here");
    other.publish("topic-0", &sent).await;
    assert_eq!(other.message().await.message, sent);
    // The stream is still being read: topics beyond the bound may be refused only after the last
    // that was taken.
    let counted = async {
        while refused(&node, "subscriptions").await < 10_000 - 1024 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("all refused in time");
    assert_eq!(refused(&node, "subscriptions").await, 10_000 - 1024);
    assert_eq!(refused(&node, "publishes").await, 1);
    assert_small(&node);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_others_are_served_again_later() {
    let node = NodeCommand::new().start().await;
    let mut open = Vec::new();
    for _ in 0..1_100 {
        open.push(TcpStream::connect(node.api).await.expect("the kernel takes it"));
    }
    // The last is beyond the bound: the node closes it without a word.
    let mut last = open.pop().expect("the last");
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(LIMIT, last.read_to_end(&mut nothing)).await;
    // A reset says the same.
    assert!(closed.expect("closed in time").is_ok_and(|read| read == 0) || nothing.is_empty());
    // The sidecar has connections of its own.
    let mut reader = Reader::subscribed(node.sidecar, "t").await;
    let sent = Bytes::from_static(b"not disturbed");
    reader.publish("t", &sent).await;
    assert_eq!(reader.message().await.message, sent);
    drop(open);
    let served = async {
        while TcpStream::connect(node.api).await.is_err() {}
        loop {
            if let Some(state) = node.try_http("/api/v1/node-state").await {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let state = tokio::time::timeout(LIMIT, served).await.expect("served in time");
    assert_eq!(state["topics"][0], "t");
    assert_small(&node);
}

#[tokio::test]
async fn ten_thousand_clients_that_stall_leave_a_proxy_small_and_at_work() {
    rlimit::increase_nofile_limit(u64::MAX).expect("the limit is known");
    let node = NodeCommand::new().start().await;
    let proxy = ProxyCommand::new(std::slice::from_ref(&node)).start().await;
    proxy.until_nodes(1).await;
    let mut stalled = Vec::new();
    let half = "POST /api/v1/publish HTTP/1.1\r\nHost: p\r\nContent-Length: 100\r\n\r\n{";
    for number in 0..10_000 {
        let face = if number % 4 == 0 { proxy.grpc } else { proxy.http };
        let mut stream = TcpStream::connect(face).await.expect("taken");
        if number % 4 > 1 {
            stream.write_all(half.as_bytes()).await.expect("read");
        }
        stalled.push(stream);
    }
    proxy.subscribe("c", "t", 0.1).await;
    let mut socket = proxy.socket("c").await;
    assert_eq!(proxy.publish("c", "t", "not disturbed").await.0, 200);
    assert_eq!(socket.text().await, "not disturbed");
    let peak = proxy.memory_kib("VmHWM");
    assert!(peak < STALLED_MAX_KIB, "{peak} KiB");
    // A body that does not come in time is not waited for any longer.
    let mut answer = [0; 12];
    let read = tokio::time::timeout(LIMIT, stalled[2].read_exact(&mut answer)).await;
    read.expect("answered in time").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 503");
}
